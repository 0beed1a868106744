// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// TamperedError says that a ConfigMap carries an environment's labels and is not what the operator published.
type TamperedError struct {
	// Name is the name of the ConfigMap.
	Name string
	// Why is what does not fit.
	Why string
}

// Error says which ConfigMap, why, and what to do.
func (e *TamperedError) Error() string {
	return fmt.Sprintf(
		"ConfigMap %q is not what the operator published: %s; it is not served; find out who wrote it, then delete it",
		e.Name,
		e.Why,
	)
}

// Datafile is what a ConfigMap holds, with a digest that was computed from it.
type Datafile struct {
	Revision int64
	// Digest is the digest of the contents, "sha256:" and 64 hexadecimal digits.
	Digest string
	// Native is the native document, decompressed. It is nil where the ConfigMap holds none, and nothing else was checked
	// then.
	Native []byte
	// Contents are the parts of Native.
	Contents *datafile.Contents
	// Text and Binary are the values of the ConfigMap as they were published, also where the history has compressed them.
	Text   map[string]string
	Binary map[string][]byte
}

// Native is the native document of a ConfigMap, decompressed, and nil where it has none.
func Native(configMap *corev1.ConfigMap) ([]byte, error) {
	if compressed, ok := configMap.BinaryData[datafile.CompressedFileName]; ok {
		return datafile.Decompress(compressed)
	}
	if text, ok := configMap.Data[datafile.FileName]; ok {
		return []byte(text), nil
	}
	return nil, nil
}

// Read reads a datafile of the environment and computes its digest anew. It fails with a *TamperedError where the
// metadata say anything else than the contents, where the ConfigMap bears no seal, and, with
// datafile.ErrUnknownVersion, where a newer operator has published it. Without a seal it takes what the environment's
// status confirms: an older release published that, or the key of the seal was lost.
func Read(seal *Seal, environment *v1alpha1.FlagEnvironment, configMap *corev1.ConfigMap) (*Datafile, error) {
	key := types.NamespacedName{Namespace: environment.Namespace, Name: environment.Name}
	isSealed := seal.HoldsDatafile(key, configMap)
	revision, digest := RevisionOf(configMap), configMap.Annotations[v1alpha1.DigestAnnotation]
	if revision > 0 && !isSealed && !Confirms(&environment.Status, revision, digest) {
		return nil, &TamperedError{Name: configMap.Name, Why: "it does not bear the operator's seal"}
	}
	pinned := configMap.Annotations[v1alpha1.PinnedRevisionAnnotation]
	if !isSealed && pinned != "" && pinned != strconv.FormatInt(environment.Status.PinnedRevision, 10) {
		return nil, &TamperedError{Name: configMap.Name, Why: "its annotation names a pinned revision that nobody has pinned"}
	}
	return read(environment, configMap, isSealed)
}

// Differs says why the contents of a datafile are not those of the revision that its metadata name, to whoever has not
// the key of the seals. It is empty where they are, and where a newer operator has published it.
func Differs(environment *v1alpha1.FlagEnvironment, configMap *corev1.ConfigMap) string {
	_, err := read(environment, configMap, true)
	tampered := (*TamperedError)(nil)
	if !errors.As(err, &tampered) {
		return ""
	}
	return tampered.Why
}

// read is Read, without a look at who wrote the datafile.
func read(environment *v1alpha1.FlagEnvironment, configMap *corev1.ConfigMap, isSealed bool) (*Datafile, error) {
	name := configMap.Name
	tampered := func(format string, arguments ...any) error {
		return &TamperedError{Name: name, Why: fmt.Sprintf(format, arguments...)}
	}
	key := types.NamespacedName{Namespace: environment.Namespace, Name: environment.Name}
	read := &Datafile{Revision: RevisionOf(configMap), Digest: configMap.Annotations[v1alpha1.DigestAnnotation]}
	if read.Revision == 0 {
		return nil, tampered("it has no revision between 1 and %d", int64(MaxRevision))
	}
	configMap, err := expand(configMap)
	if err != nil {
		return nil, tampered("%s", err)
	}
	read.Text, read.Binary = filesOf(configMap)
	native, err := Native(configMap)
	if err != nil {
		return nil, tampered("%s", err)
	}
	if native == nil {
		return read, nil
	}
	header, contents, err := datafile.Decode(native)
	switch {
	case errors.Is(err, datafile.ErrUnknownVersion):
		return nil, fmt.Errorf("read ConfigMap %q: %w", configMap.Name, err)
	case err != nil:
		return nil, tampered("%s", err)
	case header.Compressed != "":
		return nil, tampered("it has lost the document that its header names")
	case header.Project != key.Namespace || header.Environment != key.Name || header.Revision != read.Revision:
		return nil, tampered("its document says that it is revision %d of %s/%s",
			header.Revision, header.Project, header.Environment)
	case header.SchemaVersion == datafile.SchemaVersion && !bytes.Equal(contents.Encode(header), native):
		return nil, tampered("its document is not written as the operator writes")
	}
	if err := checkHeader(configMap, header); err != nil {
		return nil, tampered("%s", err)
	}
	if err := checkDigest(configMap, isSealed, header, contents, read.Digest); err != nil {
		return nil, tampered("%s", err)
	}
	read.Native, read.Contents = native, contents
	return read, nil
}

