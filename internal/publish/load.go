// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// Load reads what the environment serves. The history, of which nobody can edit the contents, has precedence over the
// served ConfigMap. Known is the revision that the caller knows to be served, and 0 where it does not; a newer one that
// another manager has published meanwhile is believed too. What is forged is named in the result and is not loaded. It
// fails with a Problem where the name is taken or a newer operator has published.
func (p *Publisher) Load(ctx context.Context, environment *v1alpha1.FlagEnvironment, known int64) (*Served, error) {
	current, err := p.get(ctx, environment, environment.DatafileName())
	if err != nil {
		return nil, err
	}
	served := &Served{FlagdComplete: true}
	believed := cmp.Or(known, plausible(environment.Status.PublishedRevision))
	if current != nil {
		served.object = current.ObjectMeta
		if is, err := p.loadBreakGlass(ctx, environment, current, served); is || err != nil {
			return served, err
		}
		if believed, err = p.believed(ctx, environment, known, believed, current); err != nil {
			return nil, err
		}
	}
	if err := p.findKept(ctx, environment, known, believed, current, served); err != nil {
		return nil, err
	}
	if err := p.recallBreakGlass(ctx, environment, current, served); err != nil {
		return nil, err
	}
	formats := environment.Spec.Datafile.Formats
	if current != nil && served.Revision > 0 && filesOf(current).Equal(served.Files.Only(formats)) {
		served.formats = formats
	}
	return served, nil
}

// believed is the revision that is served: at least the one that is confirmed, or the newer one of the served ConfigMap
// current where that is to be believed. Newer than what is known, and with the files that the history has of it, it was
// published by another manager: to restore what is known would be to fight with that one. What a person edits is not
// so.
func (p *Publisher) believed(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	known, confirmed int64,
	current *corev1.ConfigMap,
) (int64, error) {
	revision := ownership.RevisionOf(current)
	if revision <= confirmed {
		return confirmed, nil
	}
	if known == 0 {
		if err := p.read(environment, current, &Served{}); err == nil {
			return revision, nil
		} else if !isTampered(err) {
			return 0, err
		}
		// What somebody wrote without the operator bears no seal. The history has it with one.
	}
	published := &Served{}
	if found, err := p.readKept(ctx, environment, revision, published); isTampered(err) || err == nil && !found {
		return confirmed, nil
	} else if err != nil {
		return 0, err
	}
	if !filesOf(current).Equal(published.Files.Only(environment.Spec.Datafile.Formats)) {
		return confirmed, nil
	}
	return revision, nil
}

// findKept reads into served what is or was served: the history's ConfigMap of the believed revision, else the served
// one, else, where nobody knows the revision, the newest history. Served keeps the revision 0 where there is nothing
// that the operator has published.
func (p *Publisher) findKept(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	known, believed int64,
	current *corev1.ConfigMap,
	served *Served,
) error {
	attempt := func(configMap *corev1.ConfigMap) (bool, error) {
		found := &Served{object: served.object, Forged: served.Forged}
		err := p.read(environment, configMap, found)
		if tampered := (*ownership.TamperedError)(nil); errors.As(err, &tampered) {
			served.Forged = append(served.Forged, tampered)
			return false, nil
		}
		if err != nil || configMap == current && known != 0 && found.Revision != known {
			return false, err // An older revision in the place of the one that is known would be a roll-back.
		}
		*served = *found
		return true, p.sealAnew(ctx, environment, configMap)
	}
	is, err := p.attemptKept(ctx, environment, believed, attempt)
	if is || err != nil {
		return err
	}
	if current != nil {
		if is, err := attempt(current); is || err != nil {
			return err
		}
	}
	if known != 0 {
		return nil
	}
	history, _, err := p.history(ctx, environment)
	if err != nil {
		return err
	}
	if len(history) == 0 {
		if current != nil {
			p.passOver(environment, current, served)
		}
		return nil
	}
	newest := ownership.RevisionOf(&history[len(history)-1])
	if newest == believed {
		return nil
	}
	_, err = p.attemptKept(ctx, environment, newest, attempt)
	return err
}

// passOver keeps the number of a served ConfigMap of which nothing else is left, so that it gets no second content.
func (p *Publisher) passOver(environment *v1alpha1.FlagEnvironment, current *corev1.ConfigMap, served *Served) {
	revision := ownership.RevisionOf(current)
	if p.Seal.HoldsDatafile(client.ObjectKeyFromObject(environment), current) && revision <= maxUnconfirmed {
		served.Revision = revision
	} else if revision <= maxUnconfirmed {
		served.floor = revision
	}
}

// attemptKept reads a revision of the history, where there is one.
func (p *Publisher) attemptKept(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	revision int64,
	attempt func(*corev1.ConfigMap) (bool, error),
) (is bool, err error) {
	if revision == 0 {
		return false, nil
	}
	err = p.eachEntry(ctx, environment, revision, func(entry *corev1.ConfigMap) (bool, error) {
		var err error
		is, err = attempt(entry)
		return is, err
	})
	return is, err
}

