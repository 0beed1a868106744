// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// writtenAgo is the metadata of an object that was written some time before the examination.
func writtenAgo(ago time.Duration) []metav1.ManagedFieldsEntry {
	return []metav1.ManagedFieldsEntry{
		{Time: &metav1.Time{Time: examined.Add(-ago)}},
		{Time: &metav1.Time{Time: examined}, Subresource: "status"},
	}
}

// TestUnseen fails where status and doctor say what the operator said last, while something else is so: on call
// believes that a flag is on which break glass has switched off, or that a freeze goes on which has ended.
func TestUnseen(t *testing.T) {
	served := func(revision, breakGlass string, ago time.Duration) *servedMark {
		configMap := &corev1.ConfigMap{}
		configMap.ManagedFields = writtenAgo(ago)
		configMap.Annotations = map[string]string{v1alpha1.RevisionAnnotation: revision}
		if breakGlass != "" {
			configMap.Annotations[v1alpha1.BreakGlassAnnotation] = breakGlass
		}
		return newServedMark(configMap)
	}
	byAlice := "alice 2026-11-27T11:55:00Z"
	frozen := func(ago time.Duration) func(*v1alpha1.FlagEnvironment) {
		return func(environment *v1alpha1.FlagEnvironment) {
			environment.Status.State = v1alpha1.PublishStateFrozen
			environment.Spec.Publish.Suspend = true
			environment.Spec.Publish.SuspendUntil = &metav1.Time{Time: examined.Add(-ago)}
		}
	}
	in := func(state v1alpha1.PublishState) func(*v1alpha1.FlagEnvironment) {
		return func(environment *v1alpha1.FlagEnvironment) { environment.Status.State = state }
	}
	edited := func(ago time.Duration) func(*v1alpha1.FlagEnvironment) {
		return func(environment *v1alpha1.FlagEnvironment) {
			environment.Generation, environment.ManagedFields = 2, writtenAgo(ago)
		}
	}
	same := func(*v1alpha1.FlagEnvironment) {}
	for name, tc := range map[string]struct {
		change   func(*v1alpha1.FlagEnvironment)
		served   *servedMark
		says     string
		want     verdict
		revision int64
	}{
		"as the status says": {same, served("6", "", time.Hour), "", healthy, 6},
		"it may not be read": {same, nil, "", healthy, 6},
		"break glass, the operator is away": {
			same, served("7", byAlice, 5*time.Minute),
			"revision 7 is served, by break glass of alice at 2026-11-27T11:55:00Z, which the operator has not seen", problem, 7,
		},
		"break glass just now": {same, served("7", byAlice, time.Second), "by break glass of alice", warning, 7},
		"break glass that the operator knows": {
			in(v1alpha1.PublishStateBreakGlass), served("6", byAlice, time.Hour), "", warning, 6,
		},
		"break glass that the operator knows, and cannot copy to another namespace": {
			in(v1alpha1.PublishStateDegraded), served("6", byAlice, time.Hour), "", problem, 6,
		},
		"break glass once more": {
			in(v1alpha1.PublishStateBreakGlass), served("7", byAlice, time.Hour), "revision 7 is served", problem, 7,
		},
		"break glass has been ended": {
			in(v1alpha1.PublishStateBreakGlass), served("6", "", time.Hour), "break glass has ended at revision 6", problem, 6,
		},
		"another revision": {same, served("8", "", time.Hour), "revision 8 is served, and the status says 6", problem, 8},
		"the data of another revision, by hand": {
			same, &servedMark{name: "flags-production", revision: 6, differs: "its document says that it is revision 3", changedAt: examined.Add(-time.Hour)},
			"ConfigMap flags-production serves content that is not revision 6", problem, 6,
		},
		"nothing is served": {
			same, &servedMark{name: "flags-production", missing: true}, "ConfigMap flags-production is missing", warning, 0,
		},
		"another cluster serves":  {in(v1alpha1.PublishStateElsewhere), &servedMark{missing: true}, "", healthy, 6},
		"a freeze that has ended": {frozen(time.Hour), nil, "the freeze has ended at 2026-11-27T11:00:00Z", problem, 6},
		"a freeze that ends now":  {frozen(0), nil, "the freeze has ended", warning, 6},
		"a freeze that goes on":   {frozen(-time.Hour), nil, "", warning, 6},
		"edited":                  {edited(time.Hour), nil, "its spec has been changed", problem, 6},
		"edited just now":         {edited(time.Second), nil, "its spec has been changed", warning, 6},
		"no operator has looked":  {in(""), nil, "", problem, 6},
	} {
		t.Run(name, func(t *testing.T) {
			environment := v1alpha1.FlagEnvironment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "production"}}
			environment.Generation, environment.Status.ObservedGeneration = 1, 1
			environment.Status.State, environment.Status.PublishedRevision = v1alpha1.PublishStateServing, 6
			tc.change(&environment)
			expect(
				t,
				diagnoseEnvironments(
					target{namespace: "shop"},
					[]v1alpha1.FlagEnvironment{environment},
					[]*servedMark{tc.served},
					examined,
				),
				tc.want,
				tc.says,
			)

			report := newEnvironmentReport(&environment, []v1alpha1.FeatureFlag{}, nil)
			report.see(&environment, tc.served, examined)
			var printed bytes.Buffer
			app := &App{
				Streams: genericiooptions.IOStreams{Out: &printed, ErrOut: &printed},
				Clock:   clocktesting.NewFakePassiveClock(examined),
			}
			if err := app.printReport(target{namespace: "shop"}, &report); err != nil {
				t.Fatal(err)
			}
			if report.Revision != tc.revision {
				t.Errorf("revision %d is said to be served, want %d", report.Revision, tc.revision)
			}
			if !strings.Contains(printed.String(), tc.says) ||
				(tc.says != "") != strings.Contains(printed.String(), "as the operator said last") {
				t.Errorf("without %q it says:\n%s", tc.says, printed.String())
			}
		})
	}
}

