// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// compressedAtOnce is how many history entries one call of Prune compresses at most, so that an environment with much
// history keeps no worker for long. The others follow with the next calls.
const compressedAtOnce = 4

// Prune removes the revisions of the history that are beyond the environment's limit and that no hour and no day keeps,
// and compresses those that an hour or a day alone keeps, but never one of those to keep. What is forged takes nobody's
// place and stays for whoever looks into it.
func (p *Publisher) Prune(ctx context.Context, environment *v1alpha1.FlagEnvironment, keep ...int64) error {
	limit := defaultHistoryLimit
	if environment.Spec.Publish.RevisionHistoryLimit != nil {
		limit = int(*environment.Spec.Publish.RevisionHistoryLimit)
	}
	history, _, err := p.history(ctx, environment)
	if err != nil {
		return err
	}
	all, now := keptOf(history), p.Clock.Now()
	gone := expired(all, limit, now)
	old := compressible(all, gone, limit, now)
	compressed := 0
	for i := range history {
		entry := &history[i]
		revision := ownership.RevisionOf(entry)
		switch {
		case slices.Contains(keep, revision):
		case slices.Contains(gone, revision):
			err = p.delete(ctx, entry)
		case slices.Contains(old, revision) && !ownership.IsCompressed(entry) && compressed < compressedAtOnce:
			compressed++
			err = p.compress(ctx, environment, entry)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compress puts the compressed form of a history entry in its place. It creates that first, so that a crash leaves both,
// of which the next call removes the one. An entry stays as it is where it is not what the operator published, or where
// the name of its compressed form is taken by anything else than that.
func (p *Publisher) compress(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	metadata *metav1.PartialObjectMetadata,
) error {
	entry, err := p.get(ctx, environment, metadata.Name)
	if entry == nil || err != nil || entry.UID != metadata.UID {
		return ignoreNameTaken(err)
	}
	read, err := p.readSealed(environment, entry)
	if read == nil || err != nil {
		return err
	}
	compressed, err := ownership.Compress(entry)
	if err != nil {
		return wrap(err, "keep revision %d", read.Revision)
	}
	err = p.Client.Create(ctx, compressed)
	if apierrors.IsAlreadyExists(err) {
		var is bool
		if is, err = p.holds(ctx, environment, compressed.Name, read); !is {
			return err
		}
	}
	if err != nil {
		return wrap(err, "compress revision %d", read.Revision)
	}
	return p.delete(ctx, metadata)
}

// holds reports whether the ConfigMap of that name is a history entry of the environment with the same content.
func (p *Publisher) holds(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	name string,
	content *ownership.Datafile,
) (bool, error) {
	found, err := p.get(ctx, environment, name)
	if found == nil || err != nil {
		return false, ignoreNameTaken(err)
	}
	read, err := p.readSealed(environment, found)
	if read == nil || err != nil {
		return false, err
	}
	return read.Revision == content.Revision && read.Digest == content.Digest &&
		Files{Text: read.Text, Binary: read.Binary}.Equal(Files{Text: content.Text, Binary: content.Binary}), nil
}

// readSealed reads a history entry, and nil where it is not the operator's or the operator could not tell that for good:
// a status that confirms an entry without a seal goes on to the next revision.
func (p *Publisher) readSealed(
	environment *v1alpha1.FlagEnvironment,
	entry *corev1.ConfigMap,
) (*ownership.Datafile, error) {
	if !p.Seal.HoldsDatafile(client.ObjectKeyFromObject(environment), entry) {
		return nil, nil
	}
	read, err := ownership.Read(p.Seal, environment, entry)
	return read, ignoreTampered(err)
}