// eachEntry reads the ConfigMaps of the environment that keep a revision, until it is told to stop: first the one that
// was published, then the compressed one. Both are there while the one takes the place of the other.
func (p *Publisher) eachEntry(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	revision int64,
	do func(entry *corev1.ConfigMap) (stop bool, err error),
) error {
	for _, name := range ownership.HistoryNames(environment, revision) {
		entry, err := p.get(ctx, environment, name)
		if ignoreNameTaken(err) != nil {
			return err
		}
		if entry == nil {
			continue
		}
		if stop, err := do(entry); stop || err != nil {
			return err
		}
	}
	return nil
}

// readKept reads a revision of the history. It reports false where the history does not hold it, and fails with an
// *ownership.TamperedError where it holds nothing of that revision but what the operator has not published.
func (p *Publisher) readKept(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	revision int64,
	to *Served,
) (found bool, err error) {
	var forged error
	err = p.eachEntry(ctx, environment, revision, func(entry *corev1.ConfigMap) (bool, error) {
		err := p.read(environment, entry, to)
		if isTampered(err) {
			forged = cmp.Or(forged, err)
			return false, nil
		}
		found = err == nil
		return true, err
	})
	if err == nil && !found {
		err = forged
	}
	return found, err
}

// read takes the revision from a ConfigMap. What holds no native document counts as never published, except for its
// number. It fails with an *ownership.TamperedError where the operator has not published that.
func (p *Publisher) read(environment *v1alpha1.FlagEnvironment, configMap *corev1.ConfigMap, to *Served) error {
	read, err := ownership.Read(p.Seal, environment, configMap)
	if err != nil {
		return err
	}
	p.take(environment, configMap, read, to)
	return nil
}

// take takes what was read of a ConfigMap.
func (p *Publisher) take(
	environment *v1alpha1.FlagEnvironment,
	configMap *corev1.ConfigMap,
	read *ownership.Datafile,
	to *Served,
) {
	to.Revision, to.Digest, to.Contents = read.Revision, read.Digest, read.Contents
	if read.Native == nil {
		to.Digest = ""
	}
	to.PublishedAt, _ = time.Parse(time.RFC3339, configMap.Annotations[v1alpha1.PublishedAtAnnotation])
	to.FlagdComplete = configMap.Annotations[v1alpha1.FlagdIncompleteAnnotation] == ""
	to.PinnedRevision = pinnedRevisionOf(configMap)
	isHistory := configMap.Labels[v1alpha1.DatafileLabel] == v1alpha1.DatafileHistory
	if mark, is := ownership.BreakGlassOf(configMap); is && isHistory {
		to.keptMark = &mark
	}
	to.Files = Files{Text: read.Text, Binary: read.Binary}
	to.sealer, to.seal = p.Seal, p.sealOf(environment, to)
}

// sealAnew gives a history entry that was read the seal, where only the status has confirmed it. The served ConfigMap
// gets it with the next write.
func (p *Publisher) sealAnew(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	configMap *corev1.ConfigMap,
) error {
	if configMap.Labels[v1alpha1.DatafileLabel] != v1alpha1.DatafileHistory ||
		p.Seal.HoldsDatafile(client.ObjectKeyFromObject(environment), configMap) {
		return nil
	}
	configMap.Annotations[v1alpha1.SealAnnotation] = p.Seal.OfDatafile(client.ObjectKeyFromObject(environment),
		ownership.RevisionOf(configMap), configMap.Annotations[v1alpha1.DigestAnnotation], configMap.Annotations)
	return wrap(p.Client.Update(ctx, configMap), "seal ConfigMap %q", configMap.Name)
}

// sealOf is the seal of what is to be served, and empty where this process has none.
func (p *Publisher) sealOf(environment *v1alpha1.FlagEnvironment, served *Served) string {
	annotations := p.configMap(environment, served, v1alpha1.DatafileServed, Files{}).Annotations
	return p.Seal.OfDatafile(client.ObjectKeyFromObject(environment), served.Revision, served.Digest,
		annotations)
}

// Forged names what carries the labels of the environment's history and does not bear the operator's seal, in the order
// of the names. It looks at metadata alone.
func (p *Publisher) Forged(ctx context.Context, environment *v1alpha1.FlagEnvironment) ([]string, error) {
	_, others, err := p.history(ctx, environment)
	var names []string
	for i := range others {
		names = append(names, others[i].Name)
	}
	return names, err
}

func isTampered(err error) bool {
	var tampered *ownership.TamperedError
	return errors.As(err, &tampered)
}

// ignoreTampered is err, but for what is forged.
func ignoreTampered(err error) error {
	if isTampered(err) {
		return nil
	}
	return err
}

// plausible is a revision that somebody else tells, and 0 where it can be none.
func plausible(revision int64) int64 {
	if revision < 1 || revision > ownership.MaxRevision {
		return 0
	}
	return revision
}
