// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// fullProduction is a reconcile of a production whose datafile is too large for drafts, and serves a flag as on.
func fullProduction(t *testing.T, mode v1alpha1.PublishMode) *scope {
	t.Helper()
	environment := builders.MakeEnvironment("production", "shop").Production().Defaulted().Obj()
	environment.Spec.Publish.Mode = mode
	s := &scope{environment: environment, state: newState(), now: time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)}
	s.state.compiled = compile.NewEnvironment("production", nil)
	s.state.compiled.SetFlag(filledFlag("checkout", false))
	for i := range 20 {
		s.state.compiled.SetFlag(filledFlag(fmt.Sprintf("large-%d", i), true))
	}
	s.state.settle(true, false, environment.Spec.Datafile.Formats)
	s.noteRoom(true, true)
	contents := s.state.compiled.Contents().Clone()
	s.state.served = &publish.Served{Revision: 5, Digest: s.state.digest, Contents: contents}
	s.state.compiled.SetPublished(contents)
	s.state.compareAll()
	return s
}

func filledFlag(name string, isLarge bool) *v1alpha1.FeatureFlag {
	builder := builders.MakeFlag(name, "shop").Boolean().Environment("production")
	if isLarge {
		builder = builder.Spec(func(spec *v1alpha1.FeatureFlagSpec) {
			spec.Variations[0].Payload = &v1alpha1.JSON{Raw: fmt.Appendf(nil, `{"a":"%050000d"}`, 0)}
		})
	}
	return builder.Obj()
}

// change compiles a flag that somebody has changed.
func (s *scope) change(flag *v1alpha1.FeatureFlag) {
	s.state.compiled.SetFlag(flag)
	s.noteRoom(false, s.state.settle(false, false, s.environment.Spec.Datafile.Formats))
}

// A brake in a production that is nearly full took seconds, in which room was made for what others have staged. And
// a user who asks for a publish, or looks at the status, must find the changes that fit.
func TestRoomIsMadeBeforeWhatNeedsIt(t *testing.T) {
	const manual, automatic = v1alpha1.PublishModeManual, v1alpha1.PublishModeAutomatic
	const asIs = ActionRestore // There is no ConfigMap here.
	brake := func(s *scope) {
		flag := filledFlag("checkout", false)
		flag.Annotations = map[string]string{v1alpha1.ForceDisabledAnnotation: "production"}
		s.change(flag)
	}
	edit := func(s *scope) {
		flag := filledFlag("checkout", false)
		flag.Spec.Environments[0].Enabled = false
		s.change(flag)
	}
	request := func(s *scope) {
		edit(s)
		s.environment.Annotations = map[string]string{v1alpha1.PublishRequestedAtAnnotation: "2027-01-01T09:00:00Z"}
	}
	for name, tc := range map[string]struct {
		mode    v1alpha1.PublishMode
		change  func(*scope)
		elapsed time.Duration // Since the change.
		isFirst bool
		want    ActionKind
		isMade  bool
		wait    time.Duration // For the next look.
	}{
		"a brake where changes wait":             {manual, brake, 0, false, ActionBrake, false, roomPause},
		"a brake where changes are published":    {automatic, brake, 0, false, ActionBrake, false, roomPause},
		"a brake in the midst of edits":          {manual, brake, time.Hour, false, ActionBrake, false, roomPause},
		"a brake at the first look":              {manual, brake, 0, true, ActionBrake, false, roomPause},
		"the first look":                         {manual, edit, 0, true, asIs, true, 0},
		"a change that waits":                    {manual, edit, 0, false, asIs, false, roomPause},
		"a change that waits, looked at later":   {manual, edit, 100 * time.Millisecond, false, asIs, false, 400 * time.Millisecond},
		"a change that has waited":               {manual, edit, roomPause, false, asIs, true, 0},
		"a change before the clock was set back": {manual, edit, -time.Hour, false, asIs, true, 0},
		"a change before the clock was set on":   {manual, edit, time.Hour, false, asIs, true, 0},
		"a change that is published":             {automatic, edit, 0, false, ActionPublish, true, 0},
		"a request":                              {manual, request, 0, false, ActionPublish, true, 0},
		"a freeze of what waits, with a request": {
			manual, func(s *scope) { request(s); s.environment.Spec.Publish.Suspend = true }, 0, false, asIs, true, 0,
		},
		"a rollback": {
			manual, func(s *scope) { edit(s); s.environment.Spec.Publish.Revision = new(int64(3)) }, 0, false, ActionPin, false,
			roomPause,
		},
		"another mode": {
			manual, func(s *scope) { s.environment.Spec.Publish.Mode = automatic; s.noteRoom(false, false) }, 0, false, asIs,
			false, roomPause,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := fullProduction(t, tc.mode)
			if !tc.isFirst {
				s.state.room.isDue = false
			}
			tc.change(s)
			s.now = s.now.Add(tc.elapsed)
			if _, action := s.decideWithRoom(); action.Kind != tc.want {
				t.Errorf("the first thing done is %s, want %s", action.Kind, tc.want)
			}
			if isMade := !s.state.room.isDue; isMade != tc.isMade {
				t.Errorf("room is made before it: %t, want %t", isMade, tc.isMade)
			}
			if wait := s.state.room.wait(s.now); wait != tc.wait {
				t.Errorf("room is made after %s, want %s", wait, tc.wait)
			}
		})
	}
}