// filesOf are the values of a ConfigMap that a datafile has. No digest is over others, so that they are not taken up.
func filesOf(configMap *corev1.ConfigMap) (text map[string]string, binary map[string][]byte) {
	text = maps.Clone(configMap.Data)
	maps.DeleteFunc(text, func(name, _ string) bool { return name != datafile.FileName && name != flagd.FileName })
	binary = maps.Clone(configMap.BinaryData)
	maps.DeleteFunc(binary, func(name string, _ []byte) bool { return name != datafile.CompressedFileName })
	return text, binary
}

// checkHeader makes sure that a compressed document has beside it what names it, and no other document: workloads that
// mount the ConfigMap read that first.
func checkHeader(configMap *corev1.ConfigMap, header datafile.Header) error {
	if _, isCompressed := configMap.BinaryData[datafile.CompressedFileName]; !isCompressed {
		return nil
	}
	header.Compressed = datafile.CompressedFileName
	beside, contents, err := datafile.Decode([]byte(configMap.Data[datafile.FileName]))
	if err != nil || beside != header || contents.Flags.Len() > 0 ||
		header.SchemaVersion == datafile.SchemaVersion &&
			configMap.Data[datafile.FileName] != string(datafile.EncodeHeader(header)) {
		return fmt.Errorf("its %s is not what belongs beside %s", datafile.FileName, datafile.CompressedFileName)
	}
	return nil
}

// Confirms reports whether a status says that the revision with that digest was published.
func Confirms(status *v1alpha1.FlagEnvironmentStatus, revision int64, digest string) bool {
	return digest != "" && status.PublishedRevision == revision && status.PublishedDigest == digest
}

// Incomplete is the value of v1alpha1.FlagdIncompleteAnnotation for a flagd file that is older than its revision. It
// names that file and the contents of the native document, because the digest of the revision is over definitions that
// are kept nowhere.
func Incomplete(contents *datafile.Contents, flagdFile string) string {
	sum := sha256.Sum256([]byte(contents.Digest() + flagdFile))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// checkDigest compares a digest with that of the contents. The digest is over the flagd definitions too where the
// flagd format was published. They are taken from the flagd file, or where that is older, or not there, made anew.
func checkDigest(
	configMap *corev1.ConfigMap,
	isSealed bool,
	header datafile.Header,
	contents *datafile.Contents,
	digest string,
) error {
	file, hasFile := configMap.Data[flagd.FileName]
	incomplete := configMap.Annotations[v1alpha1.FlagdIncompleteAnnotation]
	switch {
	case incomplete != "" && incomplete != Incomplete(contents, file):
		return errors.New("its contents are not those that its annotation names")
	case incomplete != "" && isSealed:
		return nil
	case incomplete == "" && hasFile:
		definitions, err := definitionsOf(header, file)
		if err != nil {
			return err
		}
		if contents.Digest(definitions) != digest {
			return errors.New("its contents have another digest than its annotation says")
		}
		return nil
	case incomplete == "" && contents.Digest() == digest:
		return nil
	}
	document, err := contents.Document()
	if err != nil {
		return err
	}
	if contents.Digest(definitionsFor(document)) != digest {
		return errors.New("its contents have another digest than its annotation says")
	}
	return nil
}

// definitionsOf are the definitions of a flagd file that the operator wrote for the header.
func definitionsOf(header datafile.Header, file string) (*datafile.Section, error) {
	var decoded struct {
		Flags map[string]json.RawMessage `json:"flags"`
	}
	if err := json.Unmarshal([]byte(file), &decoded); err != nil {
		return nil, fmt.Errorf("read its flagd file: %w", err)
	}
	definitions := &datafile.Section{}
	for key, definition := range decoded.Flags {
		definitions.Put(datafile.RawPart(key, definition))
	}
	if string(flagd.Encode(header, definitions)) != file && encodeWithoutSet(header, definitions) != file {
		return nil, errors.New("its flagd file is not written as the operator writes")
	}
	return definitions, nil
}

// encodeWithoutSet is the flagd file as it was written before its metadata had flagSetId and version. Such files are
// served until the next revision, and kept in the history.
func encodeWithoutSet(header datafile.Header, definitions *datafile.Section) string {
	environment, _ := json.Marshal(header.Environment) // Names are plain.
	project, _ := json.Marshal(header.Project)
	return fmt.Sprintf(
		`%s,"metadata":{"environment":%s,"project":%s,"revision":%d}}`,
		definitions.AppendJSON([]byte(`{"flags":`)), environment, project, header.Revision,
	)
}

// definitionsFor makes the flagd definitions of a document. What flagd cannot say is left out.
func definitionsFor(document *datafile.Document) *datafile.Section {
	definitions := &datafile.Section{}
	for key, flag := range document.Flags {
		if flag.Retained {
			continue
		}
		if definition, err := flagd.Definition(source{document}, key); err == nil {
			definitions.Put(datafile.RawPart(key, definition))
		}
	}
	return definitions
}

// source is a document as flagd definitions are made from it.
type source struct{ document *datafile.Document }

// Flag returns a flag of the document.
func (s source) Flag(key string) (*datafile.Flag, bool) {
	flag, found := s.document.Flags[key]
	return flag, found
}

// Audience returns an audience of the document.
func (s source) Audience(name string) (*datafile.Audience, bool) {
	audience, found := s.document.Audiences[name]
	return audience, found
}