// TestUnreadableFlags fails where status says that no brake is pulled, while it cannot read the flags.
func TestUnreadableFlags(t *testing.T) {
	var printed bytes.Buffer
	app := &App{
		Streams: genericiooptions.IOStreams{Out: &printed, ErrOut: &printed},
		Clock:   clocktesting.NewFakePassiveClock(examined),
	}
	report := newEnvironmentReport(&v1alpha1.FlagEnvironment{}, nil, nil)
	if err := app.printReport(target{namespace: "shop"}, &report); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"brakes    unknown", "broken    unknown"} {
		if !strings.Contains(printed.String(), line) {
			t.Errorf("without %q it says:\n%s", line, printed.String())
		}
	}
}

// TestDiagnoseWrong fails where doctor finds admission in order, while nothing judges what is stored.
func TestDiagnoseWrong(t *testing.T) {
	resource := schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "flagaudiences"}
	for name, tc := range map[string]struct {
		err  error
		want verdict
		says string
	}{
		"refused": {
			apierrors.NewForbidden(resource, "x", errors.New(`admission webhook "judge" denied the request: no`)),
			healthy, "is refused",
		},
		"refused by others": {apierrors.NewTooManyRequests("later", 1), unknown, "cannot be tried"},
		"admitted":          {nil, problem, "nothing judges changes"},
		"there already":     {apierrors.NewAlreadyExists(resource, "x"), unknown, "nothing can be tried"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, []diagnosis{diagnoseWrong(tc.err)}, tc.want, tc.says) })
	}
	if mistakes := validation.FlagAudience(probe("shop")); len(mistakes) > 0 {
		t.Errorf("what is to be admitted is refused: %v", mistakes)
	}
	mistakes := validation.FlagAudience(wrongProbe("shop"))
	if len(mistakes) != 1 || !strings.Contains(mistakes[0].Error(), "regular expression") {
		t.Errorf("what is to be refused has the mistakes %v", mistakes)
	}
}

