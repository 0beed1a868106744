// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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

// ErrRevisionNotFound is returned for a revision that the history does not hold.
var ErrRevisionNotFound = errors.New("the history does not hold the revision")

// NameTakenError says that the name of a datafile belongs to a ConfigMap that is not the environment's.
type NameTakenError struct {
	// Name is the name of the ConfigMap.
	Name string
}

// Error says which name is taken and what to do.
func (e *NameTakenError) Error() string {
	return fmt.Sprintf(
		"ConfigMap %q exists and is not this environment's; delete it, or choose another name in spec.datafile.name",
		e.Name,
	)
}

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

	// object is the served ConfigMap as it was last seen. Its resource version is empty where there is none.
	object metav1.ObjectMeta
	// formats are those in which the served ConfigMap is what it should be, and nil where it is not.
	formats []v1alpha1.DatafileFormat
}

// ResourceVersion is that of the served ConfigMap as it was last seen, and empty where there is none.
func (s *Served) ResourceVersion() string { return s.object.ResourceVersion }

// Intact reports whether the served ConfigMap was what it should be when it was last seen.
func (s *Served) Intact(environment *v1alpha1.FlagEnvironment) bool {
	return slices.Equal(s.formats, environment.Spec.Datafile.Formats) && s.object.Name == environment.DatafileName() &&
		s.object.Labels[v1alpha1.DeletionPolicyLabel] == string(environment.Spec.DeletionPolicy) &&
		s.object.Labels[v1alpha1.ProductionLabel] == strconv.FormatBool(environment.Spec.Production) &&
		s.object.Annotations[v1alpha1.RevisionAnnotation] == strconv.FormatInt(s.Revision, 10) &&
		s.object.Annotations[v1alpha1.DigestAnnotation] == s.Digest && s.hasKeysOf(environment)
}

// hasKeysOf reports whether the served ConfigMap mirrors the environment's SDK keys. A status without any was lost, or
// is not made yet.
func (s *Served) hasKeysOf(environment *v1alpha1.FlagEnvironment) bool {
	keys := KeysOf(&environment.Status)
	return len(keys.Keys) == 0 || s.object.Annotations[v1alpha1.SDKKeysAnnotation] == keys.Encode()
}

// Named reports whether the served ConfigMap has that name.
func (s *Served) Named(name string) bool { return s.object.Name == name }

// Lost returns s for an environment in whose ConfigMaps found says that nothing is left of it.
func (s *Served) Lost(found *Served) *Served {
	lost := *s
	lost.object, lost.formats = found.object, nil
	return &lost
}

// Publisher reads and writes the datafiles of environments. It is safe for concurrent use, for different environments.
type Publisher struct {
	// Client writes ConfigMaps and reads them live.
	Client client.Client
	// Metadata lists the metadata of the operator's ConfigMaps from a cache.
	Metadata client.Reader
	// Clock tells when a revision is published.
	Clock clock.PassiveClock
}

// Load reads what the environment serves. The history, which cannot be edited, has precedence over the served
// ConfigMap. Known is the revision that the caller knows to be served, and 0 where the ConfigMap itself is to be
// believed; a newer one that another manager has published meanwhile is believed too. It fails with a *NameTakenError,
// and with datafile.ErrUnknownVersion where a newer operator has published.
func (p *Publisher) Load(ctx context.Context, environment *v1alpha1.FlagEnvironment, known int64) (*Served, error) {
	current, err := p.get(ctx, environment, environment.DatafileName())
	if err != nil {
		return nil, err
	}
	served := &Served{FlagdComplete: true}
	if current != nil {
		served.object = current.ObjectMeta
		if known, err = p.believed(ctx, environment, known, current); err != nil {
			return nil, err
		}
	}
	kept, err := p.findKept(ctx, environment, known)
	if err != nil {
		return nil, err
	}
	source := kept
	if source == nil {
		source = current
	}
	if source == nil {
		return served, nil
	}
	if err := served.read(source); err != nil {
		return nil, err
	}
	formats := environment.Spec.Datafile.Formats
	if current != nil && filesOf(current).Equal(served.Files.Only(formats)) {
		served.formats = formats
	}
	return served, nil
}

// believed returns known, or the revision of the served ConfigMap current where that is to be believed. Newer than what
// is known, and with the files that the history has of it, it was published by another manager: to restore what is
// known would be to fight with that one. What a person edits is not so.
func (p *Publisher) believed(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	known int64,
	current *corev1.ConfigMap,
) (int64, error) {
	revision := ownership.RevisionOf(current)
	if known == 0 || revision <= known {
		return cmp.Or(known, revision), nil
	}
	kept, err := p.get(ctx, environment, environment.HistoryName(revision))
	if kept == nil || err != nil {
		return known, ignoreNameTaken(err)
	}
	if !filesOf(current).Equal(filesOf(kept).Only(environment.Spec.Datafile.Formats)) {
		return known, nil
	}
	return revision, nil
}

