// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// compressedSuffix ends the name of a compressed history entry, and the names of its files. An entry is immutable, so
// that its compressed form is another ConfigMap.
const compressedSuffix = ".gz"

// HistoryNames are the two names that the history entry of a revision can have: as it was published, and compressed.
// While one takes the place of the other both exist, with the same content.
func HistoryNames(environment *v1alpha1.FlagEnvironment, revision int64) [2]string {
	name := environment.HistoryName(revision)
	return [2]string{name, name + compressedSuffix}
}

// IsCompressed reports whether an object is a compressed history entry, by its metadata.
func IsCompressed(object metav1.Object) bool {
	labels, name := object.GetLabels(), object.GetName()
	revision, found := HistoryRevision(labels[v1alpha1.EnvironmentLabel], name)
	return found && labels[v1alpha1.DatafileLabel] == v1alpha1.DatafileHistory &&
		name == historyName(labels[v1alpha1.EnvironmentLabel], revision)+compressedSuffix
}

// GetHistory reads the history entry of a revision by whichever name it has. It says nothing about who wrote it; see
// Read. It fails with the reader's NotFound error of the first name where there is none.
func GetHistory(
	ctx context.Context,
	reader client.Reader,
	environment *v1alpha1.FlagEnvironment,
	revision int64,
) (*corev1.ConfigMap, error) {
	var notFound error
	for _, name := range HistoryNames(environment, revision) {
		configMap := &corev1.ConfigMap{}
		err := reader.Get(ctx, client.ObjectKey{Namespace: environment.Namespace, Name: name}, configMap)
		if err == nil {
			return configMap, nil
		}
		if !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("read ConfigMap %q: %w", name, err)
		}
		if notFound == nil {
			notFound = fmt.Errorf("read ConfigMap %q: %w", name, err)
		}
	}
	return nil, notFound
}

// Compress returns the compressed form of a history entry, which is to be created beside it. Metadata stay, and so does
// the seal: it is over the content, which is the same.
func Compress(entry *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	compressed := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: entry.Namespace, Name: entry.Name + compressedSuffix,
			Labels: maps.Clone(entry.Labels), Annotations: maps.Clone(entry.Annotations),
		},
		Immutable:  new(true),
		BinaryData: maps.Clone(entry.BinaryData),
	}
	for name, text := range entry.Data {
		if _, isTaken := entry.BinaryData[name+compressedSuffix]; isTaken {
			compressed.Data = map[string]string{name: text} // The header of a document that was published compressed.
			continue
		}
		data, err := datafile.Compress([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("compress ConfigMap %q: %w", entry.Name, err)
		}
		if compressed.BinaryData == nil {
			compressed.BinaryData = map[string][]byte{}
		}
		compressed.BinaryData[name+compressedSuffix] = data
	}
	return compressed, nil
}

// expand returns a datafile with the values that were published: of a compressed history entry what Compress was given,
// and everything else as it is. It fails where that is more than a ConfigMap holds, before holding more.
func expand(configMap *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	if !IsCompressed(configMap) {
		return configMap, nil
	}
	expanded := &corev1.ConfigMap{
		TypeMeta: configMap.TypeMeta, ObjectMeta: configMap.ObjectMeta,
		Data: maps.Clone(configMap.Data), BinaryData: maps.Clone(configMap.BinaryData),
	}
	if expanded.Data == nil {
		expanded.Data = map[string]string{}
	}
	left := datafile.MaxConfigMapBytes
	for _, name := range slices.Sorted(maps.Keys(configMap.BinaryData)) {
		file, is := strings.CutSuffix(name, compressedSuffix)
		if _, isHeader := configMap.Data[file]; !is || isHeader {
			continue
		}
		text, err := decompress(configMap.BinaryData[name], left)
		if err != nil {
			return nil, fmt.Errorf("its %s: %w", name, err)
		}
		left -= len(text)
		expanded.Data[file] = text
		delete(expanded.BinaryData, name)
	}
	if len(expanded.BinaryData) == 0 {
		expanded.BinaryData = nil
	}
	return expanded, nil
}

// decompress returns at most limit bytes.
func decompress(data []byte, limit int) (string, error) {
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return "", fmt.Errorf("decompress: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(reader, int64(limit)+1))
	if err != nil {
		return "", fmt.Errorf("decompress: %w", err)
	}
	if len(text) > limit {
		return "", fmt.Errorf("it decompresses to more than the %d bytes that a ConfigMap holds", datafile.MaxConfigMapBytes)
	}
	return string(text), nil
}
