// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// loadBreakGlass reads into served what somebody wrote without the operator, and reports whether it is that. It bears
// no seal: it is believed because admission lets only those write it who may publish. Where admission does not, or
// where its parts do not fit together, it is named in served as forged. It becomes a revision of the history, so that
// it can be served again once the mark is gone.
func (p *Publisher) loadBreakGlass(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	current *corev1.ConfigMap,
	served *Served,
) (bool, error) {
	mark, isMarked := ownership.BreakGlassOf(current)
	if !isMarked {
		return false, nil
	}
	tampered := func(forged *ownership.TamperedError) (bool, error) {
		served.Forged = append(served.Forged, forged)
		return false, nil
	}
	guarded, err := p.guarded(ctx)
	if err != nil {
		return false, err
	}
	var kept *corev1.ConfigMap
	name, isTaken := environment.HistoryName(ownership.RevisionOf(current)), false
	if kept, err = p.get(ctx, environment, name); HasReason(err, v1alpha1.NameTakenReason) {
		isTaken = true
	} else if err != nil {
		return false, err
	}
	read, err := ownership.JudgeBreakGlass(environment, current, mark, guarded, orNone(kept))
	if forged := (*ownership.TamperedError)(nil); errors.As(err, &forged) {
		return tampered(forged)
	} else if err != nil {
		return false, err
	}
	found := &Served{object: current.ObjectMeta, Forged: served.Forged, BreakGlass: &mark, marked: true}
	p.take(environment, current, read, found)
	switch {
	case isTaken:
		// It is reported, and makes nobody doubt what the policy vouches for.
		found.Forged = append(found.Forged, &ownership.TamperedError{
			Name: name,
			Why:  fmt.Sprintf("it is not the environment's, and keeps revision %d out of the history", found.Revision),
		})
	case kept == nil:
		entry := p.historyConfigMap(environment, found)
		entry.Annotations[v1alpha1.BroughtAnnotation] = history.Brought{
			history.Named{Kind: "FlagEnvironment", Name: environment.Name}.String(): {
				history.BreakGlassID(environment.Name, found.Revision, mark.String()),
			},
		}.Encode()
		err = p.Client.Create(ctx, entry)
		if apierrors.IsAlreadyExists(err) {
			return tampered(&ownership.TamperedError{
				Name: current.Name, Why: fmt.Sprintf("the history has something else as revision %d", found.Revision),
			})
		} else if err != nil {
			return false, wrap(err, "keep revision %d", found.Revision)
		}
	}
	*served = *found
	return true, nil
}

// recallBreakGlass finds out of what is served, where it is not a file that somebody has marked, whether it is break
// glass that nobody has ended: the history says so, and the status, unless it is lost.
func (p *Publisher) recallBreakGlass(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	current *corev1.ConfigMap,
	served *Served,
) error {
	status := &environment.Status
	if current != nil {
		_, isMarked := ownership.BreakGlassOf(current)
		served.unmarked = !isMarked
	}
	if !served.unmarked && served.keptMark != nil &&
		(status.State == v1alpha1.PublishStateBreakGlass || status.PublishedRevision == 0) {
		served.BreakGlass = served.keptMark
	}
	if current == nil {
		return nil
	}
	if by, is := ownership.BreakGlassEndOf(current); is {
		guarded, err := p.guarded(ctx)
		if err != nil {
			return err
		}
		if guarded { // Else nothing vouches for the name.
			served.EndedBy = &by
		}
	}
	return nil
}

// orNone is a ConfigMap as an interface that is nil where there is none.
func orNone(configMap *corev1.ConfigMap) metav1.Object {
	if configMap == nil {
		return nil
	}
	return configMap
}

func (p *Publisher) guarded(ctx context.Context) (bool, error) {
	if p.Guarded == nil {
		return false, nil
	}
	guarded, err := p.Guarded(ctx)
	return guarded, wrap(err, "look for the policy on datafiles")
}
