// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"weak"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Project is what the environments of one namespace share. It holds each compiled audience once, and each flag once for
// all environments in which it has the same form, so that a hundred environments take little more memory than one. It
// is safe for concurrent use.
type Project struct {
	mu        sync.Mutex
	audiences map[string]*audienceInput // By name.
	flags     map[string]*flagForms     // By object name.
}

// NewProject returns a Project without any object.
func NewProject() *Project {
	return &Project{audiences: map[string]*audienceInput{}, flags: map[string]*flagForms{}}
}

// NewEnvironment is the function NewEnvironment for an environment of the project.
func (p *Project) NewEnvironment(name string, published *datafile.Contents) *Environment {
	e := NewEnvironment(name, published)
	e.project = p
	return e
}

// audience returns the compiled audience. Environments that see the same generation get the same one.
func (p *Project) audience(audience *v1alpha1.FlagAudience) *audienceInput {
	version := versionOf(audience)
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.audiences[audience.Name]; ok && version.is(known.version) {
		return known
	}
	compiled := newAudienceInput(audience, version)
	p.audiences[audience.Name] = compiled
	return compiled
}

// RefreshAudience makes an audience that is not compiled yet be held as that object, which must not change any more, where
// only its metadata or its status is another. A cache replaces the whole object, and the old one would be held beside it.
func (p *Project) RefreshAudience(audience *v1alpha1.FlagAudience) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.audiences[audience.Name]; ok && versionOf(audience).is(known.version) {
		if source := known.source.Load(); source != nil {
			known.source.CompareAndSwap(source, audience) // Not where it was compiled meanwhile.
		}
	}
}

// forgetAudience drops an audience that is gone. Environments that have not seen that yet keep it for as long.
func (p *Project) forgetAudience(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.audiences, name)
}

// flag returns what the environments share of a flag.
func (p *Project) flag(flag *v1alpha1.FeatureFlag) *flagForms {
	version := versionOf(flag)
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.flags[flag.Name]; ok && version.is(known.version) {
		return known
	}
	forms := &flagForms{version: version}
	p.flags[flag.Name] = forms
	return forms
}

// forgetFlag drops a flag that is gone.
func (p *Project) forgetFlag(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.flags, name)
}

// version tells whether an object is the one that was compiled.
type version struct {
	uid        types.UID
	generation int64
	forcedOff  string
}

func versionOf(object interface {
	GetUID() types.UID
	GetGeneration() int64
	GetAnnotations() map[string]string
},
) version {
	return version{object.GetUID(), object.GetGeneration(), object.GetAnnotations()[v1alpha1.ForceDisabledAnnotation]}
}

// is reports whether both are the same stored object. An object from a file has no generation and is like no other.
func (v version) is(other version) bool { return v.generation > 0 && v == other }

// audienceInput is one FlagAudience. What it compiles to is made once a flag refers to it.
type audienceInput struct {
	version version
	// invalid says why the audience is not valid, from the start.
	invalid error

	once   sync.Once
	source atomic.Pointer[v1alpha1.FlagAudience] // Nil once it is compiled.
	form   *datafile.Audience
	part   datafile.Part
	err    error
}

// newAudienceInput checks the audience, which must not change any more.
func newAudienceInput(audience *v1alpha1.FlagAudience, version version) *audienceInput {
	input := &audienceInput{version: version, invalid: validation.FlagAudience(audience).ToAggregate()}
	input.source.Store(audience)
	return input
}

// compiled returns the audience as the datafile has it. It fails where the audience is not valid.
func (i *audienceInput) compiled() (*datafile.Audience, datafile.Part, error) {
	if i.invalid != nil {
		return nil, datafile.Part{}, i.invalid
	}
	i.once.Do(func() {
		// What is valid compiles; a part of strings and of valid conditions is encoded.
		source := i.source.Swap(nil)
		i.form = compileAudience(source)
		i.part, i.err = datafile.NewPart(source.Name, i.form)
	})
	return i.form, i.part, i.err
}

// flagForms are the forms of one flag, each of which some environments have in common. A form lives as long as an
// environment has it: what a hundred environments compile and do not publish takes no memory.
type flagForms struct {
	version version

	mu    sync.Mutex
	ready bool // Variations or err is set.
	err   error
	// variations are those of every form. They are most of a large flag.
	variations []datafile.Variation
	forms      map[[sha256.Size]byte]weak.Pointer[compiledFlag]
}

// compiledFlag is what a flag compiles to. It never changes.
type compiledFlag struct {
	form *datafile.Flag
	part datafile.Part
}

// in compiles the flag for an environment.
func (f *flagForms) in(flag *v1alpha1.FeatureFlag, environment string) (*compiledFlag, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ready {
		f.ready = true
		if f.err = validation.FeatureFlag(flag).ToAggregate(); f.err == nil {
			f.variations, f.err = compileVariations(flag)
		}
	}
	if f.err != nil {
		return nil, f.err
	}
	form, err := compileFlag(flag, environment, f.variations)
	if err != nil {
		return nil, err
	}
	part, err := datafile.NewPart(flag.Key(), form)
	if err != nil {
		return nil, err
	}
	if shared := f.forms[part.Digest].Value(); shared != nil {
		return shared, nil
	}
	if f.forms == nil {
		f.forms = map[[sha256.Size]byte]weak.Pointer[compiledFlag]{}
	}
	compiled := &compiledFlag{form, part}
	f.forms[part.Digest] = weak.Make(compiled)
	return compiled, nil
}
