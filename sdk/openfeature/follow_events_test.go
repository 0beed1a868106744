// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/internal/diff"
)

// TestWhatIsWrongForAMomentIsNotToldOf writes a file in two steps: a provider that flickers wakes people for nothing.
func TestWhatIsWrongForAMomentIsNotToldOf(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, datafile.FileName)
	synctest.Test(t, func(t *testing.T) {
		must(t, os.WriteFile(file, encode(t, revisionFlag(1)), 0o644))
		provider, loads := unwatched(t, dir)
		f := &follower{provider: provider, changes: map[string]struct{}{}}
		f.look(true)
		<-loads
		whole := encode(t, revisionFlag(2))
		must(t, os.WriteFile(file, whole[:50], 0o644))
		f.look(false)
		must(t, os.WriteFile(file, whole, 0o644))
		f.look(false)
		if load := <-loads; load.Revision != 2 || load.Err != nil || f.unsettled != nil {
			t.Fatalf("loaded %+v, want revision 2", load)
		}
		must(t, os.WriteFile(file, whole[:50], 0o644))
		f.look(false)
		<-f.unsettled
		f.look(true)
		if load := <-loads; load.Revision != 2 || load.Err == nil {
			t.Fatalf("loaded %+v, want an error", load)
		}
		// The same bytes again are no news, and what was served before is.
		f.look(false)
		f.look(true)
		if len(loads) > 0 {
			t.Fatalf("told twice: %+v", <-loads)
		}
		must(t, os.WriteFile(file, whole, 0o644))
		f.look(false)
		if load := <-loads; load.Err != nil || f.state != openfeature.ReadyState || len(f.changes) != 1 {
			t.Fatalf("loaded %+v, state %s, changes %v", load, f.state, f.changes)
		}
	})
}

// TestEventsWaitForTheirReceiver merges what nobody has taken, and follows on meanwhile.
func TestEventsWaitForTheirReceiver(t *testing.T) {
	m := newMount(t)
	synctest.Test(t, func(t *testing.T) {
		doc := revisionFlag(1)
		m.swap(plain(t, doc))
		provider, loads := unwatched(t, m.dir)
		must(t, provider.Init(openfeature.EvaluationContext{}))
		defer provider.Shutdown()
		<-loads
		for i, key := range []string{"b", "a", "b"} {
			doc.Revision++
			doc.Flags[key] = constant(datafile.Number, strconv.Itoa(i))
			m.swap(plain(t, doc))
			<-loads
		}
		m.swap(map[string][]byte{})
		<-loads
		synctest.Wait()
		var got []told
		for range 2 {
			event := <-provider.EventChannel()
			got = append(
				got,
				told{Type: event.EventType, Changes: event.FlagChanges, Revision: event.EventMetadata[MetadataRevision]},
			)
		}
		want := []told{
			{Type: openfeature.ProviderStale, Revision: int64(4)},
			{Type: openfeature.ProviderConfigChange, Changes: []string{"a", "b"}, Revision: int64(4)},
		}
		if diff := diff.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		// Another domain takes the state from Init, and is told what it really is.
		must(t, provider.Init(openfeature.EvaluationContext{}))
		if event := <-provider.EventChannel(); event.EventType != openfeature.ProviderStale {
			t.Errorf("event %+v", event)
		}
	})
}

func TestChangedFlags(t *testing.T) {
	base := func() *datafile.Document {
		doc := document(1, map[string]*datafile.Flag{
			"plain": onOff(), "audience": onOff(datafile.Rule{Name: "a", Audiences: []string{"testers"}, Variation: "on"}),
			"missing": onOff(datafile.Rule{Name: "a", Audiences: []string{"nobody"}, Variation: "on"}),
		})
		for key, required := range map[string]string{"outer": "middle", "middle": "audience"} {
			doc.Flags[key] = onOff()
			doc.Flags[key].Prerequisites = []datafile.Prerequisite{{Flag: required, Variations: []string{"on"}}}
		}
		doc.Flags["off"] = onOff()
		doc.Flags["off"].Enabled = false
		doc.Flags["off"].Prerequisites = []datafile.Prerequisite{
			{Flag: "off", Variations: []string{"on"}},
		} // Which nobody looks at.
		doc.Audiences = map[string]*datafile.Audience{"testers": {Members: []string{"a"}}, "unused": {Members: []string{"a"}}}
		return doc
	}
	for name, tc := range map[string]struct {
		change func(*datafile.Document)
		want   []string
	}{
		"the revision alone":   {change: func(d *datafile.Document) { d.Revision++ }},
		"a flag":               {change: func(d *datafile.Document) { d.Flags["plain"].DefaultVariation = "on" }, want: []string{"plain"}},
		"a flag came":          {change: func(d *datafile.Document) { d.Flags["new"] = onOff() }, want: []string{"new"}},
		"a flag went":          {change: func(d *datafile.Document) { delete(d.Flags, "plain") }, want: []string{"plain"}},
		"an audience":          {change: func(d *datafile.Document) { d.Audiences["testers"].Members[0] = "b" }, want: []string{"audience", "middle", "outer"}},
		"an unused audience":   {change: func(d *datafile.Document) { d.Audiences["unused"].Members[0] = "b" }},
		"an audience came":     {change: func(d *datafile.Document) { d.Audiences["nobody"] = &datafile.Audience{Members: []string{"a"}} }, want: []string{"missing"}},
		"a prerequisite":       {change: func(d *datafile.Document) { d.Flags["middle"].DefaultVariation = "on" }, want: []string{"middle", "outer"}},
		"a prerequisite went":  {change: func(d *datafile.Document) { delete(d.Flags, "audience") }, want: []string{"audience", "middle", "outer"}},
		"a flag became hidden": {change: func(d *datafile.Document) { d.Flags["plain"].Retained = true }, want: []string{"plain"}},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := files{plain: encode(t, base())}.snapshot(nil)
			must(t, err)
			changed := base()
			tc.change(changed)
			after, err := files{plain: encode(t, changed)}.snapshot(before)
			must(t, err)
			got := after.changedSince(before)
			slices.Sort(got)
			if diff := diff.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestTakingPartsOverChangesNothing compares a snapshot that took parts from another with one that read all of them.
func TestTakingPartsOverChangesNothing(t *testing.T) {
	doc := document(1, benchmarkFlags(20))
	before, err := files{plain: encode(t, doc)}.snapshot(nil)
	must(t, err)
	doc.Revision = 2
	doc.Flags["flag-3"].Variations[0].Value = json.RawMessage("false")
	doc.Flags["static"].Fallthrough = "on"
	data := encode(t, doc)
	taken, err := files{plain: data}.snapshot(before)
	must(t, err)
	read, err := files{plain: data}.snapshot(nil)
	must(t, err)
	if diff := diff.Diff(read.parts, taken.parts); diff != "" {
		t.Errorf("(-read +taken over):\n%s", diff)
	}
	if taken.parts.flags["flag-4"].value != before.parts.flags["flag-4"].value {
		t.Error("nothing was taken over, so this test shows nothing")
	}
}
