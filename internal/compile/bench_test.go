// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// plausible is one of a mix of flags as teams have them, about 400 bytes each when compiled.
func plausible(i, edit int) *v1alpha1.FeatureFlag {
	name := fmt.Sprintf("team-%02d-flag-%05d", i%40, i)
	builder := flag(name).Spec(func(spec *v1alpha1.FeatureFlagSpec) {
		spec.Metadata = map[string]string{"jira": fmt.Sprintf("SHOP-%d", i), "edit": strconv.Itoa(edit)}
	})
	switch i % 5 {
	case 0:
		builder.Override(fmt.Sprintf("user-%d@example.com", i), "on")
	case 1:
		builder.Rule(builders.MakeRule("beta").Audiences(fmt.Sprintf("audience-%d", i%50)).Serve("on"))
	case 2:
		builder.Rule(builders.MakeRule("rollout").Traffic("25%").Serve("on"), builders.MakeRule("staff").
			Condition("email", v1alpha1.OperatorEndsWith, "@example.com").Serve("on"))
	case 3:
		builder.Rule(builders.MakeRule("test").ABTest("purchase").Split("on", 50).Split("off", 50))
	case 4:
		if i > 4 {
			builder.Prerequisite(fmt.Sprintf("team-%02d-flag-%05d", (i-4)%40, i-4), "on")
		}
		builder.Rule(builders.MakeRule("plan").Condition("plan", v1alpha1.OperatorIn, "pro", "enterprise").
			Condition("country", v1alpha1.OperatorNotIn, "US", "CA").Serve("on"))
	}
	return builder.Defaulted().Obj()
}

func plausibleEnvironment(n int) *Environment {
	environment := NewEnvironment("production", nil)
	for i := range 50 {
		environment.SetAudience(audience(fmt.Sprintf("audience-%d", i), fmt.Sprintf("user-%d@example.com", i)))
	}
	environment.SetEvent(builders.MakeEvent("purchase", "shop").Obj())
	for i := range n {
		environment.SetFlag(plausible(i, 0))
	}
	environment.Compile()
	environment.SetPublished(environment.Contents().Clone())
	environment.Compile()
	return environment
}

// BenchmarkEdit is one edit of one flag, beyond writing the document. It must not grow with the number of flags.
func BenchmarkEdit(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprintf("N=%d", n), func(b *testing.B) {
			environment := plausibleEnvironment(n)
			edits := make([]*v1alpha1.FeatureFlag, 2000) // The second half edits the flags of the first again.
			for i := range edits {
				edits[i] = plausible(i%1000*7919%n, i+1)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				environment.SetFlag(edits[i%len(edits)])
				if !environment.Compile().Contents {
					b.Fatal("an edit changed nothing")
				}
			}
			b.ReportMetric(float64(len(environment.Contents().Encode(datafile.Header{})))/float64(n), "bytes/flag")
		})
	}
}

// BenchmarkFirst is the first compile of an environment, as after a restart of the operator.
func BenchmarkFirst(b *testing.B) {
	for _, n := range []int{100, 10000} {
		b.Run(fmt.Sprintf("N=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				plausibleEnvironment(n)
			}
		})
	}
}
