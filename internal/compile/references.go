// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"maps"
	"slices"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// reference is something that a flag refers to: another flag's key, or an audience's name.
type reference struct {
	kind referenceKind
	name string
}

type referenceKind string

const (
	flagReference     referenceKind = "flag"
	audienceReference referenceKind = "audience"
)

// referencesOf returns what form refers to, each once, in order.
func referencesOf(form *datafile.Flag) []reference {
	if form == nil {
		return nil
	}
	var references []reference
	for _, prerequisite := range form.Prerequisites {
		references = append(references, reference{flagReference, prerequisite.Flag})
	}
	for i := range form.Rules {
		for _, audience := range form.Rules[i].Audiences {
			references = append(references, reference{audienceReference, audience})
		}
	}
	return distinct(references)
}

func distinct(references []reference) []reference {
	slices.SortFunc(references, func(a, b reference) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
	})
	return slices.Compact(references)
}

// lostReference returns a reference of form that leads to nothing although it is resolved in what is published for the
// key.
func (e *Environment) lostReference(key string, form *datafile.Flag) *reference {
	dangling := slices.DeleteFunc(referencesOf(form), e.exists)
	if len(dangling) == 0 {
		return nil
	}
	e.dangling.add(key)
	part, ok := e.published.Flags.Get(key)
	if !ok {
		return nil
	}
	published, ok := readPart[datafile.Flag](part)
	if !ok {
		return nil
	}
	resolved := referencesOf(published)
	for _, ref := range dangling {
		if slices.Contains(resolved, ref) && e.isPublished(ref) {
			return &ref
		}
	}
	return nil
}

// exists reports whether the object that ref names is there.
func (e *Environment) exists(ref reference) bool {
	if ref.kind == audienceReference {
		return e.audiences[ref.name] != nil
	}
	return e.unarchived(ref.name) != nil
}

// isPublished reports whether what is published holds what ref names.
func (e *Environment) isPublished(ref reference) bool {
	section := &e.published.Flags
	if ref.kind == audienceReference {
		section = &e.published.Audiences
	}
	_, ok := section.Get(ref.name)
	return ok
}

// affected returns the keys of the flags whose flagd definition depends on the given flags and audiences.
func (e *Environment) affected(flags, audiences set) set {
	result := maps.Clone(flags)
	for name := range audiences {
		maps.Copy(result, e.referrers[reference{audienceReference, name}])
	}
	for queue := slices.Collect(maps.Keys(result)); len(queue) > 0; queue = queue[1:] {
		for key := range e.referrers[reference{flagReference, queue[0]}] {
			if _, seen := result[key]; !seen {
				result.add(key)
				queue = append(queue, key)
			}
		}
	}
	return result
}

// register keeps the referrers of what the key's flag refers to, in its current and in its served form.
func (e *Environment) register(key string, held *entry) {
	references := referencesOf(held.form)
	e.countAudiences(held, references)
	if holder := held.holder(); holder != nil && holder.form != held.form {
		references = distinct(append(references, referencesOf(holder.form)...))
	}
	if slices.Equal(references, held.references) {
		return
	}
	for _, ref := range held.references {
		delete(e.referrers[ref], key)
		if len(e.referrers[ref]) == 0 {
			delete(e.referrers, ref)
		}
	}
	for _, ref := range references {
		if e.referrers[ref] == nil {
			e.referrers[ref] = set{}
		}
		e.referrers[ref].add(key)
	}
	held.references = references
}

// countAudiences counts the audiences that the key's served form refers to. References are all that it refers to.
func (e *Environment) countAudiences(held *entry, references []reference) {
	audiences := slices.DeleteFunc(
		slices.Clone(references),
		func(ref reference) bool { return ref.kind != audienceReference },
	)
	if slices.Equal(audiences, held.audiences) {
		return
	}
	for _, ref := range held.audiences {
		if e.audienceUses[ref.name]--; e.audienceUses[ref.name] == 0 {
			delete(e.audienceUses, ref.name)
		}
		e.dirtyAudiences.add(ref.name)
	}
	for _, ref := range audiences {
		e.audienceUses[ref.name]++
		e.dirtyAudiences.add(ref.name)
	}
	held.audiences = audiences
}
