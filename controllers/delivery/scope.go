// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
)

// scope carries facts from phase to phase of one reconcile.
type scope struct {
	// environment is the object as it is in the cache. It is not changed.
	environment *v1alpha1.FlagEnvironment
	// state is what is kept of the environment between reconciles.
	state *state
	// copies are the metadata of all copies, also of those under a former name.
	copies []metav1.PartialObjectMetadata
	// accepting are the selected namespaces that accept the datafile, in order.
	accepting []string
	// refusing is the number of selected namespaces that do not.
	refusing int
	// invalid is what is wrong with the selector, and empty where nothing is.
	invalid string
	// waiting is true where copies cannot be written for lack of a source.
	waiting bool
	// taken are the namespaces in which something else has the name of the copy.
	taken []string
	// failed are why namespaces do not have the copy, or still have one, by namespace.
	failed map[string]error
}

// named returns the copies of the current name, by namespace.
func (s *scope) named() map[string]*metav1.PartialObjectMetadata {
	named := map[string]*metav1.PartialObjectMetadata{}
	for i := range s.copies {
		if s.copies[i].Name == s.environment.DatafileName() {
			named[s.copies[i].Namespace] = &s.copies[i]
		}
	}
	return named
}

// outdated are the accepting namespaces whose copy is not known to be what the source says.
func (s *scope) outdated(named map[string]*metav1.PartialObjectMetadata) []string {
	var outdated []string
	for _, namespace := range s.accepting {
		object := named[namespace]
		if object == nil ||
			s.state.written[namespace] != (written{resourceVersion: object.ResourceVersion, fingerprint: s.state.fingerprint}) {
			outdated = append(outdated, namespace)
		}
	}
	return outdated
}

// note keeps the outcome of writing one copy.
func (s *scope) note(namespace, resourceVersion string, err error) {
	switch {
	case err == nil:
		s.state.written[namespace] = written{resourceVersion: resourceVersion, fingerprint: s.state.fingerprint}
		return
	case publish.HasReason(err, v1alpha1.NameTakenReason):
		s.taken = append(s.taken, namespace)
	case errors.Is(err, publish.ErrNamespaceGone):
		s.accepting = slices.DeleteFunc(s.accepting, func(name string) bool { return name == namespace })
	default:
		s.failed[namespace] = err
	}
	delete(s.state.written, namespace)
}

// failure is why a namespace failed, so that all of them are tried again.
func (s *scope) failure() error {
	if len(s.failed) == 0 {
		return nil
	}
	first := slices.Sorted(maps.Keys(s.failed))[0]
	return fmt.Errorf("deliver to %d namespaces: %w", len(s.failed), s.failed[first])
}