// TestDiagnoseChanges fails where somebody who may see nothing of the operator is not told that nobody acts on changes.
func TestDiagnoseChanges(t *testing.T) {
	flagKind, _ := v1alpha1.KindNamed("FeatureFlag")
	flag := func(ago time.Duration, change func(*v1alpha1.FeatureFlag)) *v1alpha1.FeatureFlag {
		flag := &v1alpha1.FeatureFlag{}
		flag.Name, flag.Generation, flag.Status.ObservedGeneration = "payments", 1, 1
		flag.ManagedFields = writtenAgo(ago)
		flag.Status.Environments = []v1alpha1.EnvironmentState{{Name: "production"}}
		change(flag)
		return flag
	}
	edited := func(flag *v1alpha1.FeatureFlag) { flag.Generation = 2 }
	braked := func(flag *v1alpha1.FeatureFlag) {
		flag.Annotations = map[string]string{v1alpha1.ForceDisabledAnnotation: "production"}
	}
	recorded := func(ago time.Duration) func(*v1alpha1.FeatureFlag) {
		return func(flag *v1alpha1.FeatureFlag) {
			value, err := history.Encode([]history.Record{
				{ID: "a", Action: "flag.updated", Time: metav1.NewMicroTime(examined.Add(-ago))},
			})
			if err != nil {
				t.Fatal(err)
			}
			flag.Annotations = map[string]string{v1alpha1.ChangesAnnotation: value}
		}
	}
	seen := func(flag *v1alpha1.FeatureFlag) {
		braked(flag)
		flag.Status.Environments[0].Wanted.ForceDisabled = true
	}
	for name, tc := range map[string]struct {
		flag *v1alpha1.FeatureFlag
		want verdict
	}{
		"nothing waits":            {flag(time.Hour, func(*v1alpha1.FeatureFlag) {}), healthy},
		"a spec":                   {flag(time.Hour, edited), problem},
		"a spec of now":            {flag(time.Second, edited), healthy},
		"a brake":                  {flag(time.Hour, braked), problem},
		"a brake of now":           {flag(time.Second, braked), healthy},
		"a brake that is known":    {flag(time.Hour, seen), healthy},
		"a record":                 {flag(time.Hour, recorded(time.Hour)), problem},
		"a record of now":          {flag(time.Hour, recorded(time.Second)), healthy},
		"what says not when it is": {flag(time.Hour, func(flag *v1alpha1.FeatureFlag) { edited(flag); flag.ManagedFields = nil }), healthy},
	} {
		t.Run(name, func(t *testing.T) {
			says := ""
			if tc.want == problem {
				says = "nobody acts on changes: since 2026-11-27T11:00:00Z what was changed waits of flag payments"
			}
			expect(
				t,
				[]diagnosis{diagnoseChanges(target{namespace: "shop"}, waitingOf(flagKind, tc.flag), examined)},
				tc.want,
				says,
			)
		})
	}
	undecodable := flag(time.Hour, edited)
	undecodable.Annotations = map[string]string{v1alpha1.UndecodableAnnotation: "spec.type\nspec.type is a number"}
	expect(
		t,
		[]diagnosis{diagnoseChanges(target{namespace: "shop"}, waitingOf(flagKind, undecodable), examined)},
		healthy,
		"",
	)
	for _, kind := range v1alpha1.Kinds {
		object := kind.New()
		object.SetGeneration(2)
		if len(waitingOf(kind, object)) != 1 {
			t.Errorf("of a %s nobody sees that a change waits", kind.Word)
		}
	}
}

