// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// loadBreakGlass reads into served what somebody wrote without the operator, and reports whether it is that. It bears
// no seal: it is believed because admission lets only those write it who may publish. Where admission does not, or
// where its parts do not fit together, it is named in served as forged.
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
	tampered := func(why string) (bool, error) {
		served.Forged = append(served.Forged, &ownership.TamperedError{Name: current.Name, Why: why})
		return false, nil
	}
	if guarded, err := p.guarded(ctx); err != nil {
		return false, err
	} else if !guarded {
		return tampered("it is marked as break glass by " + mark.Actor + ", and the ValidatingAdmissionPolicy " +
			"jackstaff-datafiles, which would vouch for that, is not in force")
	}
	read, err := ownership.ReadBreakGlass(environment, current)
	if forged := (*ownership.TamperedError)(nil); errors.As(err, &forged) {
		return tampered(forged.Why)
	} else if err != nil {
		return false, err
	}
	switch {
	case read.Native == nil:
		return tampered("it is marked as break glass and holds no native document")
	case read.Revision > maxUnconfirmed:
		return tampered(fmt.Sprintf("its revision is over %d", int64(maxUnconfirmed)))
	}
	found := &Served{object: current.ObjectMeta, Forged: served.Forged, BreakGlass: &mark}
	p.take(environment, current, read, found)
	if adopted, err := p.adopt(ctx, environment, found); err != nil {
		return false, err
	} else if !adopted {
		return tampered(fmt.Sprintf("the history has something else as revision %d", found.Revision))
	}
	*served = *found
	return true, nil
}

func (p *Publisher) guarded(ctx context.Context) (bool, error) {
	if p.Guarded == nil {
		return false, nil
	}
	guarded, err := p.Guarded(ctx)
	return guarded, wrap(err, "look for the policy on datafiles")
}

// adopt makes what somebody wrote without the operator a revision of the history, so that it can be served again once
// the mark is gone. It reports false where the history has something else under that number. Something that is not the
// environment's and has the name of the revision is reported, and makes nobody doubt what the policy vouches for.
func (p *Publisher) adopt(ctx context.Context, environment *v1alpha1.FlagEnvironment, served *Served) (bool, error) {
	name := environment.HistoryName(served.Revision)
	kept, err := p.get(ctx, environment, name)
	if HasReason(err, v1alpha1.NameTakenReason) {
		served.Forged = append(served.Forged, &ownership.TamperedError{
			Name: name, Why: fmt.Sprintf("it is not the environment's, and keeps revision %d out of the history", served.Revision),
		})
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if kept != nil {
		return kept.Annotations[v1alpha1.DigestAnnotation] == served.Digest, nil
	}
	err = p.Client.Create(ctx, p.historyConfigMap(environment, served))
	if apierrors.IsAlreadyExists(err) {
		return false, nil
	}
	return err == nil, wrap(err, "keep revision %d", served.Revision)
}
