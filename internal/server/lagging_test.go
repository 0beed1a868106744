// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"net/http"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// stored is an API server that holds one flag, and a cache that has caught up with it.
type stored struct {
	client.Client

	flag    *v1alpha1.FeatureFlag
	patches int
	deleted bool
}

func (s *stored) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	if s.deleted {
		return apierrors.NewNotFound(schema.GroupResource{}, "")
	}
	switch object := object.(type) {
	case *v1alpha1.FeatureFlag:
		s.flag.DeepCopyInto(object)
		return nil
	case *v1alpha1.FlagEnvironment:
		builders.MakeEnvironment("production", "shop").Obj().DeepCopyInto(object)
		return nil
	}
	return apierrors.NewNotFound(schema.GroupResource{}, "")
}

func (s *stored) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if environments, is := list.(*v1alpha1.FlagEnvironmentList); is {
		environments.Items = append(environments.Items, *builders.MakeEnvironment("production", "shop").Obj())
	}
	return nil
}

func (s *stored) Patch(_ context.Context, object client.Object, _ client.Patch, _ ...client.PatchOption) error {
	flag, is := object.(*v1alpha1.FeatureFlag)
	if !is || flag.ResourceVersion != s.flag.ResourceVersion {
		return apierrors.NewConflict(schema.GroupResource{}, object.GetName(), nil)
	}
	s.patches++
	s.flag = flag.DeepCopy()
	return nil
}

func (s *stored) Delete(_ context.Context, object client.Object, options ...client.DeleteOption) error {
	asked := (&client.DeleteOptions{}).ApplyOptions(options).Preconditions
	if asked.ResourceVersion == nil || *asked.ResourceVersion != s.flag.ResourceVersion || *asked.UID != s.flag.UID {
		return apierrors.NewConflict(schema.GroupResource{}, object.GetName(), nil)
	}
	s.deleted = true
	return nil
}

// lagging is a cluster with a flag as it is stored.
func lagging(flag *v1alpha1.FeatureFlag) (*Cluster, *stored) {
	flag.ResourceVersion = "2"
	is := &stored{flag: flag}
	return &Cluster{
		Reader: is, writer: is,
		authorizer: authorizer.AuthorizerFunc(
			func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
				return authorizer.DecisionAllow, "", nil
			},
		),
	}, is
}

// Whoever pulls the brake right after somebody else let it go, or through a replica that has not heard of it yet, must
// not be told that the flag is off while it is served.
func TestAnOffIsWrittenWhereTheCacheLags(t *testing.T) {
	flag := func() *builders.FlagBuilder {
		return builders.MakeFlag("checkout", "shop").Boolean().Defaulted().Environment("production").Fallthrough("on")
	}
	braked := flag().Obj()
	braked.ForceDisableIn("production", true)
	const argo = "argocd.argoproj.io/tracking-id"
	for name, tc := range map[string]struct {
		cached, live *v1alpha1.FeatureFlag
		wantPatches  int
	}{
		"disabled":        {flag().Disabled().Obj(), flag().Obj(), 1},
		"braked":          {braked, flag().Obj(), 1},
		"archived":        {flag().Archived().Obj(), flag().Obj(), 1},
		"of a tool":       {flag().Disabled().Annotation(argo, "shop:x").Obj(), flag().Annotation(argo, "shop:x").Obj(), 1},
		"on":              {flag().Obj(), flag().Obj(), 1},
		"off in both":     {flag().Disabled().Obj(), flag().Disabled().Obj(), 0},
		"off since then":  {flag().Obj(), flag().Disabled().Obj(), 0},
		"archived as off": {flag().Archived().Obj(), flag().Archived().Obj(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, is := lagging(tc.live)
			tc.cached.ResourceVersion = "1"
			ctx := WithCaller(t.Context(), &Caller{User: &user.DefaultInfo{Name: "alice"}})
			answered, err := Toggle(ctx, cluster, tc.cached, Switch{
				Environment: "production", Rename: func(path string) string { return path },
			})
			if err != nil && tc.wantPatches > 0 {
				t.Fatal(err)
			}
			if !OffAnyway(is.flag, "production") {
				t.Error("the flag is on, and the answer is that it is off")
			}
			if err == nil && answered.ResourceVersion != is.flag.ResourceVersion {
				t.Errorf("the answer is of version %s, and not of what is stored", answered.ResourceVersion)
			}
			if is.patches != tc.wantPatches {
				t.Errorf("%d writes, and not %d", is.patches, tc.wantPatches)
			}
		})
	}
}

