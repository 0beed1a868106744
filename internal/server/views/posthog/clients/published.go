// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"errors"
	"fmt"
	"sync"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Published reads what environments serve, once for each revision.
type Published struct {
	mu   sync.Mutex
	held map[*store.Environment]*Revision
}

// Revision is one revision, read.
type Revision struct {
	etag     string
	Document *datafile.Document

	mu           sync.Mutex
	descriptions map[string]*filters.Description
}

// Of is what an environment serves now.
func (p *Published) Of(environment *store.Environment) (*Revision, error) {
	download, err := environment.Download(store.ServerKey, store.Native, store.Identity)
	if errors.Is(err, store.ErrUnpublished) {
		return &Revision{Document: &datafile.Document{}, descriptions: map[string]*filters.Description{}}, nil
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
		p.held = map[*store.Environment]*Revision{}
	}
	for other := range p.held {
		if other.Gone() {
			delete(p.held, other)
		}
	}
	read := &Revision{etag: download.ETag, Document: document, descriptions: map[string]*filters.Description{}}
	p.held[environment] = read
	return read, nil
}

// Document is what an environment serves now.
func (p *Published) Document(environment *store.Environment) (*datafile.Document, error) {
	read, err := p.Of(environment)
	if err != nil {
		return nil, err
	}
	return read.Document, nil
}

// describe is a flag of the revision as clients that evaluate get it.
func (r *Revision) describe(key string) *filters.Description {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := r.descriptions[key]; found != nil {
		return found
	}
	around := &filters.Surroundings{
		Local: true,
		Flag:  func(key string) *datafile.Flag { return r.Document.Flags[key] },
		Cohort: func(name string) int64 {
			if r.Document.Audiences[name] == nil {
				return 0
			}
			return lookup.CohortID(name)
		},
		Audience: func(name string) *datafile.Audience { return r.Document.Audiences[name] },
	}
	d := around.Describe(key, r.Document.Flags[key])
	r.descriptions[key] = d
	return d
}
