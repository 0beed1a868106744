// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history keeps who changed what and when. Admission appends a Record of each change to an annotation of the
// changed object, in the same write as the change, so that none is lost. The operator moves the records from there into
// FlagChanges, which List and ListProject read.
package history

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	// MaxRecordBytes is the size of one encoded Record. In a larger one, values are replaced by their digests.
	MaxRecordBytes = 4 << 10

	// MaxAnnotationBytes is the size of an annotation. In a larger one, the oldest records lose their changes.
	MaxAnnotationBytes = 64 << 10

	// CrowdedAnnotationBytes is the size of an annotation from which on its records are moved at once, for which the status
	// of their object is written at once.
	CrowdedAnnotationBytes = MaxAnnotationBytes / 2

	// A value that is larger is replaced by its digest: at first only a large one, then each that is larger than a digest.
	maxValueBytes   = 512
	maxCrowdedBytes = len(digestPrefix) + 2*sha256.Size + 2

	// maxActorBytes bounds the name and the UID of an actor each. Kubernetes does not.
	maxActorBytes = 256

	digestPrefix = "sha256:"
)

// Action says what kind of change a Record is of.
type Action string

// The actions. A change of several kinds at once is an update, but for one that archives or restores.
const (
	FlagCreated           Action = "flag.created"
	FlagUpdated           Action = "flag.updated"
	FlagToggled           Action = "flag.toggled"
	FlagArchived          Action = "flag.archived"
	FlagRestored          Action = "flag.restored"
	FlagRulesChanged      Action = "flag.rules_changed"
	FlagVariationsChanged Action = "flag.variations_changed"
	FlagOverridesChanged  Action = "flag.overrides_changed"
	FlagDeleted           Action = "flag.deleted"

	EnvironmentCreated   Action = "environment.created"
	EnvironmentUpdated   Action = "environment.updated"
	EnvironmentPublished Action = "environment.published"
	EnvironmentPinned    Action = "environment.pinned"
	EnvironmentSuspended Action = "environment.suspended"
	EnvironmentDeleted   Action = "environment.deleted"

	// BreakGlassBegun is of an environment of which somebody wrote what is served without the operator, and
	// BreakGlassEnded of one that the operator publishes again.
	BreakGlassBegun Action = "environment.break_glass"
	BreakGlassEnded Action = "environment.break_glass_ended"

	AudienceCreated Action = "audience.created"
	AudienceUpdated Action = "audience.updated"
	AudienceDeleted Action = "audience.deleted"

	EventCreated Action = "event.created"
	EventUpdated Action = "event.updated"
	EventDeleted Action = "event.deleted"

	// ChangesFolded is the action of a FlagChange that stands for many older changes.
	ChangesFolded Action = "changes.folded"
)

// Actor is the user who made a change, as the API server knows them.
type Actor struct {
	// Name is the user name, at most 256 bytes of it.
	Name string `json:"name"`
	// UID is the user's UID, and empty for users without one.
	UID string `json:"uid,omitempty"`
}

// Record is one admitted change of an object.
type Record struct {
	// ID is unique and a DNS label.
	ID string `json:"id"`
	// Action says what kind of change it is.
	Action Action `json:"action"`
	// Actor made the change.
	Actor Actor `json:"actor"`
	// Time is when the change was admitted. It is later than that of the object's record before.
	Time metav1.MicroTime `json:"time"`
	// Enables is true where the change enables a flag in an environment in which it was not.
	Enables bool `json:"enables,omitempty"`
	// Changes are the changed fields by path, without those that found no place.
	Changes []Change `json:"changes,omitempty"`
	// Omitted is the number of changed fields that found no place.
	Omitted int `json:"omitted,omitempty"`
	// Lost is the number of records right before this one that found no place.
	Lost int `json:"lost,omitempty"`
	// LostEnables is true where one of those that are lost enables a flag in some environment, or may do so.
	LostEnables bool `json:"lostEnables,omitempty"`
}