// The same holds for every edit that finds nothing to do: what was seen before is not what If-Match is about.
func TestNothingToDoIsJudgedByWhatIsStored(t *testing.T) {
	cached := builders.MakeFlag("checkout", "shop").Boolean().Archived().Defaulted().Obj()
	cached.ResourceVersion, cached.Generation = "1", 1
	edit := Edit[*v1alpha1.FeatureFlag]{
		Apply: func(flag *v1alpha1.FeatureFlag) error {
			flag.Spec.Archived = true
			return nil
		},
		Part:   func(flag *v1alpha1.FeatureFlag) any { return flag.Spec.Archived },
		Rename: func(path string) string { return path },
	}
	ctx := WithCaller(t.Context(), &Caller{User: &user.DefaultInfo{Name: "alice"}})
	for name, tc := range map[string]struct {
		ifMatch    string
		wantStatus int
	}{
		"any state":        {"", 0},
		"the cached state": {ETag(cached), http.StatusPreconditionFailed},
	} {
		t.Run(name, func(t *testing.T) {
			live := builders.MakeFlag("checkout", "shop").Boolean().Defaulted().Obj()
			live.Generation = 2
			cluster, is := lagging(live)
			edit.IfMatch = tc.ifMatch
			_, err := Change(ctx, cluster, cached, edit)
			if hasStatus(err, tc.wantStatus) != (tc.wantStatus != 0) || tc.wantStatus == 0 && err != nil {
				t.Errorf("the answer is %v", err)
			}
			if is.flag.Spec.Archived != (tc.wantStatus == 0) {
				t.Errorf("the flag is archived: %t", is.flag.Spec.Archived)
			}
		})
	}
}

// A flag that somebody switches on while it is deleted, or that the cache still shows as off, must not go: code that asks
// for it would fall back.
func TestWhatIsDeletedIsWhatWasJudged(t *testing.T) {
	flag := func() *builders.FlagBuilder { return builders.MakeFlag("checkout", "shop").Boolean().Defaulted() }
	ctx := WithCaller(t.Context(), &Caller{User: &user.DefaultInfo{Name: "alice"}})
	refused := Errorf(http.StatusUnprocessableEntity, "it is on")
	another := flag().Archived().Obj()
	another.UID = "another"
	for name, tc := range map[string]struct {
		cached, live *v1alpha1.FeatureFlag
		wantStatus   int
		wantDeleted  bool
	}{
		"archived, as the cache says": {cached: flag().Archived().Obj(), live: flag().Archived().Obj(), wantDeleted: true},
		"restored since then":         {cached: flag().Archived().Obj(), live: flag().Obj(), wantStatus: refused.Status},
		"archived since then":         {cached: flag().Obj(), live: flag().Archived().Obj(), wantDeleted: true},
		"on, as the cache says":       {cached: flag().Obj(), live: flag().Obj(), wantStatus: refused.Status},
		"another of its name":         {cached: flag().Archived().Obj(), live: another, wantStatus: http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, is := lagging(tc.live)
			tc.cached.ResourceVersion = "1"
			err := Delete(ctx, cluster, tc.cached, "", func(flag *v1alpha1.FeatureFlag) error {
				if flag.Spec.Archived {
					return nil
				}
				return refused
			})
			if hasStatus(err, tc.wantStatus) != (tc.wantStatus != 0) || tc.wantStatus == 0 && err != nil {
				t.Errorf("the answer is %v", err)
			}
			if is.deleted != tc.wantDeleted {
				t.Errorf("the flag is deleted: %t", is.deleted)
			}
		})
	}
}
