// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// someFlags is a cache of flags that every look-up finds.
type someFlags []v1alpha1.FeatureFlag

func (s someFlags) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	flag, is := object.(*v1alpha1.FeatureFlag)
	if !is {
		return fmt.Errorf("%T is no flag", object)
	}
	s[0].DeepCopyInto(flag)
	return nil
}

func (s someFlags) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	flags, is := list.(*v1alpha1.FeatureFlagList)
	if !is {
		return fmt.Errorf("%T are no flags", list)
	}
	flags.Items = append(flags.Items, s...)
	return nil
}

// Whoever reads a flag of which a part is lost would take what is shown for all of it.
func TestReadersAreWarnedOfWhatDoesNotFit(t *testing.T) {
	odd := func(name string) v1alpha1.FeatureFlag {
		return *builders.MakeFlag(name, "shop").Boolean().
			Annotation(v1alpha1.UndecodableAnnotation, "spec.rules\nspec.rules is \"text\" \r\n").Obj()
	}
	many := make(someFlags, 0, 30)
	for i := range 30 {
		many = append(many, odd(fmt.Sprintf("flag-%d", i)))
	}
	fine := *builders.MakeFlag("fine", "shop").Boolean().Obj()
	lostStatus := *builders.MakeFlag("fine", "shop").Boolean().Annotation(v1alpha1.UndecodableAnnotation, "status\n").Obj()
	for name, tc := range map[string]struct {
		flags someFlags
		want  []string // Of flags, in the order of their names.
	}{
		"none":              {someFlags{fine}, nil},
		"one":               {someFlags{fine, odd("odd")}, []string{"odd"}},
		"the status alone":  {someFlags{lostStatus}, nil},
		"more than is told": {many, []string{"flag-0", "flag-1", "flag-10", "flag-11", "flag-12", "flag-13", "flag-14", "flag-15", "flag-16", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := &Cluster{
				Reader: tc.flags,
				authorizer: authorizer.AuthorizerFunc(
					func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
						return authorizer.DecisionAllow, "", nil
					},
				),
			}
			header := http.Header{}
			ctx := withWarnings(WithCaller(t.Context(), &Caller{User: &user.DefaultInfo{Name: "alice"}}), header)
			project := &Project{Name: "shop", UID: "u"}
			for range 2 { // What is looked up again is not told again.
				if _, err := cluster.Flags(ctx, project); err != nil {
					t.Fatal(err)
				}
			}
			given := header.Values("Warning")
			if len(given) != len(tc.want) {
				t.Fatalf("the warnings are %q", given)
			}
			for i, flag := range tc.want {
				names := strings.Contains(given[i], `flag \"`+flag+`\" is shown only as far as it fits`) &&
					strings.Contains(given[i], "spec.rules is")
				isWarning := strings.HasPrefix(given[i], "299 jackstaff ") && !strings.ContainsAny(given[i], "\r\n")
				if !isWarning || names != (flag != "") {
					t.Errorf("warning %d is %q", i, given[i])
				}
			}
		})
	}
	t.Run("a single one", func(t *testing.T) {
		cluster := &Cluster{Reader: someFlags{odd("odd")}, authorizer: authorizer.AuthorizerFunc(
			func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
				return authorizer.DecisionAllow, "", nil
			},
		)}
		header := http.Header{}
		ctx := withWarnings(WithCaller(t.Context(), &Caller{User: &user.DefaultInfo{Name: "alice"}}), header)
		if _, err := cluster.Flag(ctx, &Project{Name: "shop", UID: "u"}, "odd"); err != nil {
			t.Fatal(err)
		}
		if given := header.Values("Warning"); len(given) != 1 {
			t.Errorf("the warnings are %q", given)
		}
	})
}