// findKept returns the history's ConfigMap of the revision that is or was served, and nil where there is none. Where
// revision is 0, because nobody knows it, the environment's status is believed, and after that the newest history.
func (p *Publisher) findKept(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	revision int64,
) (*corev1.ConfigMap, error) {
	candidates := []int64{revision}
	if revision == 0 {
		highest, err := p.highest(ctx, environment)
		if err != nil {
			return nil, err
		}
		candidates = []int64{environment.Status.PublishedRevision, highest}
	}
	for _, candidate := range candidates {
		if candidate == 0 {
			continue
		}
		kept, err := p.get(ctx, environment, environment.HistoryName(candidate))
		if kept != nil || err != nil && !isNameTaken(err) {
			return kept, err
		}
	}
	return nil, nil
}

// read takes the revision from a ConfigMap. What is no datafile at all counts as never published, except for its
// number.
func (s *Served) read(configMap *corev1.ConfigMap) error {
	s.Revision = ownership.RevisionOf(configMap)
	s.Digest = configMap.Annotations[v1alpha1.DigestAnnotation]
	s.PublishedAt, _ = time.Parse(time.RFC3339, configMap.Annotations[v1alpha1.PublishedAtAnnotation])
	s.FlagdComplete = configMap.Annotations[v1alpha1.FlagdIncompleteAnnotation] == ""
	s.Files = filesOf(configMap)
	native, err := s.Files.Native()
	if err != nil || native == nil {
		s.Digest = ""
		return nil //nolint:nilerr // A broken file is replaced by the next publish.
	}
	header, contents, err := datafile.Decode(native)
	switch {
	case errors.Is(err, datafile.ErrUnknownVersion):
		return fmt.Errorf("read ConfigMap %q: %w", configMap.Name, err)
	case err != nil, header.Compressed != "": // A header alone has lost the document that it names.
		s.Digest = ""
	default:
		s.Contents = contents
	}
	return nil
}

