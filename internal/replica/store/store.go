// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package store is what every replica holds in memory of what is published: for each environment the engine that
// evaluates it, its datafile for download, and the SDK keys that open it.
//
// What is held is the last good of what was read. A datafile that is broken or deleted changes nothing, and neither
// does an API server that is away. Only the deletion of an environment ends it.
package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// KeyKind says what an SDK key opens.
type KeyKind int

const (
	// ServerKey opens every flag.
	ServerKey KeyKind = iota
	// ClientKey opens the flags whose runtime is Client or All.
	ClientKey
)

// keyHash is the SHA-256 of an SDK key.
type keyHash [sha256.Size]byte

// opened is what a key opens.
type opened struct {
	environment *Environment
	kind        KeyKind
}

// Store holds the environments. It is safe for concurrent use; lookups do not wait for what is being read. Its zero
// value is not usable; see NewStore.
type Store struct {
	mu           sync.RWMutex
	environments map[types.NamespacedName]*Environment
	// keys are the environments that claim a key. A key that more than one claims opens none.
	keys map[keyHash][]opened

	start start

	// Seal is what published datafiles bear. Nil means that none is asked for. It is set before SetupWithManager.
	Seal *ownership.Seal
}

// NewStore returns a Store without environments. SetupWithManager makes it follow those of a cluster.
func NewStore() *Store {
	return &Store{environments: map[types.NamespacedName]*Environment{}, keys: map[keyHash][]opened{}}
}

// Environment returns an environment, and whether there is one.
func (s *Store) Environment(namespace, name string) (*Environment, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	environment, found := s.environments[types.NamespacedName{Namespace: namespace, Name: name}]
	return environment, found
}

// ByKey returns the environment that an SDK key opens, and what it opens of it. It finds nothing for keys that are
// unknown, not confirmed or revoked, with the same work for all of them: a lookup by the SHA-256, from which nobody can
// infer a key.
func (s *Store) ByKey(key string) (*Environment, KeyKind, bool) {
	hash := keyHash(sha256.Sum256([]byte(key)))
	s.mu.RLock()
	defer s.mu.RUnlock()
	claimed := s.keys[hash]
	if len(claimed) != 1 {
		return nil, 0, false
	}
	return claimed[0].environment, claimed[0].kind, true
}

// Set makes the store hold an environment as it is now, with document as what it serves. A nil document means that what
// is held stays. Where the document is broken, Set takes over everything else, keeps the last good document and returns
// an error. Calls for one environment must not overlap.
func (s *Store) Set(environment *v1alpha1.FlagEnvironment, document *Document) error {
	held, found := s.Environment(environment.Namespace, environment.Name)
	if !found || held.UID != environment.UID {
		s.Remove(types.NamespacedName{Namespace: environment.Namespace, Name: environment.Name})
		held = newEnvironment(environment)
	}
	revision, err := held.Revision(), error(nil)
	if document != nil && !revision.is(document) {
		// Preparing takes time, and nobody waits for it.
		var next *Revision
		if next, err = newRevision(held.Project, held.Name, document); err == nil {
			revision = next
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.environments[types.NamespacedName{Namespace: held.Project, Name: held.Name}] = held
	keysChanged := s.setKeys(held, &environment.Status)
	held.set(state{
		revision:       revision,
		clientMembers:  environment.Spec.Datafile.ClientMembers == v1alpha1.ClientMembersAllow,
		publishesFlagd: slices.Contains(environment.Spec.Datafile.Formats, v1alpha1.DatafileFormatFlagd),
	}, keysChanged)
	if err != nil {
		return fmt.Errorf("environment %s/%s: %w", held.Project, held.Name, err)
	}
	return nil
}

// Remove forgets an environment and its keys.
func (s *Store) Remove(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, found := s.environments[key]
	if !found {
		return
	}
	delete(s.environments, key)
	s.setKeys(held, &v1alpha1.FlagEnvironmentStatus{})
	held.end()
}

// setKeys makes the confirmed keys of a status open the environment, and no others. It reports whether that changed
// anything. A hash that two environments claim opens neither: hashes are no secrets, and whoever copies one must not
// get the other's callers.
func (s *Store) setKeys(environment *Environment, status *v1alpha1.FlagEnvironmentStatus) bool {
	wanted := map[keyHash]KeyKind{}
	for i := range status.SDKKeys {
		key := &status.SDKKeys[i]
		if !key.Confirmed {
			continue
		}
		for kind, text := range map[KeyKind]string{ServerKey: key.ServerHash, ClientKey: key.ClientHash} {
			if hash, ok := parseHash(text); ok {
				wanted[hash] = kind
			}
		}
	}
	changed := false
	for hash := range environment.keys {
		if !slices.ContainsFunc(s.keys[hash], func(claim opened) bool {
			kind, stays := wanted[hash]
			return claim.environment == environment && stays && claim.kind == kind
		}) {
			s.dropKey(environment, hash)
			changed = true
		}
	}
	for hash, kind := range wanted {
		if _, has := environment.keys[hash]; has {
			continue
		}
		s.keys[hash] = append(s.keys[hash], opened{environment: environment, kind: kind})
		environment.keys[hash] = struct{}{}
		changed = true
	}
	return changed
}

// dropKey ends an environment's claim to a key.
func (s *Store) dropKey(environment *Environment, hash keyHash) {
	delete(environment.keys, hash)
	s.keys[hash] = slices.DeleteFunc(s.keys[hash], func(claim opened) bool { return claim.environment == environment })
	if len(s.keys[hash]) == 0 {
		delete(s.keys, hash)
	}
}

// parseHash reads a hash of a status.
func parseHash(text string) (hash keyHash, ok bool) {
	digits, ok := strings.CutPrefix(text, "sha256:")
	if !ok || len(digits) != hex.EncodedLen(len(hash)) {
		return hash, false
	}
	_, err := hex.Decode(hash[:], []byte(digits))
	return hash, err == nil
}