// TestDiagnoseBreakGlass fails where on call learns only while the operator is away that --break-glass is not for them.
func TestDiagnoseBreakGlass(t *testing.T) {
	glass := breakGlassRight("shop")
	expect(
		t,
		[]diagnosis{diagnoseBreakGlass("shop", glass)},
		warning,
		"you may not serve a change by --break-glass (update configmaps)",
	)
	glass.allowed = true
	expect(t, []diagnosis{diagnoseBreakGlass("shop", glass)}, healthy, "you may serve a change by --break-glass")
}

// TestPrintUnknown fails where nobody is told who sees what they may not.
func TestPrintUnknown(t *testing.T) {
	for _, one := range []verdict{healthy, unknown} {
		var printed bytes.Buffer
		app := &App{Streams: genericiooptions.IOStreams{Out: &printed, ErrOut: &printed}}
		if err := app.printDiagnoses(slices.Repeat([]diagnosis{{checkPods, one, "m", ""}}, 2)); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(printed.String(), "administrator") != (one == unknown) {
			t.Errorf("of %s it says:\n%s", one, printed.String())
		}
	}
}

// withoutFlags is a cluster without the Kind FeatureFlag, in which alice has broken the glass.
type withoutFlags struct{ client.Client }

func (withoutFlags) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	object.SetNamespace(key.Namespace)
	object.SetName(key.Name)
	if environment, is := object.(*v1alpha1.FlagEnvironment); is {
		environment.Status.State, environment.Status.PublishedRevision = v1alpha1.PublishStateServing, 6
		return nil
	}
	object.SetAnnotations(map[string]string{
		v1alpha1.RevisionAnnotation: "7", v1alpha1.BreakGlassAnnotation: "alice 2026-11-27T11:55:00Z",
	})
	return nil
}

func (withoutFlags) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if _, is := list.(*v1alpha1.FeatureFlagList); is {
		return &meta.NoKindMatchError{GroupKind: v1alpha1.GroupVersion.WithKind("FeatureFlagList").GroupKind()}
	}
	if kept, is := list.(*metav1.PartialObjectMetadataList); is && kept.Kind == "ConfigMapList" {
		for _, revision := range []int64{6, 7} {
			environment := &v1alpha1.FlagEnvironment{ObjectMeta: metav1.ObjectMeta{Name: "production"}}
			item := metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
				Name: environment.HistoryName(revision),
				Labels: ownership.DatafileLabels(
					types.NamespacedName{Namespace: "shop", Name: "production"},
					v1alpha1.DatafileHistory,
				),
			}}
			kept.Items = append(kept.Items, item)
		}
	}
	return nil
}

// TestWithoutFlags fails where status and history show nothing because the Kind of the flags is gone, or take the
// status' word for what is served.
func TestWithoutFlags(t *testing.T) {
	var printed, noted bytes.Buffer
	app := &App{
		Streams: genericiooptions.IOStreams{Out: &printed, ErrOut: &noted},
		Clock:   clocktesting.NewFakePassiveClock(examined),
	}
	c := &cluster{namespace: "shop", client: withoutFlags{}}
	reports, err := app.report(t.Context(), c, []string{"production"})
	if err != nil || len(reports) != 1 || reports[0].Revision != 7 || len(reports[0].Unseen) != 1 ||
		reports[0].Brakes != nil {
		t.Errorf("status fails with %v, or says %+v", err, reports)
	}
	if err := app.history(t.Context(), c, "", "production"); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(printed.String(), "\n")
	if len(lines) < 3 || !strings.HasPrefix(lines[1], "7 ") || !strings.HasSuffix(lines[1], "served") ||
		strings.HasSuffix(lines[2], "served") {
		t.Errorf("history says:\n%s", printed.String())
	}
	for _, part := range []string{"does not have the Kind FeatureFlag;", "production: revision 7 is served, by break glass of alice"} {
		if !strings.Contains(noted.String(), part) {
			t.Errorf("nobody is told %q, but:\n%s", part, noted.String())
		}
	}
}
