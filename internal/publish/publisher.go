// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// configTrackingAnnotation keeps Flagger from starting a canary for every changed flag
// (https://docs.flagger.app/tutorials/canary-analysis, config tracking).
const configTrackingAnnotation = "flagger.app/config-tracking"

// Served is what an environment serves.
type Served struct {
	// Revision is the number of what is served, and 0 where nothing was published yet.
	Revision int64
	// Digest is the digest under which the revision was published.
	Digest string
	// PublishedAt is when the revision was published.
	PublishedAt time.Time
	// Files are those of the revision's history: the native document is among them even where it is not served.
	Files Files
	// FlagdComplete is false where the flagd file is older than the revision because the newer one does not fit.
	FlagdComplete bool
	// Contents are the parts of the native document. They must not be changed.
	Contents *datafile.Contents
	// Forged are the ConfigMaps that Load found to be none of the operator's, though their labels say so.
	Forged []*ownership.TamperedError
	// PinnedRevision is the revision of the history that this one is, with flags forced off, and 0 where it is none.
	PinnedRevision int64
	// BreakGlass is who wrote the served ConfigMap without the operator, and nil where nobody has. It stays as it is then.
	BreakGlass *ownership.BreakGlass
	// EndedBy is who ended a break glass, and nil where nobody says so. The mark of that goes with the next write.
	EndedBy *ownership.BreakGlass

	// marked is true where the served ConfigMap is what somebody wrote without the operator.
	marked bool
	// unmarked is true where there is a served ConfigMap that does not say that somebody wrote it without the operator.
	unmarked bool
	// keptMark is the mark of break glass that the history entry of the revision bears, and nil where it bears none.
	keptMark *ownership.BreakGlass
	// object is the served ConfigMap as it was last seen. Its resource version is empty where there is none.
	object metav1.ObjectMeta
	// floor is a revision that a ConfigMap of which nothing else is believed was once said to be. It is passed over.
	floor int64
	// sealer seals the SDK keys that the served ConfigMap mirrors.
	sealer *ownership.Seal
	// seal is what the served ConfigMap is to bear, and empty where this process has no seal.
	seal string
	// formats are those in which the served ConfigMap is what it should be, and nil where it is not.
	formats []v1alpha1.DatafileFormat
}

// ResourceVersion is that of the served ConfigMap as it was last seen, and empty where there is none.
func (s *Served) ResourceVersion() string { return s.object.ResourceVersion }

// Intact reports whether the served ConfigMap was what it should be when it was last seen.
func (s *Served) Intact(environment *v1alpha1.FlagEnvironment) bool {
	if s.BreakGlass != nil {
		return s.marked
	}
	return s.object.Annotations[v1alpha1.BreakGlassAnnotation] == "" &&
		slices.Equal(s.formats, environment.Spec.Datafile.Formats) &&
		s.object.Name == environment.DatafileName() &&
		ownership.IsDatafile(client.ObjectKeyFromObject(environment), &s.object, v1alpha1.DatafileServed) &&
		s.object.Labels[v1alpha1.DeletionPolicyLabel] == string(environment.Spec.DeletionPolicy) &&
		s.object.Labels[v1alpha1.ProductionLabel] == strconv.FormatBool(environment.Spec.Production) &&
		s.object.Annotations[v1alpha1.RevisionAnnotation] == strconv.FormatInt(s.Revision, 10) &&
		s.object.Annotations[v1alpha1.DigestAnnotation] == s.Digest &&
		(s.seal == "" || s.object.Annotations[v1alpha1.SealAnnotation] == s.seal) && s.hasKeysOf(environment)
}

// hasKeysOf reports whether the served ConfigMap mirrors the environment's SDK keys. A status without any was lost, or
// is not made yet.
func (s *Served) hasKeysOf(environment *v1alpha1.FlagEnvironment) bool {
	keys := KeysOf(&environment.Status)
	return len(keys.Keys) == 0 || s.object.Annotations[v1alpha1.SDKKeysAnnotation] ==
		keys.Encode(s.sealer, client.ObjectKeyFromObject(environment))
}

// Named reports whether the served ConfigMap has that name.
func (s *Served) Named(name string) bool { return s.object.Name == name }

