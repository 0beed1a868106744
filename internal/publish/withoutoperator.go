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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// ServeWithoutOperator serves the next revision and marks it with who did so and when, which the operator leaves as it
// is until somebody ends that. Make makes the content from the ConfigMap that is served, and is called again where
// somebody else writes at the same time, so that nobody undoes what another has done; it returns nil where nothing is
// to be done, and then the revision is 0. It is for a person while the operator is away: nothing is kept in the
// history, which the operator does when it is back, and the datafile bears no seal. It fails with a *Problem where the
// content does not fit, with the error of render, and with a conflict where others write again and again.
func (p *Publisher) ServeWithoutOperator(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	mark ownership.BreakGlass,
	render func(current *corev1.ConfigMap) (*Content, error),
) (revision int64, err error) {
	if !slices.Contains(environment.Spec.Datafile.Formats, v1alpha1.DatafileFormatNative) {
		return 0, fmt.Errorf("environment %q publishes no native datafile, by which the operator would know what was done; "+
			"see spec.datafile.formats", environment.Name)
	}
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		revision = 0
		current, err := p.get(ctx, environment, environment.DatafileName())
		if err != nil {
			return err
		}
		if current == nil {
			return fmt.Errorf("environment %q serves nothing yet", environment.Name)
		}
		content, err := render(current)
		if err != nil || content == nil {
			return err
		}
		revision, err = p.serveMarked(ctx, environment, current, content, mark)
		return err
	})
	return revision, err
}

// serveMarked serves content as the revision after that of current, with a mark.
func (p *Publisher) serveMarked(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	current *corev1.ConfigMap,
	content *Content,
	mark ownership.BreakGlass,
) (int64, error) {
	numbers, err := p.numbers(ctx, environment, &Served{Revision: ownership.RevisionOf(current)})
	if err != nil {
		return 0, err
	}
	next := &Served{
		Revision:    numbers.after(numbers.highest),
		Digest:      content.Digest(environment.Spec.Datafile.Formats),
		PublishedAt: mark.At.UTC().Truncate(time.Second),
		Contents:    content.Contents,
		object:      current.ObjectMeta,
	}
	header := datafile.Header{Project: environment.Namespace, Environment: environment.Name, Revision: next.Revision}
	inFull := *content
	inFull.IsBrake = true // Only a person who may publish does this, in an emergency.
	if next.Files, next.FlagdComplete, err = Layout(
		header,
		inFull,
		environment.Spec.Datafile,
		filesOf(current),
	); err != nil {
		return 0, err
	}
	written := p.servedConfigMap(environment, next)
	written.Annotations[v1alpha1.BreakGlassAnnotation] = mark.String()
	// The operator has sealed the keys that it mirrors.
	delete(written.Annotations, v1alpha1.SDKKeysAnnotation)
	if keys, has := current.Annotations[v1alpha1.SDKKeysAnnotation]; has {
		written.Annotations[v1alpha1.SDKKeysAnnotation] = keys
	}
	if err := p.Client.Update(ctx, written); err != nil {
		return 0, fmt.Errorf("serve revision %d without the operator: %w", next.Revision, err)
	}
	return next.Revision, nil
}

// CopyWithoutOperator brings the copy of a served datafile in another namespace up to date. It reports false where the
// namespace has none.
func (p *Publisher) CopyWithoutOperator(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	namespace string,
) (bool, error) {
	current, err := p.get(ctx, environment, environment.DatafileName())
	if err != nil || current == nil {
		return false, err
	}
	copied := &corev1.ConfigMap{}
	if err := p.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: current.Name}, copied); err != nil {
		return false, wrap(client.IgnoreNotFound(err), "read the copy in namespace %q", namespace)
	}
	if !ownership.IsCopyOf(client.ObjectKeyFromObject(environment), copied) {
		return false, nil
	}
	copied.Data, copied.BinaryData = current.Data, current.BinaryData
	for _, name := range []string{v1alpha1.DigestAnnotation, v1alpha1.PublishedAtAnnotation} {
		copied.Annotations[name] = current.Annotations[name]
	}
	copied.Annotations[v1alpha1.RevisionAnnotation] = strconv.FormatInt(ownership.RevisionOf(current), 10)
	delete(copied.Annotations, v1alpha1.SealAnnotation)
	return true, wrap(p.Client.Update(ctx, copied), "write the copy in namespace %q", namespace)
}
