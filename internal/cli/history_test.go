// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// withoutConfigMaps is a cluster for a viewer: it tells of revision 6 in the status alone.
type withoutConfigMaps struct{ client.Client }

var forbidden = apierrors.NewForbidden(corev1.Resource("configmaps"), "", errors.New("no right"))

func (withoutConfigMaps) Get(
	_ context.Context,
	key client.ObjectKey,
	object client.Object,
	_ ...client.GetOption,
) error {
	environment, is := object.(*v1alpha1.FlagEnvironment)
	if !is {
		return forbidden
	}
	environment.Namespace, environment.Name = key.Namespace, key.Name
	environment.Status.State, environment.Status.PublishedRevision = v1alpha1.PublishStateServing, 6
	environment.Status.PublishedAt = new(metav1.NewTime(examined.Add(-time.Hour)))
	return nil
}

func (withoutConfigMaps) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if kept, is := list.(*metav1.PartialObjectMetadataList); is && kept.Kind == "ConfigMapList" {
		return forbidden
	}
	return nil
}

// A viewer on call looks for what was published before, and must learn what there is to see and what is hidden.
func TestHistoryOfAViewer(t *testing.T) {
	var printed, noted bytes.Buffer
	app := &App{
		Streams: genericiooptions.IOStreams{Out: &printed, ErrOut: &noted},
		Clock:   clocktesting.NewFakePassiveClock(examined),
	}
	c := &cluster{namespace: "shop", client: withoutConfigMaps{}}
	if err := app.history(t.Context(), c, "", "production"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(printed.String()); len(got) < 8 || got[5] != "6" || got[len(got)-1] != "served" {
		t.Errorf("it shows:\n%s", printed.String())
	}
	if !strings.Contains(noted.String(), "the verb list on configmaps") {
		t.Errorf("nobody is told which right is missing, but %q", noted.String())
	}
	if err := app.history(t.Context(), c, "name", "production"); !apierrors.IsForbidden(err) {
		t.Errorf("the names of ConfigMaps come from nowhere: %v", err)
	}
}

// Keys of real flag files, such as 10%, are no names of objects: the API server refuses to be asked for them.
func TestHistoryOfAKeyThatIsNoName(t *testing.T) {
	refuse := func(name string) error {
		if len(apimachineryvalidation.NameIsDNSSubdomain(name, false)) > 0 {
			return fmt.Errorf("invalid resource name %q", name)
		}
		return nil
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	reader := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(
			ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption,
		) error {
			return cmp.Or(refuse(key.Name), c.Get(ctx, key, object, options...))
		},
	}).WithObjects(
		builders.MakeFlag("ten", "shop").Key("10%").Obj(), builders.MakeFlag("spaced", "shop").Key("a b").Obj(),
	).Build()
	c := &cluster{namespace: "shop", client: reader}
	for key, want := range map[string]string{
		"10%": "", "a b": "", "flag/10%": "",
		"20%": `there is no environment "20%" in namespace "shop", and namespace "shop" has no flag of the name or key "20%"`,
		"a:b": `there is no environment "a:b" in namespace "shop", and namespace "shop" has no flag of the name or key "a:b"`,
	} {
		app := &App{Streams: genericiooptions.NewTestIOStreamsDiscard(), Clock: clocktesting.NewFakePassiveClock(examined)}
		err := app.history(t.Context(), c, "", key)
		if (err != nil) != (want != "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// What a viewer is shown must be credited to nobody who has not made it.
func TestToldRevisions(t *testing.T) {
	environment := &v1alpha1.FlagEnvironment{}
	environment.Name = "production"
	environment.Status.PublishedRevision, environment.Status.PinnedRevision = 9, 3
	entry := func(name string, revisions ...v1alpha1.ChangeRevision) history.Entry {
		return history.Entry{
			Object: v1alpha1.ChangedObject{Kind: "FeatureFlag", Name: "payments"}, Revisions: revisions,
			Record: history.Record{ID: name, Actor: history.Actor{Name: name}, Time: metav1.NewMicroTime(examined)},
		}
	}
	revisions, entries := toldRevisions(environment, []history.Entry{
		entry("alice", v1alpha1.ChangeRevision{Environment: "staging", Revision: 12},
			v1alpha1.ChangeRevision{Environment: "production", Revision: 8}),
		entry("bob"), entry("carol", v1alpha1.ChangeRevision{Environment: "staging", Revision: 11}),
	})
	want := []struct {
		revision int64
		by       string
	}{{9, ""}, {8, "alice"}, {3, ""}}
	if len(revisions) != len(want) {
		t.Fatalf("it tells of %+v", revisions)
	}
	for i := range want {
		by, _ := sumUp(bringing(revisions, i, "production", entries, guesses{}))
		if revisions[i].Revision != want[i].revision || by != want[i].by {
			t.Errorf("revision %d is by %q, want %+v", revisions[i].Revision, by, want[i])
		}
	}
}
