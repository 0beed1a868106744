// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"testing"

	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// A pin of a revision whose flagd file is older than itself would serve a flag as on that is forced off, to every SDK that
// reads that file.
func TestAPinLacksBrakes(t *testing.T) {
	on := &datafile.Flag{
		Type: datafile.Boolean, Enabled: true, DefaultVariation: "off", Fallthrough: "on",
		Variations: []datafile.Variation{{Key: "on", Value: []byte("true")}, {Key: "off", Value: []byte("false")}},
	}
	const entryOn = `{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}`
	const entryOff = `{"defaultVariant":"off","state":"ENABLED","variants":{"off":false,"on":true}}`
	for name, tc := range map[string]struct {
		native    *datafile.Flag // Nil is a flag that is archived.
		flagd     string         // The flag's entry in a kept flagd file, and empty where the file is complete.
		forcedOff []string
		want      bool
	}{
		"on, without a brake":                         {on, "", nil, false},
		"on, with a brake":                            {on, "", []string{"kill"}, true},
		"on, with a brake of another flag":            {on, "", []string{"other"}, false},
		"off, and on in the kept file":                {compile.Off(on), entryOn, []string{"kill"}, true},
		"off in both":                                 {compile.Off(on), entryOff, []string{"kill"}, false},
		"off, and on in the kept file without brakes": {compile.Off(on), entryOn, nil, false},
		"archived, and on in the kept file":           {nil, entryOn, []string{"kill"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			pinned := &publish.Served{Contents: &datafile.Contents{}, FlagdComplete: tc.flagd == ""}
			if tc.native != nil {
				part, err := datafile.NewPart("kill", tc.native)
				if err != nil {
					t.Fatal(err)
				}
				pinned.Contents.Flags.Put(part)
			}
			if tc.flagd != "" {
				section := &datafile.Section{}
				section.Put(datafile.RawPart("kill", []byte(tc.flagd)))
				pinned.Files.Text = map[string]string{
					flagd.FileName: string(flagd.Encode(datafile.Header{Revision: 1}, section)),
				}
			}
			if got := lacksBrakes(pinned, tc.forcedOff); got != tc.want {
				t.Errorf("it lacks brakes: %t, want %t", got, tc.want)
			}
		})
	}
	if lacksBrakes(&publish.Served{}, []string{"kill"}) {
		t.Error("a revision of which nothing is known is published anew with nothing")
	}
}
