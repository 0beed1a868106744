// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	// MaxStoredBytes is how large all revisions of one object may be together.
	MaxStoredBytes = 256 << 10

	// Retention is how long the history of an object outlives it.
	Retention = 30 * 24 * time.Hour

	// maxSpecBytes is how large a compressed spec may be. A larger one is left out.
	maxSpecBytes = 192 << 10

	// maxReadBytes bounds what one revision is decompressed to: a spec, and all records of an annotation.
	maxReadBytes = 4 << 20

	revisionPrefix = "jackstaff-history-"

	maxLabelLength = 63
)

// Contents is what one ControllerRevision holds.
type Contents struct {
	// Records are, oldest first, one record, or where the object is deleted also those that were not moved before.
	Records []Record `json:"records"`
	// Spec is the object's spec after the last of Records, where it is known.
	Spec json.RawMessage `json:"spec,omitempty"`
}

// envelope is the data of a ControllerRevision, which must be a JSON object.
type envelope struct {
	Gzip []byte `json:"gzip"`
}

// NewRevision returns the ControllerRevision that holds contents of an object of that kind. It is named after the last
// record, so that one that is made again is the same. Its HistoryLabel is state. It fails where contents have no
// record.
func NewRevision(kind string, of metav1.Object, state string, contents Contents) (*appsv1.ControllerRevision, error) {
	if len(contents.Records) == 0 {
		return nil, errors.New("make a revision of the history: it has no record")
	}
	data, err := pack(contents)
	if err == nil && len(data) > maxSpecBytes {
		contents.Spec = nil
		data, err = pack(contents)
	}
	if err != nil {
		return nil, fmt.Errorf("make a revision of the history: %w", err)
	}
	last := contents.Records[len(contents.Records)-1]
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name: revisionPrefix + last.ID, Namespace: of.GetNamespace(),
			Labels: map[string]string{
				v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.HistoryLabel: state,
				LabelOf(kind): labelValue(of.GetName()), v1alpha1.UIDLabel: string(of.GetUID()),
			},
			Annotations: map[string]string{
				v1alpha1.NameAnnotation:      of.GetName(),
				v1alpha1.ChangedAtAnnotation: last.Time.UTC().Format(metav1.RFC3339Micro),
				v1alpha1.BytesAnnotation:     strconv.Itoa(len(data)),
			},
		},
		Data:     runtime.RawExtension{Raw: data},
		Revision: last.Time.UnixMicro(),
	}, nil
}

// Selector returns the labels of the revisions of the object of that kind and name.
func Selector(kind, name string) map[string]string {
	return map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, LabelOf(kind): labelValue(name)}
}

// LabelOf returns the label that names objects of a kind, which is FeatureFlag, FlagEnvironment or FlagAudience.
func LabelOf(kind string) string {
	switch kind {
	case "FlagEnvironment":
		return v1alpha1.EnvironmentLabel
	case "FlagAudience":
		return v1alpha1.AudienceLabel
	default:
		return v1alpha1.FlagLabel
	}
}

// Metadata returns an empty object for the metadata of a ControllerRevision, by which a cache knows what to hold.
func Metadata() *metav1.PartialObjectMetadata {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("ControllerRevision"))
	return metadata
}

// Subject returns kind and name of the object whose history a ControllerRevision belongs to, and false where it belongs
// to none.
func Subject(revision metav1.Object) (kind, name string, is bool) {
	labels := revision.GetLabels()
	if labels[v1alpha1.ManagedByLabel] != v1alpha1.ManagedBy || labels[v1alpha1.HistoryLabel] == "" {
		return "", "", false
	}
	for _, kind := range []string{"FeatureFlag", "FlagEnvironment", "FlagAudience"} {
		if labels[LabelOf(kind)] != "" {
			return kind, revision.GetAnnotations()[v1alpha1.NameAnnotation], true
		}
	}
	return "", "", false
}

// labelValue is a name, or its digest where it is too long for a label.
func labelValue(name string) string {
	if len(name) <= maxLabelLength {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])[:maxLabelLength]
}

func pack(contents Contents) ([]byte, error) {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if err := json.NewEncoder(writer).Encode(contents); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return json.Marshal(envelope{Gzip: packed.Bytes()})
}

// ReadRevision returns what a ControllerRevision of NewRevision holds. It fails where that is malformed or too large.
func ReadRevision(revision *appsv1.ControllerRevision) (Contents, error) {
	contents, err := unpack(revision.Data.Raw)
	if err != nil {
		return Contents{}, fmt.Errorf("read revision %q of the history: %w", revision.Name, err)
	}
	return contents, nil
}

func unpack(data []byte) (Contents, error) {
	var packed envelope
	if err := json.Unmarshal(data, &packed); err != nil {
		return Contents{}, err
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed.Gzip))
	if err != nil {
		return Contents{}, err
	}
	plain, err := io.ReadAll(io.LimitReader(reader, maxReadBytes+1))
	if err != nil {
		return Contents{}, err
	}
	if len(plain) > maxReadBytes {
		return Contents{}, fmt.Errorf("it holds more than %d bytes", maxReadBytes)
	}
	var contents Contents
	if err := json.Unmarshal(plain, &contents); err != nil {
		return Contents{}, err
	}
	return contents, nil
}