// Lost returns s for an environment in whose ConfigMaps found says that nothing is left of it.
func (s *Served) Lost(found *Served) *Served {
	lost := *s
	lost.marked, lost.EndedBy = false, found.EndedBy
	if found.unmarked {
		lost.BreakGlass = nil
	}
	lost.object, lost.formats, lost.Forged = found.object, nil, found.Forged
	return &lost
}

// Remember keeps the break glass of last, which was served before, where nobody has ended it: the served ConfigMap is
// gone, or was edited and is marked still. To publish then would switch flags on that somebody has switched off.
func (s *Served) Remember(last *Served) {
	if s.BreakGlass == nil && !s.unmarked && last.BreakGlass != nil && s.Revision == last.Revision {
		s.BreakGlass = last.BreakGlass
	}
}

// Publisher reads and writes the datafiles of environments. It is safe for concurrent use, for different environments.
type Publisher struct {
	// Client writes ConfigMaps and reads them live.
	Client client.Client
	// Metadata lists the metadata of the operator's ConfigMaps from a cache.
	Metadata client.Reader
	// Clock tells when a revision is published.
	Clock clock.PassiveClock
	// Seal is what published datafiles bear. Nil means that none is set, nor asked for.
	Seal *ownership.Seal
	// Guarded tells whether the API server keeps everybody who may not publish from writing datafiles. What somebody
	// wrote without the operator is believed only then. Nil means never.
	Guarded func(ctx context.Context) (bool, error)
}

// Publish makes content the next revision and serves it. A crash between its writes leaves a history entry that the
// next Publish of the same content takes up. It fails with a *Problem before it has written anything that is served.
func (p *Publisher) Publish(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	content Content,
	served *Served,
) (*Served, error) {
	numbers, err := p.numbers(ctx, environment, served)
	if err != nil {
		return nil, err
	}
	next := &Served{
		Revision: numbers.highest,
		Digest:   content.Digest(environment.Spec.Datafile.Formats),
		// A second is what RFC 3339 in an annotation keeps.
		PublishedAt:    p.Clock.Now().UTC().Truncate(time.Second),
		Contents:       content.Contents,
		PinnedRevision: content.PinnedRevision,

		object: served.object,
		sealer: p.Seal,
	}
	kept, err := p.keep(ctx, environment, content, next, served, numbers)
	if err != nil {
		return nil, err
	}
	return kept, p.Serve(ctx, environment, kept)
}

// keep makes sure that the history holds next, and returns it: as the newest entry where that was kept for the same
// content but never served, else under the next number that is free. A number that is taken is left to whoever took it.
func (p *Publisher) keep(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	content Content,
	next, served *Served,
	numbers numbers,
) (*Served, error) {
	if next.Revision > max(served.Revision, environment.Status.PublishedRevision) {
		if kept, err := p.keptAs(ctx, environment, next); kept != nil || err != nil {
			return kept, err
		}
	}
	for {
		if next.Revision = numbers.after(next.Revision); next.Revision > ownership.MaxRevision {
			return nil, fmt.Errorf("keep a revision: no number up to %d is free", int64(ownership.MaxRevision))
		}
		header := datafile.Header{Project: environment.Namespace, Environment: environment.Name, Revision: next.Revision}
		var err error
		next.Files, next.FlagdComplete, err = Layout(header, content, environment.Spec.Datafile, served.Files)
		if err != nil {
			return nil, err
		}
		next.seal = p.sealOf(environment, next)
		entry := p.historyConfigMap(environment, next)
		if brought := content.Brought.Encode(); brought != "" {
			entry.Annotations[v1alpha1.BroughtAnnotation] = brought
		}
		err = p.Client.Create(ctx, entry)
		if err == nil {
			return next, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("keep revision %d: %w", next.Revision, err)
		}
		// The cache may not have shown yet what was kept before.
		if kept, err := p.keptAs(ctx, environment, next); kept != nil || err != nil {
			return kept, err
		}
	}
}

