// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	// MaxStoredBytes is how large all detailed records of one object may be together.
	MaxStoredBytes = 256 << 10

	// Retention is how long the history of an object outlives it.
	Retention = 30 * 24 * time.Hour

	// maxSpecBytes is how large a compressed spec may be. A larger one is left out.
	maxSpecBytes = 192 << 10

	// maxReadBytes bounds what one spec is decompressed to.
	maxReadBytes = 4 << 20

	maxLabelLength = 63
)

// labelOf is the label that names the objects of a Kind on their change records.
func labelOf(kind string) string {
	known, _ := v1alpha1.KindNamed(kind)
	return known.Label
}

// ObjectOf identifies an object of that Kind in its change records.
func ObjectOf(kind string, object Object) v1alpha1.ChangedObject {
	of := v1alpha1.ChangedObject{Kind: kind, Name: object.GetName(), UID: string(object.GetUID())}
	if keyed, hasKey := object.(interface{ Key() string }); hasKey {
		of.Key = keyed.Key()
	}
	return of
}

// NewChange returns the FlagChange of a record. It is named after the record's id, so that one that is made again is
// the same. State is the value of its HistoryLabel. Spec is the object's spec after the change as JSON, and empty where
// it is not known; one that is too large is left out.
func NewChange(
	namespace string,
	of v1alpha1.ChangedObject,
	state string,
	record *Record,
	spec json.RawMessage,
) (*v1alpha1.FlagChange, error) {
	change := &v1alpha1.FlagChange{Spec: v1alpha1.FlagChangeSpec{
		ID: record.ID, Object: of, Action: string(record.Action), Time: record.Time,
		Actor:        v1alpha1.ChangeActor{Name: record.Actor.Name, UID: record.Actor.UID},
		Environments: record.environments(of), Summary: record.summary(), Enables: record.Enables,
		Omitted: bounded(record.Omitted), Lost: bounded(record.Lost),
	}}
	for i := range record.Changes {
		field := &record.Changes[i]
		change.Spec.Changes = append(change.Spec.Changes, v1alpha1.ChangedField{
			Path: field.Path, From: valueOf(field.From), To: valueOf(field.To), Digested: field.Digested,
		})
	}
	if len(spec) > 0 {
		packed, err := compress(spec)
		if err != nil {
			return nil, fmt.Errorf("compress the spec of %s %q: %w", of.Kind, of.Name, err)
		}
		if len(packed) <= maxSpecBytes {
			change.Spec.SpecGzip = base64.StdEncoding.EncodeToString(packed)
		}
	}
	finished, err := finish(namespace, record.ID, state, change)
	if concerned := record.concerned(of); err == nil && len(concerned) > 0 {
		finished.Annotations[v1alpha1.EnvironmentsAnnotation] = strings.Join(concerned, ",")
	}
	return finished, err
}

// finish gives a FlagChange its metadata, by which the operator finds it without reading it whole.
func finish(namespace, name, state string, change *v1alpha1.FlagChange) (*v1alpha1.FlagChange, error) {
	data, err := json.Marshal(change.Spec)
	if err != nil {
		return nil, fmt.Errorf("encode change %q: %w", name, err)
	}
	of := change.Spec.Object
	change.ObjectMeta = metav1.ObjectMeta{
		Name: name, Namespace: namespace,
		Labels: map[string]string{
			v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.HistoryLabel: state,
			labelOf(of.Kind): labelValue(of.Name), v1alpha1.UIDLabel: of.UID,
		},
		Annotations: map[string]string{
			v1alpha1.NameAnnotation:      of.Name,
			v1alpha1.ChangedAtAnnotation: change.Spec.Time.UTC().Format(metav1.RFC3339Micro),
			v1alpha1.BytesAnnotation:     strconv.Itoa(len(data)),
		},
	}
	if count := len(change.Spec.Older); count > 0 {
		change.Annotations[v1alpha1.CountAnnotation] = strconv.Itoa(count)
	}
	return change, nil
}

// Selector returns the labels of the FlagChanges of the object of that Kind and name.
func Selector(kind, name string) map[string]string {
	return map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, labelOf(kind): labelValue(name)}
}

// Metadata returns an empty object for the metadata of a FlagChange, by which a cache knows what to hold.
func Metadata() *metav1.PartialObjectMetadata {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FlagChange"))
	return metadata
}

// Subject returns Kind and name of the object whose history a FlagChange belongs to, and false where it belongs to
// none.
func Subject(change metav1.Object) (kind, name string, is bool) {
	labels := change.GetLabels()
	if labels[v1alpha1.ManagedByLabel] != v1alpha1.ManagedBy || labels[v1alpha1.HistoryLabel] == "" {
		return "", "", false
	}
	for _, of := range v1alpha1.Kinds {
		if labels[of.Label] != "" {
			return of.Name, change.GetAnnotations()[v1alpha1.NameAnnotation], true
		}
	}
	return "", "", false
}

// recordOf returns the record that a FlagChange holds.
func recordOf(spec *v1alpha1.FlagChangeSpec) Record {
	record := Record{
		ID: spec.ID, Action: Action(spec.Action), Actor: Actor{Name: spec.Actor.Name, UID: spec.Actor.UID}, Time: spec.Time,
		Enables: spec.Enables, Omitted: int(spec.Omitted), Lost: int(spec.Lost),
	}
	for i := range spec.Changes {
		field := &spec.Changes[i]
		record.Changes = append(record.Changes, Change{
			Path: field.Path, From: rawOf(field.From), To: rawOf(field.To), Digested: field.Digested,
		})
	}
	return record
}

// Spec returns the object's spec after a change, as JSON, and nothing where it was not kept. It fails where the change
// holds something else or too much.
func Spec(change *v1alpha1.FlagChange) (json.RawMessage, error) {
	if len(change.Spec.SpecGzip) == 0 {
		return nil, nil
	}
	packed, err := base64.StdEncoding.DecodeString(change.Spec.SpecGzip)
	if err != nil {
		return nil, fmt.Errorf("read the spec of change %q: %w", change.Name, err)
	}
	spec, err := decompress(packed)
	if err != nil {
		return nil, fmt.Errorf("read the spec of change %q: %w", change.Name, err)
	}
	return spec, nil
}

func valueOf(raw json.RawMessage) *v1alpha1.JSON {
	if len(raw) == 0 {
		return nil
	}
	return &v1alpha1.JSON{Raw: raw}
}

func rawOf(value *v1alpha1.JSON) json.RawMessage {
	if value == nil {
		return nil
	}
	return value.Raw
}

// bounded is a count as the Kind holds it.
func bounded(count int) int32 { return int32(min(count, 1<<30)) }

// labelValue is a name, or its digest where it is too long for a label.
func labelValue(name string) string {
	if len(name) <= maxLabelLength {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])[:maxLabelLength]
}

func compress(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if _, err := writer.Write(data); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

func decompress(packed []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(reader, maxReadBytes+1))
	if err != nil {
		return nil, err
	}
	if len(plain) > maxReadBytes {
		return nil, fmt.Errorf("it holds more than %d bytes", maxReadBytes)
	}
	return plain, nil
}