// switches reports whether the change switches a flag on or off, or may do so, and so is among the last to be lost.
func (r *Record) switches() bool {
	switch r.Action {
	case FlagToggled, FlagArchived, FlagRestored:
		return true
	default:
		return r.Enables || r.LostEnables
	}
}

// LoseBefore notes that records right before this one are lost, of which nothing is known.
func (r *Record) LoseBefore() { r.Lost, r.LostEnables = r.Lost+1, true }

// Change is one changed field.
type Change struct {
	// Path leads to the field. Elements of lists are named by their keys, such as spec.environments[production].enabled.
	Path string `json:"path"`
	// From is the JSON value before, and empty where there was none.
	From json.RawMessage `json:"from,omitempty"`
	// To is the JSON value after, and empty where there is none.
	To json.RawMessage `json:"to,omitempty"`
	// Digested is true where From and To are not the values themselves, which are too large, but strings of the form
	// "sha256:…".
	Digested bool `json:"digested,omitempty"`
}

// digest replaces the values by their digests where one of them is larger than limit bytes.
func (c *Change) digest(limit int) {
	if c.Digested || len(c.From) <= limit && len(c.To) <= limit {
		return
	}
	c.From, c.To, c.Digested = digestOf(c.From), digestOf(c.To), true
}

func digestOf(value json.RawMessage) json.RawMessage {
	if len(value) == 0 {
		return nil
	}
	sum := sha256.Sum256(value)
	return json.RawMessage(`"` + digestPrefix + hex.EncodeToString(sum[:]) + `"`)
}

// fit makes the record at most MaxRecordBytes large.
func (r *Record) fit() error {
	r.Actor.Name, r.Actor.UID = clip(r.Actor.Name), clip(r.Actor.UID)
	for i := range r.Changes {
		r.Changes[i].digest(maxValueBytes)
	}
	data, err := json.Marshal(r)
	if err != nil || len(data) <= MaxRecordBytes {
		return err
	}
	for i := range r.Changes {
		r.Changes[i].digest(maxCrowdedBytes)
	}
	for {
		if data, err = json.Marshal(r); err != nil || len(data) <= MaxRecordBytes || len(r.Changes) == 0 {
			return err
		}
		r.Omitted++
		r.Changes = r.Changes[:len(r.Changes)-1]
	}
}

// clip shortens a name that nothing bounds.
func clip(name string) string {
	if len(name) <= maxActorBytes {
		return name
	}
	return strings.ToValidUTF8(name[:maxActorBytes], "")
}

// Stamp says of a new record what its object does not: who made the change, when, and by which id. It keeps the record
// within MaxRecordBytes. The time is moved to right after that of the last of before, the object's records until now,
// where it is not later.
func (r *Record) Stamp(id string, actor Actor, now time.Time, before []Record) error {
	r.ID, r.Actor, r.Time = id, actor, metav1.NewMicroTime(now.UTC().Truncate(time.Microsecond))
	if len(before) > 0 {
		if last := before[len(before)-1].Time; !last.Before(&r.Time) {
			r.Time = metav1.NewMicroTime(last.Add(time.Microsecond))
		}
	}
	return r.fit()
}