// keptAs returns the history entry of next's revision where it was kept for the same content, else nil.
func (p *Publisher) keptAs(ctx context.Context, environment *v1alpha1.FlagEnvironment, next *Served) (*Served, error) {
	found, err := p.get(ctx, environment, environment.HistoryName(next.Revision))
	if found == nil || err != nil {
		return nil, ignoreNameTaken(err)
	}
	kept := &Served{object: next.object}
	if err := p.read(environment, found, kept); isTampered(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if kept.Contents == nil || kept.Digest != next.Digest {
		return nil, nil
	}
	return kept, nil
}

// Serve writes the served ConfigMap as served says it should be.
func (p *Publisher) Serve(ctx context.Context, environment *v1alpha1.FlagEnvironment, served *Served) error {
	configMap := p.servedConfigMap(environment, served)
	var err error
	if configMap.ResourceVersion == "" {
		err = p.Client.Create(ctx, configMap)
	} else {
		err = p.Client.Update(ctx, configMap)
	}
	if err != nil {
		return fmt.Errorf("serve revision %d: %w", served.Revision, err)
	}
	served.object, served.formats = configMap.ObjectMeta, environment.Spec.Datafile.Formats
	served.marked, served.EndedBy = served.BreakGlass != nil, nil
	return nil
}

// Kept returns a revision of the history as it is to be served in place of served. It fails with a *Problem where the
// history does not hold it.
func (p *Publisher) Kept(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	revision int64,
	served *Served,
) (*Served, error) {
	kept := &Served{object: served.object}
	found, err := p.readKept(ctx, environment, revision, kept)
	if err == nil && !found {
		history, _, err := p.history(ctx, environment)
		if err != nil {
			return nil, err
		}
		return nil, revisionNotFound(revision, history)
	}
	return kept, err
}

// Sweep removes all datafiles of an environment that is gone, where its deletion policy was Delete.
func (p *Publisher) Sweep(ctx context.Context, environment types.NamespacedName) error {
	served, err := p.list(ctx, environment, v1alpha1.DatafileServed)
	if err != nil {
		return err
	}
	served = slices.DeleteFunc(served, func(object metav1.PartialObjectMetadata) bool {
		return object.Labels[v1alpha1.DeletionPolicyLabel] != string(v1alpha1.DeletionPolicyDelete)
	})
	if len(served) == 0 {
		return nil
	}
	history, err := p.list(ctx, environment, v1alpha1.DatafileHistory)
	if err != nil {
		return err
	}
	for _, object := range append(history, served...) { // The served one, which carries the policy, goes last.
		if err := p.delete(ctx, &object); err != nil {
			return err
		}
	}
	return nil
}

// get reads a ConfigMap live. It returns nil where there is none, and a *Problem where it is not the environment's.
func (p *Publisher) get(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	name string,
) (*corev1.ConfigMap, error) {
	configMap := &corev1.ConfigMap{}
	err := p.Client.Get(ctx, types.NamespacedName{Namespace: environment.Namespace, Name: name}, configMap)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read ConfigMap %q: %w", name, err)
	case !ownership.Owns(client.ObjectKeyFromObject(environment), configMap) &&
		!isMislabelled(environment, configMap):
		return nil, nameTaken(name)
	}
	return configMap, nil
}

// isMislabelled reports whether a ConfigMap that has one of the environment's names is its own but for one label.
func isMislabelled(environment *v1alpha1.FlagEnvironment, configMap *corev1.ConfigMap) bool {
	kind := v1alpha1.DatafileHistory
	if configMap.Name == environment.DatafileName() {
		kind = v1alpha1.DatafileServed
	}
	return ownership.IsMislabelled(client.ObjectKeyFromObject(environment), configMap, kind)
}

// list returns the environment's datafiles of one kind from the cache.
func (p *Publisher) list(
	ctx context.Context,
	environment types.NamespacedName,
	kind string,
) ([]metav1.PartialObjectMetadata, error) {
	list := ownership.ConfigMaps()
	if err := p.Metadata.List(ctx, list, ownership.Selecting(environment, kind)...); err != nil {
		return nil, fmt.Errorf("list datafiles: %w", err)
	}
	return list.Items, nil
}

func (p *Publisher) delete(ctx context.Context, object *metav1.PartialObjectMetadata) error {
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	err := p.Client.Delete(ctx, object, client.Preconditions{UID: &object.UID})
	return wrap(client.IgnoreNotFound(err), "delete ConfigMap %q", object.Name)
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
