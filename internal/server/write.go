// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

const (
	// seenWait is how long a write waits until this replica's caches show it, so that whoever writes and then reads sees
	// what was written.
	seenWait = 2 * time.Second
)

// conflictBackoff makes a change again for about four seconds, so that ten people at once all succeed. The operator
// itself writes an object a few times after each change, to say what became of it.
func conflictBackoff() wait.Backoff {
	return wait.Backoff{Duration: 4 * time.Millisecond, Factor: 1.5, Jitter: 1, Steps: 15}
}

// Edit is a change to one part of an object.
type Edit[P v1alpha1.Object] struct {
	// Apply makes the change. It is called again with a fresh object after a conflict. An error that it returns is the
	// answer.
	Apply func(object P) error
	// Part is what the change replaces. Where somebody else has changed the same part in the meantime, the answer is a
	// conflict; what they changed elsewhere survives.
	Part func(object P) any
	// Rename gives the view's names of fields.
	Rename Rename
	// IfMatch is the value of the header If-Match, and empty where there is none.
	IfMatch string
	// Unguarded reports whether the change to an object that a GitOps tool owns is allowed, because the tool does not undo
	// it. Nil allows none.
	Unguarded func(object P) bool
}

// Change makes an edit to an object as the caller, and returns the object as it was written. It writes nothing where
// nothing changes, and reads the object from the API server before it says so: the cache from which the object comes may
// lag, and who switches a flag off must not hear that it is off while it is on. It fails with an *Error: of status 409 where the same part was changed meanwhile or a GitOps tool
// owns the object, of 412 where If-Match does not hold, of 422 where a rule is broken, and with what the API server
// says.
func Change[T any, P pointer[T]](ctx context.Context, c *Cluster, object P, edit Edit[P]) (P, error) {
	// The API server asks the same, but only of what keeps all rules and changes something.
	if err := c.Authorize(ctx, "patch", resourceOf(object), object.GetNamespace(), object.GetName()); err != nil {
		return nil, err
	}
	release, err := c.turns.take(ctx, object.GetUID())
	if err != nil {
		return nil, err
	}
	defer release()
	base, changed, isLive := object, P(nil), false
	err = wait.ExponentialBackoffWithContext(ctx, conflictBackoff(), func(ctx context.Context) (bool, error) {
		if err := matches(ctx, base, edit.IfMatch); err != nil {
			return false, err
		}
		var err error
		changed, err = change[T](ctx, c, base, edit)
		isSame := err == nil && changed == base
		if !apierrors.IsConflict(err) && (!isSame || isLive) {
			return true, err
		}
		fresh := P(new(T))
		if err := c.writer.Get(ctx, client.ObjectKeyFromObject(object), fresh); err != nil {
			return false, err
		}
		if fresh.GetUID() != base.GetUID() || !isSame && !equality.Semantic.DeepEqual(edit.Part(base), edit.Part(fresh)) {
			return false, Errorf(
				http.StatusConflict,
				"somebody else has changed the same part of it in the meantime; read it again",
			)
		}
		isCurrent := fresh.GetResourceVersion() == base.GetResourceVersion()
		base, isLive = fresh, true
		return isSame && isCurrent, nil
	})
	switch {
	case err == nil:
		return changed, c.awaitSeen(ctx, changed, P(new(T)))
	case wait.Interrupted(err) && ctx.Err() == nil:
		refused := Errorf(http.StatusConflict, "others keep changing it; nothing of the request was written, try again")
		refused.RetryAfter = time.Second
		return nil, refused
	default:
		return nil, FromKubernetes(err, edit.Rename)
	}
}

// Latest reads an object from the API server, as the caller, because caches lag. It fails with an *Error of status 404
// where the object is gone, and with what the API server says.
func Latest[T any, P pointer[T]](ctx context.Context, c *Cluster, object P) (P, error) {
	fresh := P(new(T))
	if err := c.writer.Get(ctx, client.ObjectKeyFromObject(object), fresh); err != nil {
		return nil, FromKubernetes(err, func(path string) string { return path })
	}
	if fresh.GetUID() != object.GetUID() {
		return nil, Errorf(http.StatusNotFound, "it was deleted in the meantime, and another has its name")
	}
	return fresh, nil
}