// Encode returns the annotation that holds records, oldest first. What does not fit into MaxAnnotationBytes is left
// out: first the changes of the oldest records, then the oldest records, those last that switch a flag on or off. The
// next one keeps count, and says whether any of them enabled a flag. No records make no annotation, which is an empty
// one. Records are not changed.
func Encode(records []Record) (string, error) {
	if len(records) == 0 {
		return "", nil
	}
	records = slices.Clone(records)
	encoded := make([][]byte, len(records))
	size := 1
	encode := func(i int) error {
		data, err := json.Marshal(records[i])
		size += len(data) - len(encoded[i])
		encoded[i] = data
		return err
	}
	for i := range records {
		size++
		if err := encode(i); err != nil {
			return "", fmt.Errorf("encode record %q: %w", records[i].ID, err)
		}
	}
	for i := 0; i < len(records) && size > MaxAnnotationBytes; i++ {
		records[i].Omitted += len(records[i].Changes)
		records[i].Changes = nil
		if err := encode(i); err != nil {
			return "", fmt.Errorf("encode record %q: %w", records[i].ID, err)
		}
	}
	lost := make([]bool, len(records))
	for _, isMeant := range []func(*Record) bool{func(r *Record) bool { return !r.switches() }, (*Record).switches} {
		for i := 0; i < len(records)-1 && size > MaxAnnotationBytes; i++ {
			if lost[i] || !isMeant(&records[i]) {
				continue
			}
			next := i + 1 + slices.Index(lost[i+1:], false) // The last one is never lost.
			lost[i] = true
			size -= len(encoded[i]) + 1
			records[next].Lost += records[i].Lost + 1
			records[next].LostEnables = records[next].LostEnables || records[i].LostEnables || records[i].Enables
			if err := encode(next); err != nil {
				return "", fmt.Errorf("encode record %q: %w", records[next].ID, err)
			}
		}
	}
	var text strings.Builder
	text.Grow(size)
	separator := byte('[')
	for i, data := range encoded {
		if lost[i] {
			continue
		}
		text.WriteByte(separator)
		text.Write(data)
		separator = ','
	}
	text.WriteByte(']')
	return text.String(), nil
}

// ErrMalformed says that an annotation does not hold records.
var ErrMalformed = errors.New("the annotation does not hold change records")

// Decode returns the records of an annotation, oldest first. It fails with ErrMalformed where the annotation was not
// made by Encode.
func Decode(annotation string) ([]Record, error) {
	if annotation == "" {
		return nil, nil
	}
	if len(annotation) > MaxAnnotationBytes {
		return nil, fmt.Errorf("%w: it has %d bytes; the limit is %d", ErrMalformed, len(annotation), MaxAnnotationBytes)
	}
	var records []Record
	if err := json.Unmarshal([]byte(annotation), &records); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	for i := range records {
		if !isID(records[i].ID) || records[i].Time.IsZero() {
			return nil, fmt.Errorf("%w: record %d has no id or no time", ErrMalformed, i)
		}
	}
	return records, nil
}

// isID reports whether id can be part of the name of an object.
func isID(id string) bool {
	return id != "" && len(id) <= 63 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" &&
		!strings.HasPrefix(id, "-") && !strings.HasSuffix(id, "-")
}

// IsShortened reports whether shorter is what is left of records when the oldest are taken away.
func IsShortened(records, shorter []Record) bool {
	if len(shorter) >= len(records) {
		return false
	}
	return slices.EqualFunc(records[len(records)-len(shorter):], shorter, func(a, b Record) bool { return a.ID == b.ID })
}

// newestFirst orders records for readers.
func newestFirst(a, b Record) int {
	return cmp.Or(b.Time.Compare(a.Time.Time), cmp.Compare(b.ID, a.ID))
}

// EnablesIn reports whether the change enables a flag in the environment, or one before it that is lost, or may do so as
// far as the record tells.
func (r Record) EnablesIn(environment string) bool {
	mayEnable := func(change Change) bool { return change.mayEnable(environment) }
	return r.LostEnables ||
		r.Enables && (r.Omitted > 0 || len(r.Changes) == 0 || slices.ContainsFunc(r.Changes, mayEnable))
}

// mayEnable reports whether the field is what switches a flag on in the environment, or may be that.
func (c *Change) mayEnable(environment string) bool {
	part := "spec.environments[" + environment + "]"
	switch c.Path {
	case "spec", "spec.environments":
		return true
	case part, part + ".enabled":
	default:
		return false
	}
	if c.Digested || len(c.To) == 0 {
		return c.Digested
	}
	if c.Path != part {
		return string(c.To) != "false"
	}
	config := v1alpha1.EnvironmentConfig{}
	return json.Unmarshal(c.To, &config) != nil || config.Enabled
}
