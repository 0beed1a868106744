// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

func contentsWith(digests map[string]string) *datafile.Contents {
	contents := &datafile.Contents{}
	for key, digest := range digests {
		contents.Flags.Put(datafile.Part{Key: key, Digest: sha256.Sum256([]byte(digest))})
	}
	return contents
}

// A revision names the changes that it serves, no change that still waits, and none a second time.
func TestRevisionBringsWhatItServes(t *testing.T) {
	flag, staff := history.Named{Kind: flagKind, Name: "checkout"}, history.Named{Kind: audienceKind, Name: "staff"}
	production := history.Named{Kind: environmentKind, Name: "production"}
	off, on, braked := map[string]string{"pay": "off"}, map[string]string{"pay": "on"}, map[string]string{"pay": "braked"}
	for name, tc := range map[string]struct {
		of                    history.Named
		isBrake               bool
		before, after, wanted map[string]string
		isWhole, keeps, want  bool
	}{
		"a new flag":                         {flag, false, nil, on, on, true, false, true},
		"a changed flag":                     {flag, false, off, on, on, true, false, true},
		"a deleted flag":                     {flag, false, on, nil, nil, true, false, true},
		"a flag that is served as it was":    {flag, false, on, on, on, true, false, false},
		"a change that waits under a brake":  {flag, false, on, braked, off, false, false, false},
		"the brake itself":                   {flag, true, on, braked, off, false, false, true},
		"an audience":                        {staff, false, on, off, off, true, false, true},
		"an audience, while a brake is used": {staff, false, on, braked, off, false, false, false},
		"the environment":                    {production, false, on, off, off, true, false, true},
		// The last good form is wanted then, so that it is served as wanted, whatever was edited.
		"a brake of what does not fit":             {flag, true, on, braked, braked, true, true, true},
		"a change that does not fit, with a brake": {flag, false, on, braked, braked, true, true, false},
		"an audience that does not fit":            {staff, false, on, off, off, true, true, false},
		"the environment, where flags do not fit":  {production, false, on, off, off, true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			records := newRecords()
			key := ""
			if tc.of == flag {
				key = "pay"
			}
			records.add(tc.of, key, time.Now(), note{id: "a", isBrake: tc.isBrake}, true)
			p := publishing{
				contentsWith(tc.before),
				contentsWith(tc.after),
				contentsWith(tc.wanted),
				tc.isWhole,
				func(string, string) bool { return tc.keeps },
			}
			brought := records.brought(p)
			if got := slices.Equal(brought[tc.of.String()], []string{"a"}); got != tc.want {
				t.Errorf("it brings %v, want it: %t", brought, tc.want)
			}
			records.published(p)
			if left := len(records.byObject[tc.of].notes) == 1; left == tc.want {
				t.Errorf("the record waits for a further revision: %t", left)
			}
		})
	}
}

func TestRecordsAreSeenOnceAndBounded(t *testing.T) {
	records, now := newRecords(), time.Now()
	of := history.Named{Kind: flagKind, Name: "checkout"}
	for i := range maxNotes + 10 {
		for range 2 { // An object shows its records with each of its changes.
			records.add(of, "pay", now.Add(time.Duration(i)), note{id: strconv.Itoa(i)}, true)
		}
	}
	records.add(of, "pay", now.Add(time.Hour), note{id: "staging"}, false)
	notes := records.byObject[of].notes
	if len(notes) != maxNotes || notes[0].id != "10" || notes[maxNotes-1].id != strconv.Itoa(maxNotes+9) {
		t.Errorf("%d records from %s to %s", len(notes), notes[0].id, notes[len(notes)-1].id)
	}
}

// What changed nothing of what is served is not told as part of a later revision.
func TestRecordsThatChangeNothingAreDropped(t *testing.T) {
	pending, waiting := map[string]struct{}{"pay": {}}, history.Named{Kind: flagKind, Name: "checkout"}
	all := []history.Named{
		waiting,
		{Kind: flagKind, Name: "search"},
		{Kind: audienceKind, Name: "staff"},
		{Kind: environmentKind, Name: "production"},
	}
	for name, tc := range map[string]struct {
		pending  map[string]struct{}
		isServed bool
		kept     []string // The names of what keeps its last good form.
		want     []history.Named
	}{
		"all is served":  {nil, true, nil, nil},
		"one flag waits": {pending, false, nil, []history.Named{all[0], all[2]}},
		"all that fits is served": {
			nil, true, []string{flagKind + "/find", audienceKind + "/staff"}, []history.Named{all[1], all[2]},
		},
	} {
		t.Run(name, func(t *testing.T) {
			records := newRecords()
			for _, of := range all {
				key := map[string]string{"checkout": "pay", "search": "find"}[of.Name]
				records.add(of, key, time.Now(), note{id: "a"}, true)
			}
			records.drop(tc.pending, tc.isServed, func(kind, name string) bool {
				return slices.Contains(tc.kept, kind+"/"+name)
			}, time.Now())
			maps.DeleteFunc(records.byObject, func(_ history.Named, known *noted) bool { return len(known.notes) == 0 })
			if len(records.byObject) != len(tc.want) {
				t.Fatalf("%d objects are left, want %v", len(records.byObject), tc.want)
			}
			for _, of := range tc.want {
				if records.byObject[of] == nil {
					t.Errorf("%s is dropped", of)
				}
			}
		})
	}
}

// A brake right after a restart of the operator was said to have brought a publish and a freeze of somebody else.
func TestAStartForgetsWhatAnEarlierProcessHasBrought(t *testing.T) {
	records, published := newRecords(), time.Now().Truncate(time.Second)
	production, flag := history.Named{
		Kind: environmentKind,
		Name: "production",
	}, history.Named{
		Kind: flagKind,
		Name: "pay",
	}
	for _, at := range []time.Duration{-time.Minute, 0, time.Second} {
		records.add(production, "", published.Add(at), note{id: at.String()}, true)
		records.add(flag, "pay", published.Add(at), note{id: at.String()}, true)
	}
	records.forgetEnvironment(published)
	if notes := records.byObject[production].notes; len(notes) != 1 || notes[0].id != "1s" {
		t.Errorf("of the environment %v is left", notes)
	}
	if notes := records.byObject[flag].notes; len(notes) != 3 {
		t.Errorf("of a flag, which may wait for longer, %v is left", notes)
	}
}

// A tenant that makes and deletes flags under new names for ever must not fill the operator's memory.
func TestRecordsForgetObjects(t *testing.T) {
	records, now := newRecords(), time.Now()
	waiting := history.Named{Kind: flagKind, Name: "waiting"}
	records.add(waiting, "waiting", now.Add(-time.Hour), note{id: "w"}, true)
	for i := range 100 {
		name := strconv.Itoa(i)
		records.add(history.Named{Kind: flagKind, Name: name}, name, now.Add(-time.Hour), note{id: name}, true)
	}
	recent := history.Named{Kind: flagKind, Name: "recent"}
	records.add(recent, "recent", now, note{id: "r"}, true)
	keepsNone := func(string, string) bool { return false }
	records.drop(map[string]struct{}{"waiting": {}}, true, keepsNone, now)
	records.drop(map[string]struct{}{"waiting": {}}, false, keepsNone, now)
	if records.byObject[recent] == nil {
		t.Error("a record that its object still carries would be brought again")
	}
	if len(records.byObject) > 2 {
		t.Errorf("%d objects are remembered of which nothing waits", len(records.byObject))
	}
}