// change makes an edit to an object as it was read.
func change[T any, P pointer[T]](ctx context.Context, c *Cluster, base P, edit Edit[P]) (P, error) {
	changed, ok := base.DeepCopyObject().(P)
	if !ok {
		return nil, fmt.Errorf("copy %T", base)
	}
	if err := edit.Apply(changed); err != nil {
		return nil, err
	}
	if err := readable(base, changed); err != nil {
		return nil, err
	}
	setDefaults(changed)
	if equality.Semantic.DeepEqual(base, changed) {
		return base, nil
	}
	if edit.Unguarded == nil || !edit.Unguarded(base) {
		if err := c.guard(base); err != nil {
			return nil, err
		}
	}
	if err := c.validate(ctx, base, changed, edit.Rename); err != nil {
		return nil, err
	}
	return changed, c.writer.Patch(ctx, changed, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
}

// Create creates an object as the caller, and sets it to what was written. It fails with an *Error like Change does, of
// status 409 where the name is taken.
func Create[T any, P pointer[T]](ctx context.Context, c *Cluster, project *Project, object P, rename Rename) error {
	object.SetNamespace(project.Name)
	setDefaults(object)
	// The API server asks the same, but only after this has told what exists and what breaks a rule.
	if err := c.Authorize(ctx, "create", resourceOf(object), project.Name, ""); err != nil {
		return err
	}
	if err := project.exists(); err != nil {
		return err
	}
	if err := c.validate(ctx, nil, object, rename); err != nil {
		return err
	}
	if err := c.writer.Create(ctx, object); err != nil {
		return FromKubernetes(err, rename)
	}
	return c.awaitSeen(ctx, object, P(new(T)))
}

// Delete deletes an object as the caller, if judge finds nothing against it. What was judged is what is deleted: where it
// was changed meanwhile, or is not as the cache showed it, judge is asked again. It fails with an *Error like Change does,
// and with what judge says.
func Delete[T any, P pointer[T]](
	ctx context.Context, c *Cluster, object P, ifMatch string, judge func(object P) error,
) error {
	base, isLive := object, false
	err := wait.ExponentialBackoffWithContext(ctx, conflictBackoff(), func(ctx context.Context) (bool, error) {
		if err := matches(ctx, base, ifMatch); err != nil {
			return false, err
		}
		err := judge(base)
		if err != nil && isLive {
			return false, err
		}
		if err == nil {
			if err = c.guard(base); err != nil {
				return false, err
			}
			if err = c.writer.Delete(ctx, base, client.Preconditions{
				UID: new(base.GetUID()), ResourceVersion: new(base.GetResourceVersion()),
			}); !apierrors.IsConflict(err) {
				return true, err
			}
		}
		base, err = Latest[T](ctx, c, object)
		isLive = true
		return false, err
	})
	switch {
	case wait.Interrupted(err) && ctx.Err() == nil:
		refused := Errorf(http.StatusConflict, "others keep changing it; it was not deleted, try again")
		refused.RetryAfter = time.Second
		return refused
	case err != nil:
		return FromKubernetes(err, func(path string) string { return path })
	}
	gone := func(ctx context.Context) (bool, error) {
		return apierrors.IsNotFound(
			c.Reader.Get(ctx, client.ObjectKeyFromObject(object), P(new(T)), client.UnsafeDisableDeepCopy),
		), nil
	}
	return ignoreTimeout(wait.PollUntilContextTimeout(ctx, time.Millisecond, seenWait, true, gone))
}

// ETag identifies what a view shows of an object: it changes with the spec and with the annotations that views read or
// write, and not with what the operator reports. It is weak, because the bytes of an answer also tell of the time and of
// what the operator reports.
func ETag(object client.Object) string {
	digest := fnv.New64a()
	for _, key := range slices.Sorted(maps.Keys(object.GetAnnotations())) {
		if key == v1alpha1.ForceDisabledAnnotation || strings.HasPrefix(key, v1alpha1.ViewAnnotationPrefix) {
			fmt.Fprintf(digest, "%q=%q", key, object.GetAnnotations()[key])
		}
	}
	return fmt.Sprintf("W/%q", fmt.Sprintf("%s-%d-%x", object.GetUID(), object.GetGeneration(), digest.Sum64()))
}

// matches fails where a request is for an older state of the object, and where its If-None-Match asks for none or
// another than there is.
func matches(ctx context.Context, object client.Object, ifMatch string) error {
	etag := ETag(object)
	if has, _ := ctx.Value(ifNoneMatchKey{}).(string); has != "" && matchesState(has, etag) {
		return Errorf(
			http.StatusPreconditionFailed,
			"the header If-None-Match excludes what is there, of which the ETag is %s; leave it out of a change",
			etag,
		)
	}
	if ifMatch == "" || matchesState(ifMatch, etag) {
		return nil
	}
	return Errorf(http.StatusPreconditionFailed, "it was changed: its ETag is now %s", etag)
}

// validate fails with an *Error where the object breaks a rule of admission, or where it newly refers to what does not
// exist.
func (c *Cluster) validate(ctx context.Context, old, object v1alpha1.Object, rename Rename) error {
	mistakes, err := mistakesOf(ctx, index.Namespace{Reader: c.Reader, Name: object.GetNamespace()}, old, object)
	if err != nil || len(mistakes) == 0 {
		return err
	}
	return fromList(mistakes, rename)
}

// mistakesOf adds to what admission refuses what is refused here though admission only warns of it, unless it was so
// before: a kill switch works also on a flag whose audience was deleted. Old is nil on creation.
func mistakesOf(ctx context.Context, namespace index.Namespace, old, object v1alpha1.Object) (field.ErrorList, error) {
	mistakes := validation.Object(old, object)
	found, err := validation.Findings(ctx, namespace, nil, old, object)
	if err != nil {
		return nil, err
	}
	var before []validation.Finding
	if old != nil {
		if before, err = validation.Findings(ctx, namespace, nil, old, old); err != nil {
			return nil, err
		}
	}
	for _, finding := range found {
		if finding.Kind == validation.KeyTaken && !slices.Contains(before, finding) {
			taken, _, _ := strings.Cut(finding.Detail, ";")
			return nil, Errorf(http.StatusConflict, "%s; choose another key", taken)
		}
		if finding.Refused() && !slices.Contains(before, finding) {
			mistakes = append(mistakes, finding.FieldError())
		}
	}
	return mistakes, nil
}

// resourceOf is the resource that an object is of.
func resourceOf(object client.Object) string {
	kind, _ := v1alpha1.KindOf(object)
	return kind.Resource
}

// readable fails with an *Error of status 409 where a change would write the spec of an object that is not known as it
// is stored. Forcing a flag off writes none.
func readable(base, changed v1alpha1.Object) error {
	problem := v1alpha1.Undecodable(base)
	if problem == "" || equality.Semantic.DeepEqual(base.SpecValue(), changed.SpecValue()) {
		return nil
	}
	refused := Errorf(
		http.StatusConflict,
		"what is stored of it does not fit this version of the server; mend it with kubectl first: %s",
		problem,
	)
	refused.OfManifest = true // Whoever mends it looks for the field in the manifest.
	return refused
}

// setDefaults sets what an object leaves out, as admission does. What it has lost is not set.
func setDefaults(object client.Object) {
	if v1alpha1.Undecodable(object) != "" {
		return
	}
	if defaulted, ok := object.(interface{ Default() }); ok {
		defaulted.Default()
	}
}

// awaitSeen waits until the caches have what was written, for a moment at most.
func (c *Cluster) awaitSeen(ctx context.Context, written, cached client.Object) error {
	seen := func(ctx context.Context) (bool, error) {
		if err := c.Reader.Get(ctx, client.ObjectKeyFromObject(written), cached, client.UnsafeDisableDeepCopy); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		order, err := resourceversion.CompareResourceVersion(cached.GetResourceVersion(), written.GetResourceVersion())
		return err != nil || order >= 0, nil //nolint:nilerr // A version that cannot be compared cannot be waited for.
	}
	return ignoreTimeout(wait.PollUntilContextTimeout(ctx, time.Millisecond, seenWait, true, seen))
}

// ignoreTimeout drops the error of a wait that took too long: what was written was written.
func ignoreTimeout(err error) error {
	if wait.Interrupted(err) {
		return nil
	}
	return err
}
