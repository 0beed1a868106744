// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

var (
	// ErrUnpublished is returned where nothing is published yet.
	ErrUnpublished = errors.New("nothing is published yet")

	// ErrNoFlagd is returned for the flagd file of an environment that publishes none.
	ErrNoFlagd = errors.New("the environment publishes no flagd file")

	// ErrMembers is returned to a client key where the file would name members of audiences or overrides.
	ErrMembers = errors.New("the datafile names members of audiences or overrides, which client keys may not receive")
)

// Format is a format of a datafile.
type Format int

// The formats.
const (
	Native Format = iota
	Flagd
	formats
)

// Coding is a content coding of HTTP (RFC 9110, section 8.4.1).
type Coding int

// The codings.
const (
	Identity Coding = iota
	Gzip
	Zstd
	codings
)

// Download is a file in one coding.
type Download struct {
	// Bytes must not be changed.
	Bytes []byte
	// ETag is a weak entity tag with its quotes. Of a server key it is of the revision and its digest, of a client key of
	// what such keys may see. It does not depend on the replica that made the bytes.
	ETag string
}

// Download returns the datafile that a kind of key receives. It is made when it is first asked for, and kept as long as
// the revision is served. A server key receives the files as they are published, and the flagd file of the revision
// also where a ConfigMap could not hold it. It fails with ErrUnpublished, ErrNoFlagd or ErrMembers.
func (e *Environment) Download(kind KeyKind, format Format, coding Coding) (Download, error) {
	now := e.state.Load()
	document := now.revision.document
	switch {
	case document == nil:
		return Download{}, ErrUnpublished
	case format == Flagd && document.Flagd == nil && !now.publishesFlagd:
		return Download{}, ErrNoFlagd
	}
	return now.download(kind, format, coding)
}

// download is Download of a state with a document.
func (s *state) download(kind KeyKind, format Format, coding Coding) (Download, error) {
	downloads := &s.revision.downloads
	if kind == ClientKey && !s.clientMembers {
		if filtered, err := downloads.filtered(); err == nil && filtered.hasMembers {
			return Download{}, ErrMembers
		}
	}
	return downloads.files[kind][format][coding]()
}

// FlagdFile returns the flagd file that a kind of key receives, which must not be changed, and the revision that it is
// of. Where none is published, or that of an older revision because a ConfigMap could not hold it, the file is made of
// the native document, once a revision, and kept as long as the revision is served. It fails with ErrUnpublished or
// ErrMembers.
func (e *Environment) FlagdFile(kind KeyKind) (*Revision, []byte, error) {
	now := e.state.Load()
	if now.revision.document == nil {
		return nil, nil, ErrUnpublished
	}
	file, err := now.download(kind, Flagd, Identity)
	return now.revision, file.Bytes, err
}

// downloads are the files of one revision, each made when it is first asked for.
type downloads struct {
	// wholeFlagd is the flagd file of the revision with all flags, whatever is published.
	wholeFlagd func() ([]byte, error)
	// filtered is what client keys may see.
	filtered func() (*filtered, error)
	// visible is the digest of it.
	visible func() (string, error)
	files   [ClientKey + 1][formats][codings]func() (Download, error)
}

func newDownloads(number int64, document *Document) downloads {
	d := downloads{filtered: sync.OnceValues(func() (*filtered, error) {
		native, err := document.native()
		if err != nil {
			return nil, err
		}
		return filter(native)
	})}
	d.wholeFlagd = sync.OnceValues(func() ([]byte, error) { return wholeFlagd(number, document) })
	d.visible = sync.OnceValues(func() (string, error) {
		filtered, err := d.filtered()
		if err != nil {
			return "", err
		}
		return filtered.digest()
	})
	client := func(encode func(*filtered) ([]byte, error)) func() ([]byte, error) {
		return func() ([]byte, error) {
			filtered, err := d.filtered()
			if err != nil {
				return nil, err
			}
			return encode(filtered)
		}
	}
	whole := fmt.Sprintf("%d-%s", number, document.Digest)
	d.files[ServerKey][Native] = encoded(Native, func() (string, error) { return whole, nil }, document.native)
	d.files[ServerKey][Flagd] = encoded(Flagd, func() (string, error) {
		if file, err := d.wholeFlagd(); err != nil || !bytes.Equal(file, document.Flagd) {
			return whole + " made", err
		}
		return whole, nil
	}, d.wholeFlagd)
	d.files[ClientKey][Native] = encoded(Native, d.visible, client((*filtered).native))
	d.files[ClientKey][Flagd] = encoded(Flagd, d.visible, client((*filtered).flagd))
	return d
}

// wholeFlagd is the flagd file of a revision: what is published, or where that is not of the revision, made anew.
func wholeFlagd(number int64, document *Document) ([]byte, error) {
	if isOfRevision(document.Flagd, number) {
		return document.Flagd, nil
	}
	native, err := document.native()
	if err != nil {
		return nil, err
	}
	whole, err := datafile.Read(native)
	if err != nil {
		return nil, err
	}
	return (&filtered{document: whole}).flagd()
}

// isOfRevision reports whether a flagd file says that it is of a revision.
func isOfRevision(file []byte, number int64) bool {
	says := struct {
		Metadata struct {
			Revision int64 `json:"revision"`
		} `json:"metadata"`
	}{}
	return json.Unmarshal(file, &says) == nil && says.Metadata.Revision == number
}

// encoded is a file in every coding. Identity tells its contents from others.
func encoded(
	format Format,
	identity func() (string, error),
	file func() ([]byte, error),
) (all [codings]func() (Download, error)) {
	plain := sync.OnceValues(file)
	for coding, encode := range [codings]func([]byte) ([]byte, error){
		Identity: func(data []byte) ([]byte, error) { return data, nil },
		Gzip:     datafile.Compress,
		Zstd:     compressZstd,
	} {
		all[coding] = sync.OnceValues(func() (Download, error) {
			data, err := plain()
			if err != nil {
				return Download{}, err
			}
			if data, err = encode(data); err != nil {
				return Download{}, err
			}
			is, err := identity()
			if err != nil {
				return Download{}, err
			}
			sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", is, format, coding))
			return Download{Bytes: data, ETag: `W/"` + hex.EncodeToString(sum[:16]) + `"`}, nil
		})
	}
	return all
}

// compressZstd uses one thread, and forgets its buffers: a file is compressed once.
func compressZstd(data []byte) ([]byte, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("compress datafile: %w", err)
	}
	compressed := encoder.EncodeAll(data, nil)
	return compressed, encoder.Close()
}