// Publish makes content the next revision and serves it. A crash between its writes leaves a history entry that the
// next Publish of the same content takes up. It fails with a *TooLargeError, an *UnreadableError or a *NameTakenError
// before it has written anything that is served.
func (p *Publisher) Publish(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	content Content,
	served *Served,
) (*Served, error) {
	highest, err := p.highest(ctx, environment)
	if err != nil {
		return nil, err
	}
	next := &Served{
		Revision: max(highest, served.Revision, environment.Status.PublishedRevision),
		Digest:   content.Digest(environment.Spec.Datafile.Formats),
		// A second is what RFC 3339 in an annotation keeps.
		PublishedAt: p.Clock.Now().UTC().Truncate(time.Second),
		Contents:    content.Contents,
		object:      served.object,
	}
	kept, err := p.keep(ctx, environment, content, next, served)
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
) (*Served, error) {
	if next.Revision > max(served.Revision, environment.Status.PublishedRevision) {
		if kept, err := p.keptAs(ctx, environment, next); kept != nil || err != nil {
			return kept, err
		}
	}
	for {
		next.Revision++
		header := datafile.Header{Project: environment.Namespace, Environment: environment.Name, Revision: next.Revision}
		var err error
		next.Files, next.FlagdComplete, err = Layout(header, content, environment.Spec.Datafile, served.Files)
		if err != nil {
			return nil, err
		}
		err = p.Client.Create(ctx, p.historyConfigMap(environment, next))
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
	if found.Annotations[v1alpha1.DigestAnnotation] != next.Digest {
		return nil, nil
	}
	kept := &Served{object: next.object}
	if err := kept.read(found); err != nil {
		return nil, err
	}
	if kept.Contents == nil {
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
	return nil
}

// Kept returns a revision of the history as it is to be served in place of served. It fails with ErrRevisionNotFound.
func (p *Publisher) Kept(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	revision int64,
	served *Served,
) (*Served, error) {
	kept, err := p.get(ctx, environment, environment.HistoryName(revision))
	if err := ignoreNameTaken(err); err != nil {
		return nil, err
	}
	if kept == nil {
		return nil, fmt.Errorf("%w %d", ErrRevisionNotFound, revision)
	}
	pinned := &Served{object: served.object}
	return pinned, pinned.read(kept)
}

// Prune removes the oldest revisions of the history beyond the environment's limit, but never one of those to keep.
func (p *Publisher) Prune(ctx context.Context, environment *v1alpha1.FlagEnvironment, keep ...int64) error {
	limit := 10
	if environment.Spec.Publish.RevisionHistoryLimit != nil {
		limit = int(*environment.Spec.Publish.RevisionHistoryLimit)
	}
	history, err := p.list(ctx, client.ObjectKeyFromObject(environment), v1alpha1.DatafileHistory)
	if err != nil {
		return err
	}
	slices.SortFunc(
		history,
		func(a, b metav1.PartialObjectMetadata) int {
			return cmp.Compare(ownership.RevisionOf(&a), ownership.RevisionOf(&b))
		},
	)
	for i := range max(0, len(history)-limit) {
		if slices.Contains(keep, ownership.RevisionOf(&history[i])) {
			continue
		}
		if err := p.delete(ctx, &history[i]); err != nil {
			return err
		}
	}
	return nil
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

// get reads a ConfigMap live. It returns nil where there is none, and a *NameTakenError where it is not the
// environment's.
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
	case !ownership.Owns(client.ObjectKeyFromObject(environment), configMap):
		return nil, &NameTakenError{Name: name}
	}
	return configMap, nil
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

// highest is the highest revision of the history, and 0 where there is none.
func (p *Publisher) highest(ctx context.Context, environment *v1alpha1.FlagEnvironment) (int64, error) {
	history, err := p.list(ctx, client.ObjectKeyFromObject(environment), v1alpha1.DatafileHistory)
	var highest int64
	for i := range history {
		highest = max(highest, ownership.RevisionOf(&history[i]))
	}
	return highest, err
}

func (p *Publisher) delete(ctx context.Context, object *metav1.PartialObjectMetadata) error {
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	err := p.Client.Delete(ctx, object, client.Preconditions{UID: &object.UID})
	return wrap(client.IgnoreNotFound(err), "delete ConfigMap %q", object.Name)
}

func (p *Publisher) servedConfigMap(environment *v1alpha1.FlagEnvironment, served *Served) *corev1.ConfigMap {
	configMap := p.configMap(
		environment,
		served,
		v1alpha1.DatafileServed,
		served.Files.Only(environment.Spec.Datafile.Formats),
	)
	configMap.Name = environment.DatafileName()
	configMap.Labels[v1alpha1.DeletionPolicyLabel] = string(environment.Spec.DeletionPolicy)
	configMap.Labels[v1alpha1.ProductionLabel] = strconv.FormatBool(environment.Spec.Production)
	configMap.Annotations[configTrackingAnnotation] = "disabled"
	if keys := KeysOf(&environment.Status); len(keys.Keys) > 0 {
		configMap.Annotations[v1alpha1.SDKKeysAnnotation] = keys.Encode()
	}
	if served.object.Name == configMap.Name {
		keepTheirs(configMap, &served.object)
	}
	return configMap
}

// keepTheirs makes configMap an update of what was seen: what others have added to the object stays.
func keepTheirs(configMap *corev1.ConfigMap, seen *metav1.ObjectMeta) {
	theirs := maps.Clone(seen.Annotations)
	delete(theirs, v1alpha1.FlagdIncompleteAnnotation)
	configMap.Annotations = merge(theirs, configMap.Annotations)
	configMap.Labels = merge(seen.Labels, configMap.Labels)
	configMap.OwnerReferences, configMap.Finalizers = seen.OwnerReferences, seen.Finalizers
	configMap.ResourceVersion = seen.ResourceVersion
}

func (p *Publisher) historyConfigMap(environment *v1alpha1.FlagEnvironment, served *Served) *corev1.ConfigMap {
	configMap := p.configMap(environment, served, v1alpha1.DatafileHistory, served.Files)
	configMap.Name = environment.HistoryName(served.Revision)
	configMap.Labels[v1alpha1.ProductionLabel] = strconv.FormatBool(environment.Spec.Production)
	configMap.Immutable = new(true)
	return configMap
}

func (p *Publisher) configMap(
	environment *v1alpha1.FlagEnvironment,
	served *Served,
	kind string,
	files Files,
) *corev1.ConfigMap {
	configMap := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: environment.Namespace,
			Labels:    ownership.DatafileLabels(client.ObjectKeyFromObject(environment), kind),
			Annotations: map[string]string{
				v1alpha1.RevisionAnnotation:    strconv.FormatInt(served.Revision, 10),
				v1alpha1.DigestAnnotation:      served.Digest,
				v1alpha1.PublishedAtAnnotation: served.PublishedAt.Format(time.RFC3339),
			},
		},
		Data:       files.Text,
		BinaryData: files.Binary,
	}
	if !served.FlagdComplete {
		configMap.Annotations[v1alpha1.FlagdIncompleteAnnotation] = "true"
	}
	return configMap
}

func filesOf(configMap *corev1.ConfigMap) Files {
	return Files{Text: configMap.Data, Binary: configMap.BinaryData}
}

func merge(theirs, ours map[string]string) map[string]string {
	merged := maps.Clone(theirs)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, ours)
	return merged
}

func isNameTaken(err error) bool {
	var taken *NameTakenError
	return errors.As(err, &taken)
}

func ignoreNameTaken(err error) error {
	if isNameTaken(err) {
		return nil
	}
	return err
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
