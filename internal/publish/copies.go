// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// ErrNamespaceGone is returned for a namespace that takes no new objects, because it is being deleted or is gone.
var ErrNamespaceGone = errors.New("the namespace is being deleted")

// Source is what the copies of an environment's datafile are made from.
type Source struct {
	// Revision is the number of what is served.
	Revision int64
	// Fingerprint is equal for sources of which the same copies are made.
	Fingerprint string

	environment types.NamespacedName
	// template is a copy that has no namespace yet.
	template *corev1.ConfigMap
}

// Source reads what copies are made from. It returns nil where nothing is served, or where the served ConfigMap is not
// what the history says: somebody has edited it, and copies wait until it is restored.
func (p *Publisher) Source(ctx context.Context, environment *v1alpha1.FlagEnvironment) (*Source, error) {
	current, err := p.get(ctx, environment, environment.DatafileName())
	if current == nil {
		return nil, ignoreNameTaken(err)
	}
	served := &Served{}
	found, err := p.readKept(ctx, environment, ownership.RevisionOf(current), served)
	if err == nil && !found {
		if !ownership.Confirms(&environment.Status, ownership.RevisionOf(current),
			current.Annotations[v1alpha1.DigestAnnotation]) {
			return nil, nil
		}
		err = p.read(environment, current, served) // The history has lost the revision, and the status knows it.
	}
	if errors.Is(err, datafile.ErrUnknownVersion) || isTampered(err) {
		return nil, nil // The environment's conditions tell of it.
	} else if err != nil {
		return nil, err
	}
	files := served.Files.Only(environment.Spec.Datafile.Formats)
	if served.Revision == 0 || current.Annotations[v1alpha1.DigestAnnotation] != served.Digest ||
		!filesOf(current).Equal(files) {
		return nil, nil
	}
	template := p.configMap(environment, served, v1alpha1.DatafileCopy, files)
	template.Namespace, template.Name = "", environment.DatafileName()
	template.Annotations[configTrackingAnnotation] = "disabled"
	encoded, err := json.Marshal(template)
	if err != nil {
		return nil, fmt.Errorf("encode revision %d: %w", served.Revision, err)
	}
	digest := sha256.Sum256(encoded)
	return &Source{
		Revision: served.Revision, Fingerprint: hex.EncodeToString(digest[:]),
		environment: client.ObjectKeyFromObject(environment), template: template,
	}, nil
}

// Copy makes sure that the namespace has a copy of source and returns the resource version of the copy. Seen is the
// existing copy where the caller knows that it is what an earlier Copy has made of it; where seen is nil, the copy is
// read live. It fails with a *Problem where the name belongs to anything but a copy of the same environment, with
// ErrNamespaceGone, and with a conflict where somebody else writes at the same time.
func (p *Publisher) Copy(
	ctx context.Context,
	source *Source,
	namespace string,
	seen *metav1.ObjectMeta,
) (resourceVersion string, err error) {
	wanted := source.template.DeepCopy()
	wanted.Namespace = namespace
	if seen == nil {
		current := &corev1.ConfigMap{}
		err := p.Client.Get(ctx, client.ObjectKeyFromObject(wanted), current)
		switch {
		case apierrors.IsNotFound(err):
			err := p.createCopy(ctx, wanted)
			return wanted.ResourceVersion, err
		case err != nil:
			return "", fmt.Errorf("read the copy in namespace %q: %w", namespace, err)
		case !ownership.IsCopyOf(source.environment, current):
			return "", nameTaken(wanted.Name)
		case filesOf(current).Equal(filesOf(wanted)) && contains(current.Labels, wanted.Labels) && contains(current.Annotations, wanted.Annotations):
			return current.ResourceVersion, nil
		}
		seen = &current.ObjectMeta
	}
	keepTheirs(wanted, seen)
	err = p.Client.Update(ctx, wanted)
	return wanted.ResourceVersion, wrap(err, "write the copy in namespace %q", namespace)
}

func (p *Publisher) createCopy(ctx context.Context, wanted *corev1.ConfigMap) error {
	err := p.Client.Create(ctx, wanted)
	if apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return ErrNamespaceGone
	}
	return wrap(err, "write the copy in namespace %q", wanted.Namespace)
}

// RemoveCopy removes a copy of an environment's datafile as it was seen. It fails with a conflict where the copy has
// changed since, and leaves alone what is no copy of that environment.
func (p *Publisher) RemoveCopy(
	ctx context.Context,
	environment types.NamespacedName,
	seen *metav1.PartialObjectMetadata,
) error {
	if !ownership.IsCopyOf(environment, seen) {
		return nil
	}
	object := ownership.ConfigMap()
	object.Namespace, object.Name = seen.Namespace, seen.Name
	err := p.Client.Delete(ctx, object, client.Preconditions{UID: &seen.UID, ResourceVersion: &seen.ResourceVersion})
	return wrap(client.IgnoreNotFound(err), "remove the copy in namespace %q", seen.Namespace)
}

// contains reports whether all has every entry of some.
func contains(all, some map[string]string) bool {
	for name, value := range some {
		if actual, ok := all[name]; !ok || actual != value {
			return false
		}
	}
	return true
}
