// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"errors"
	"fmt"
	"sync"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// published reads what environments serve, once for each revision.
type published struct {
	mu   sync.Mutex
	held map[*store.Environment]*revision
}

// revision is one revision, read.
type revision struct {
	etag     string
	document *datafile.Document

	mu           sync.Mutex
	descriptions map[string]*description
}

// of is what an environment serves now.
func (p *published) of(environment *store.Environment) (*revision, error) {
	download, err := environment.Download(store.ServerKey, store.Native, store.Identity)
	if errors.Is(err, store.ErrUnpublished) {
		return &revision{document: &datafile.Document{}, descriptions: map[string]*description{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is published: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.held[environment]; found != nil && found.etag == download.ETag {
		return found, nil
	}
	document, err := datafile.Read(download.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read what is published: %w", err)
	}
	if p.held == nil {
		p.held = map[*store.Environment]*revision{}
	}
	for other := range p.held {
		if other.Gone() {
			delete(p.held, other)
		}
	}
	read := &revision{etag: download.ETag, document: document, descriptions: map[string]*description{}}
	p.held[environment] = read
	return read, nil
}

// document is what an environment serves now.
func (p *published) document(environment *store.Environment) (*datafile.Document, error) {
	read, err := p.of(environment)
	if err != nil {
		return nil, err
	}
	return read.document, nil
}

// describe is a flag of the revision as clients that evaluate get it.
func (r *revision) describe(key string) *description {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := r.descriptions[key]; found != nil {
		return found
	}
	around := &surroundings{
		local: true,
		flag:  func(key string) *datafile.Flag { return r.document.Flags[key] },
		cohort: func(name string) int64 {
			if r.document.Audiences[name] == nil {
				return 0
			}
			return cohortID(name)
		},
	}
	d := around.describe(key, r.document.Flags[key])
	r.descriptions[key] = d
	return d
}
