// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	// MaxBrought is how many change records one revision names.
	MaxBrought = 250

	// maxBroughtBytes is how large the annotation that names them may be.
	maxBroughtBytes = 128 << 10

	// maxPublishedBytes bounds what sums up the revisions of a change.
	maxPublishedBytes = 4096
)

// Named identifies an object of a namespace in the history.
type Named struct{ Kind, Name string }

// String returns Kind and name with a slash between them.
func (n Named) String() string { return n.Kind + "/" + n.Name }

// Brought holds the ids of the change records that a revision brings, by Kind and name of the changed object as
// Named.String has them.
type Brought map[string][]string

// Encode returns the annotation that names the changes, and an empty one where there are none or too many.
func (b Brought) Encode() string {
	if len(b) == 0 {
		return ""
	}
	data, err := json.Marshal(b)
	if err != nil || len(data) > maxBroughtBytes {
		return ""
	}
	return string(data)
}

// DecodeBrought returns the changes that an annotation names. What Encode has not made names none.
func DecodeBrought(annotation string) Brought {
	var brought Brought
	if annotation == "" || len(annotation) > maxBroughtBytes || json.Unmarshal([]byte(annotation), &brought) != nil {
		return nil
	}
	total := 0
	for _, ids := range brought {
		total += len(ids)
	}
	if total > MaxBrought || len(brought) > MaxBrought {
		return nil
	}
	return brought
}

// Names returns the names of the objects of a Kind, in no order.
func (b Brought) Names(kind string) []string {
	var names []string
	for of := range b {
		if name, is := strings.CutPrefix(of, kind+"/"); is {
			names = append(names, name)
		}
	}
	return names
}

// IsBrake reports whether the change forces a flag off somewhere, or no longer.
func (r *Record) IsBrake() bool {
	return slices.ContainsFunc(r.Changes, func(change Change) bool { return change.Path == forceDisabledPath })
}

// Concerns reports whether the change may change what an environment serves.
func (r *Record) Concerns(of v1alpha1.ChangedObject, environment string) bool {
	concerned := r.concerned(of)
	return len(concerned) == 0 || slices.Contains(concerned, environment)
}

// concerned are the environments that the change may concern, and none where it may concern all.
func (r *Record) concerned(of v1alpha1.ChangedObject) []string {
	isElsewhere := func(change Change) bool {
		_, _, isPart := splitPart(change.Path)
		return !isPart && change.Path != forceDisabledPath
	}
	if of.Kind != "FlagEnvironment" && (r.Omitted > 0 || slices.ContainsFunc(r.Changes, isElsewhere)) {
		return nil
	}
	return r.environments(of)
}

// MovedRecord is a record that was moved into the history.
type MovedRecord struct {
	ID   string
	Time time.Time
}

// Moved returns, oldest first, the records among the metadata of FlagChanges of an object with that UID that were
// admitted at that time or later and may concern the environment.
func Moved(
	changes []metav1.PartialObjectMetadata,
	uid types.UID,
	environment string,
	since time.Time,
) []MovedRecord {
	var moved []MovedRecord
	for i := range changes {
		change := &changes[i]
		at, err := time.Parse(metav1.RFC3339Micro, change.Annotations[v1alpha1.ChangedAtAnnotation])
		concerned := change.Annotations[v1alpha1.EnvironmentsAnnotation]
		if err != nil || at.Before(since) || change.Labels[v1alpha1.HistoryLabel] != v1alpha1.HistoryRecorded ||
			change.Labels[v1alpha1.UIDLabel] != string(uid) ||
			concerned != "" && !slices.Contains(strings.Split(concerned, ","), environment) {
			continue
		}
		moved = append(moved, MovedRecord{ID: change.Name, Time: at})
	}
	slices.SortFunc(moved, func(a, b MovedRecord) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID)) })
	return moved
}

// WithRevisions returns the status of a change that revisions of environments, by their names, are known to have
// published too. Of two revisions of one environment the first stays. It reports whether that changes anything.
func WithRevisions(status v1alpha1.FlagChangeStatus, by map[string]int64) (v1alpha1.FlagChangeStatus, bool) {
	revisions, changed := slices.Clone(status.Revisions), false
	for environment, revision := range by {
		known := slices.IndexFunc(revisions, func(r v1alpha1.ChangeRevision) bool { return r.Environment == environment })
		switch {
		case known < 0 && len(revisions) < maxEnvironments:
			revisions = append(revisions, v1alpha1.ChangeRevision{Environment: environment, Revision: revision})
			changed = true
		case known >= 0 && revision < revisions[known].Revision:
			revisions[known].Revision = revision
			changed = true
		}
	}
	if !changed {
		return status, false
	}
	slices.SortFunc(revisions, func(a, b v1alpha1.ChangeRevision) int { return cmp.Compare(a.Environment, b.Environment) })
	published := ""
	for i := range revisions {
		next := strings.TrimPrefix(fmt.Sprintf("%s %s/%d", published, revisions[i].Environment, revisions[i].Revision), " ")
		if len(next) > maxPublishedBytes {
			break
		}
		published = next
	}
	return v1alpha1.FlagChangeStatus{Published: published, Revisions: revisions}, true
}
