// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"crypto/sha256"
	"sync"

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
	source *v1alpha1.FlagAudience // Nil once it is compiled.
	form   *datafile.Audience
	part   datafile.Part
	err    error
}

// newAudienceInput checks the audience, which must not change any more.
func newAudienceInput(audience *v1alpha1.FlagAudience, version version) *audienceInput {
	return &audienceInput{
		version: version, source: audience, invalid: validation.FlagAudience(audience).ToAggregate(),
	}
}

// compiled returns the audience as the datafile has it. It fails where the audience is not valid.
func (i *audienceInput) compiled() (*datafile.Audience, datafile.Part, error) {
	if i.invalid != nil {
		return nil, datafile.Part{}, i.invalid
	}
	i.once.Do(func() {
		// What is valid compiles; a part of strings and of valid conditions is encoded.
		i.form = compileAudience(i.source)
		i.part, i.err = datafile.NewPart(i.source.Name, i.form)
		i.source = nil
	})
	return i.form, i.part, i.err
}

// flagForms are the forms of one flag, each of which some environments have in common.
type flagForms struct {
	version version

	mu    sync.Mutex
	err   error
	valid bool
	forms map[[sha256.Size]byte]compiledFlag
}

type compiledFlag struct {
	form *datafile.Flag
	part datafile.Part
}

// in compiles the flag for an environment.
func (f *flagForms) in(flag *v1alpha1.FeatureFlag, environment string) (*datafile.Flag, datafile.Part, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.valid && f.err == nil {
		f.err = validation.FeatureFlag(flag).ToAggregate()
		f.valid = f.err == nil
	}
	if f.err != nil {
		return nil, datafile.Part{}, f.err
	}
	form, err := compileFlag(flag, environment)
	if err != nil {
		return nil, datafile.Part{}, err
	}
	part, err := datafile.NewPart(flag.Key(), form)
	if err != nil {
		return form, part, err
	}
	if shared, ok := f.forms[part.Digest]; ok {
		return shared.form, shared.part, nil
	}
	if f.forms == nil {
		f.forms = map[[sha256.Size]byte]compiledFlag{}
	}
	f.forms[part.Digest] = compiledFlag{form, part}
	return form, part, nil
}
