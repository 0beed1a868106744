// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// List returns the records of the flag of that name, newest first: those in the history, and those that the flag still
// carries. The history of earlier flags of that name is part of it until it expires; one of a flag that is gone is the
// only part. Reader must read ControllerRevisions. A revision that cannot be read is an error, for an incomplete
// history must not look like a complete one.
func List(ctx context.Context, reader client.Reader, namespace, flag string) ([]Record, error) {
	// In this order, a record that is moved between the two reads is read twice rather than not at all.
	carried, err := carriedBy(ctx, reader, namespace, flag)
	if err != nil {
		return nil, err
	}
	revisions := &appsv1.ControllerRevisionList{}
	if err := reader.List(
		ctx,
		revisions,
		client.InNamespace(namespace),
		client.MatchingLabels(Selector("FeatureFlag", flag)),
	); err != nil {
		return nil, fmt.Errorf("list the history of flag %q: %w", flag, err)
	}
	known := map[string]bool{}
	var records []Record
	add := func(more []Record) {
		for i := range more {
			if !known[more[i].ID] {
				known[more[i].ID] = true
				records = append(records, more[i])
			}
		}
	}
	add(carried)
	for i := range revisions.Items {
		if revisions.Items[i].Labels[v1alpha1.HistoryLabel] != v1alpha1.HistoryRecorded {
			continue
		}
		contents, err := ReadRevision(&revisions.Items[i])
		if err != nil {
			return nil, err
		}
		add(contents.Records)
	}
	slices.SortFunc(records, newestFirst)
	return records, nil
}

// carriedBy returns the records that the flag still carries.
func carriedBy(ctx context.Context, reader client.Reader, namespace, name string) ([]Record, error) {
	flag := &v1alpha1.FeatureFlag{}
	if err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, flag); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read flag %q: %w", name, err)
	}
	return Decode(flag.Annotations[v1alpha1.ChangesAnnotation])
}
