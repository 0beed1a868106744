// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"cmp"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// FromControllerRevision returns the FlagChanges that stand for a ControllerRevision in which releases up to 0.1 kept
// change records, and none where it is not of that history. It fails where the revision cannot be read.
func FromControllerRevision(revision *appsv1.ControllerRevision) ([]*v1alpha1.FlagChange, error) {
	kind, name, is := Subject(revision)
	if !is {
		return nil, nil
	}
	fail := func(err error) ([]*v1alpha1.FlagChange, error) {
		return nil, fmt.Errorf("read revision %q of the history: %w", revision.Name, err)
	}
	var envelope struct {
		Gzip []byte `json:"gzip"`
	}
	if err := json.Unmarshal(revision.Data.Raw, &envelope); err != nil {
		return fail(err)
	}
	data, err := decompress(envelope.Gzip)
	if err != nil {
		return fail(err)
	}
	var contents struct {
		Records []Record        `json:"records"`
		Spec    json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(data, &contents); err != nil {
		return fail(err)
	}
	of := v1alpha1.ChangedObject{Kind: kind, Name: name, UID: revision.Labels[v1alpha1.UIDLabel]}
	var spec struct {
		Key string `json:"key"`
	}
	if kind == "FeatureFlag" && json.Unmarshal(contents.Spec, &spec) == nil {
		of.Key = cmp.Or(spec.Key, name)
	}
	changes := make([]*v1alpha1.FlagChange, 0, len(contents.Records))
	for i := range contents.Records {
		record := &contents.Records[i]
		if !isID(record.ID) || record.Time.IsZero() {
			return fail(fmt.Errorf("record %d has no id or no time", i))
		}
		// Only the last record of a deletion may be of a change that did not happen.
		state, after := v1alpha1.HistoryRecorded, json.RawMessage(nil)
		if i == len(contents.Records)-1 {
			state, after = revision.Labels[v1alpha1.HistoryLabel], contents.Spec
		}
		change, err := NewChange(revision.Namespace, of, state, record, after)
		if err != nil {
			return fail(err)
		}
		changes = append(changes, change)
	}
	return changes, nil
}