// Where there is room for everything, nobody looks for it again and again.
func TestRoomIsNotDueInASmallDatafile(t *testing.T) {
	s := &scope{environment: builders.MakeEnvironment("production", "shop").Production().Manual().Obj(), state: newState()}
	s.state.compiled = compile.NewEnvironment("production", nil)
	s.change(filledFlag("checkout", false))
	if s.state.room.isDue {
		t.Error("room is to be made for one small flag")
	}
	s.change(filledFlag("large", true))
	if s.state.room.isDue {
		t.Error("room is to be made for 50 kB")
	}
}

// One publish of what waits took the flagd file away from everybody who reads it. The changes that take the most room
// must stay back, and the others be published.
func TestStagedChangesKeepTheFlagdFileComplete(t *testing.T) {
	environment := builders.MakeEnvironment("production", "shop").Production().Manual().Defaulted().Obj()
	environment.Spec.Datafile.Formats = []v1alpha1.DatafileFormat{
		v1alpha1.DatafileFormatNative, v1alpha1.DatafileFormatFlagd,
	}
	s := &scope{environment: environment, state: newState()}
	s.state.compiled = compile.NewEnvironment("production", nil)
	flag := func(i, bytes int) *v1alpha1.FeatureFlag {
		return builders.MakeFlag(fmt.Sprintf("large-%d", i), "shop").Type(v1alpha1.FlagTypeString).
			Variation("a", fmt.Sprintf(`"%0*d"`, bytes, 0)).DefaultVariation("a").Environment("production").Obj()
	}
	for i := range 20 {
		s.state.compiled.SetFlag(flag(i, 30_000))
	}
	s.state.settle(true, false, environment.Spec.Datafile.Formats)
	publishes := func() bool {
		files, complete, err := publish.Layout(
			datafile.Header{},
			s.state.content(),
			environment.Spec.Datafile,
			s.servedFiles(),
		)
		if err != nil {
			t.Fatal(err)
		}
		s.state.served = &publish.Served{
			Revision: 1, Files: files, FlagdComplete: complete, Contents: s.state.compiled.Contents().Clone(),
		}
		return complete
	}
	if !publishes() {
		t.Fatal("the flagd file does not fit before the changes")
	}
	s.state.compiled.SetPublished(s.state.served.Contents)
	s.state.compareAll()
	const changed = 12
	for i := range changed {
		s.change(flag(i, 70_000))
	}
	s.makeRoom()
	if waiting, _ := s.state.compiled.TooLarge(); len(waiting) == 0 || len(waiting) > 2 {
		t.Errorf("of %d changes, these wait: %v", changed, waiting)
	}
	if !publishes() {
		t.Error("the publish takes the flagd file away")
	}
}
