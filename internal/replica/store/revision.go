// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// Document is what a served ConfigMap says. It must not be changed afterwards.
type Document struct {
	// Digest is the digest of the revision, "sha256:" and 64 hexadecimal digits.
	Digest string
	// PublishedAt is when the revision was published, and zero where that is not known.
	PublishedAt time.Time
	// Native is the native document, decompressed.
	Native []byte
	// Packed is Native as datafile.Compress makes it, where it is published so, and else nil. The store holds no more of a
	// document that is published compressed, because text that compresses well takes much memory.
	Packed []byte
	// Flagd is the flagd file. It is nil where none is published.
	Flagd []byte
}

// Revision is one published revision, ready to evaluate. It never changes, and is safe for concurrent use.
type Revision struct {
	// Number is the number of the revision, and 0 where nothing was published yet.
	Number int64
	// Digest is the digest of the revision, "sha256:" and 64 hexadecimal digits.
	Digest string
	// PublishedAt is when the revision was published, and zero where that is not known.
	PublishedAt time.Time

	document             *Document // Without Native, where it is packed.
	engine, clientEngine *evaluate.Engine
	downloads            downloads
	// prints are those of all flags.
	prints func() map[string]flagPrint
	// changes are what ChangesSince returned, by the revision before.
	changes sync.Map
}

// Seen is the digest of what a kind of key may see of the revision, and empty where nothing was published yet. For
// client keys it stays the same where a revision changes nothing for them.
func (r *Revision) Seen(kind KeyKind) string {
	if kind != ClientKey || r.document == nil {
		return r.Digest
	}
	digest, err := r.downloads.visible()
	if err != nil {
		return r.Digest // It tells more revisions apart than it must.
	}
	return digest
}

// unpublished is the revision of an environment of which nothing was read yet.
var unpublished = &Revision{
	engine:       &evaluate.Engine{},
	clientEngine: &evaluate.Engine{},
	prints:       func() map[string]flagPrint { return nil },
}

// newRevision prepares a document. It fails where the document is broken, or is not that of the environment.
func newRevision(project, environment string, document *Document) (*Revision, error) {
	parsed, err := datafile.Read(document.Native)
	if err != nil {
		return nil, err
	}
	if parsed.Project != project || parsed.Environment != environment || parsed.Revision < 1 {
		return nil, fmt.Errorf(
			"the datafile says that it is revision %d of %s/%s",
			parsed.Revision,
			parsed.Project,
			parsed.Environment,
		)
	}
	engine, err := evaluate.New(parsed)
	if err != nil {
		return nil, fmt.Errorf("prepare datafile: %w", err)
	}
	held := *document
	if len(held.Packed) > 0 {
		held.Native = nil
	}
	return &Revision{
		Number:       parsed.Revision,
		Digest:       document.Digest,
		PublishedAt:  document.PublishedAt,
		document:     &held,
		engine:       engine,
		clientEngine: engine.Without(datafile.Server),
		downloads:    newDownloads(parsed.Revision, &held),
		prints:       prints(&held),
	}, nil
}

// Engine evaluates all flags.
func (r *Revision) Engine() *evaluate.Engine { return r.engine }

// ClientEngine evaluates the flags whose runtime is Client or All. The others decide as prerequisites all the same, so
// that every flag has the same answer under both kinds of keys.
func (r *Revision) ClientEngine() *evaluate.Engine { return r.clientEngine }

// EngineOf evaluates the flags that a kind of key may see.
func (r *Revision) EngineOf(kind KeyKind) *evaluate.Engine {
	if kind == ClientKey {
		return r.clientEngine
	}
	return r.engine
}

// is reports whether the revision was made of a document with the same contents, which is compressed as it is.
func (r *Revision) is(document *Document) bool {
	return r.document != nil && r.Digest == document.Digest && r.PublishedAt.Equal(document.PublishedAt) &&
		bytes.Equal(r.document.Packed, document.Packed) && bytes.Equal(r.document.Flagd, document.Flagd) &&
		(r.document.Native == nil || bytes.Equal(r.document.Native, document.Native))
}

// native is Native, also where it is only held packed.
func (d *Document) native() ([]byte, error) {
	if d.Native != nil || len(d.Packed) == 0 {
		return d.Native, nil
	}
	return datafile.Decompress(d.Packed)
}
