// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// onOff is a flag that is on for everybody.
func onOff(change func(*datafile.Flag)) *datafile.Flag {
	flag := &datafile.Flag{
		Type: datafile.Boolean, Enabled: true, DefaultVariation: "off", Fallthrough: "on",
		Variations: []datafile.Variation{{Key: "on", Value: []byte("true")}, {Key: "off", Value: []byte("false")}},
	}
	change(flag)
	return flag
}

func asItIs(*datafile.Flag) {}

// contentWith is the content of those flags.
func contentWith(t *testing.T, flags map[string]*datafile.Flag) Content {
	t.Helper()
	contents := &datafile.Contents{}
	for key, flag := range flags {
		part, err := datafile.NewPart(key, flag)
		if err != nil {
			t.Fatal(err)
		}
		contents.Flags.Put(part)
	}
	_, definitions, document, err := compile.Brake(contents, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Content{
		Contents: contents, Flagd: definitions, Document: func() *datafile.Document { return document },
	}
}

// The flagd file stays that of an older revision where the newer one does not fit, and every unmodified SDK that read
// it went on serving a flag that somebody had switched off since.
func TestAKeptFlagdFileSwitchesOffWhatIsOff(t *testing.T) {
	const kib = 1 << 10
	off := func(flag *datafile.Flag) { *flag = *compile.Off(flag) }
	ruled := func(flag *datafile.Flag) {
		flag.Rules = []datafile.Rule{{Name: "eu", Variation: "on", Conditions: []datafile.Condition{
			{Attribute: "country", Operator: datafile.In, Values: []string{"<de>"}},
		}}}
		flag.Fallthrough = ""
	}
	requires := func(variation string) func(*datafile.Flag) {
		return func(flag *datafile.Flag) {
			flag.Prerequisites = []datafile.Prerequisite{{Flag: "kill", Variations: []string{variation}}}
		}
	}
	const isOff = `{"defaultVariant":"off","state":"ENABLED","variants":{"off":false,"on":true}}`
	const absent = "-"
	for name, tc := range map[string]struct {
		kept, now map[string]*datafile.Flag
		want      string // The entry of kill or, where there is one, of other. Empty means as it was, absent none.
	}{
		"a flag that is on stays": {
			map[string]*datafile.Flag{"kill": onOff(ruled)}, map[string]*datafile.Flag{"kill": onOff(asItIs)}, "",
		},
		"a flag without rules": {
			map[string]*datafile.Flag{"kill": onOff(asItIs)}, map[string]*datafile.Flag{"kill": onOff(off)}, isOff,
		},
		"a flag with rules": {
			map[string]*datafile.Flag{"kill": onOff(ruled)}, map[string]*datafile.Flag{"kill": onOff(off)}, isOff,
		},
		"a flag that was off": {
			map[string]*datafile.Flag{"kill": onOff(off)}, map[string]*datafile.Flag{"kill": onOff(off)}, "",
		},
		"a flag whose default is in the code now": {
			map[string]*datafile.Flag{"kill": onOff(ruled)},
			map[string]*datafile.Flag{"kill": onOff(func(flag *datafile.Flag) { off(flag); flag.CodeDefault = true })},
			`{"state":"ENABLED","variants":{"off":false,"on":true}}`,
		},
		"a flag that is off by a variation that is new": {
			map[string]*datafile.Flag{"kill": onOff(ruled)},
			map[string]*datafile.Flag{"kill": onOff(func(flag *datafile.Flag) {
				off(flag)
				flag.DefaultVariation, flag.Variations[1].Key = "no", "no"
			})},
			`{"defaultVariant":"no","state":"ENABLED","variants":{"no":false}}`,
		},
		"a flag that is archived": {
			map[string]*datafile.Flag{"kill": onOff(ruled)}, map[string]*datafile.Flag{}, absent,
		},
		"a flag that is archived, and another one's last good form requires": {
			map[string]*datafile.Flag{"kill": onOff(ruled)},
			map[string]*datafile.Flag{"kill": onOff(func(flag *datafile.Flag) { flag.Retained = true })},
			absent,
		},
		"a flag that requires it": {
			map[string]*datafile.Flag{"kill": onOff(ruled), "other": onOff(requires("on"))},
			map[string]*datafile.Flag{"kill": onOff(off), "other": onOff(requires("on"))},
			isOff,
		},
		"a flag that requires it to be off": {
			map[string]*datafile.Flag{"kill": onOff(ruled), "other": onOff(requires("off"))},
			map[string]*datafile.Flag{"kill": onOff(off), "other": onOff(requires("off"))},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.kept["untouched"], tc.now["untouched"] = onOff(ruled), onOff(asItIs)
			kept := contentWith(t, tc.kept)
			before := string(flagd.Encode(header, kept.Flagd))
			now := contentWith(t, tc.now)
			now.Flagd.Put(datafile.RawPart("large", []byte(`"`+strings.Repeat("x", 1100*kib)+`"`)))
			files, complete, err := Layout(datafile.Header{Revision: 9}, now, v1alpha1.Datafile{Formats: both},
				Files{Text: map[string]string{flagd.FileName: before}})
			if err != nil || complete {
				t.Fatalf("complete %t, error %v", complete, err)
			}
			switch {
			case tc.want == absent:
				kept.Flagd.Delete("kill")
			case tc.want != "":
				key := "kill"
				if _, has := tc.now["other"]; has {
					kept.Flagd.Put(datafile.RawPart("kill", []byte(isOff)))
					key = "other"
				}
				kept.Flagd.Put(datafile.RawPart(key, []byte(tc.want)))
			case tc.now["other"] != nil:
				kept.Flagd.Put(datafile.RawPart("kill", []byte(isOff)))
			}
			want := string(flagd.Encode(header, kept.Flagd))
			if got := files.Text[flagd.FileName]; got != want {
				t.Errorf("readers of the flagd file get\n%s\nwant\n%s", got, want)
			}
			was := &Served{Contents: now.Contents, Files: Files{Text: map[string]string{flagd.FileName: before}}}
			if got := was.OffInFlagd(); got != (before == want) {
				t.Errorf("all that is off is off in the file that an older operator kept: %t", got)
			}
			is := &Served{Contents: now.Contents, Files: files}
			if !is.OffInFlagd() {
				t.Error("a pin of this revision is taken for one that lacks the brake")
			}
		})
	}
}

// A brake must not be refused for the few bytes by which the kept flagd file grows.
func TestAKeptFlagdFileGrowsOnlyIntoRoom(t *testing.T) {
	flag := onOff(asItIs)
	before := string(flagd.Encode(header, contentWith(t, map[string]*datafile.Flag{"kill": flag}).Flagd))
	document := &datafile.Document{Flags: map[string]*datafile.Flag{"kill": compile.Off(flag)}}
	if got := switchedOff(before, document, len(before)+1); !strings.Contains(got, `"defaultVariant":"off"`) {
		t.Errorf("the flag is not off where there is room: %s", got)
	}
	if got := switchedOff(before, document, len(before)); strings.Contains(got, "kill") {
		t.Errorf("the flag is neither off nor left out where there is no room: %s", got)
	}
	for _, unreadable := range []string{"", "{", "[]", `{"flags":3}`} {
		if got := switchedOff(unreadable, document, 0); got != unreadable {
			t.Errorf("%q becomes %q", unreadable, got)
		}
	}
}

// What is kept with flags off must be read again as what was published, under the seal too.
func TestAKeptFlagdFileWithABrakeIsReadAgain(t *testing.T) {
	for name, compression := range map[string]v1alpha1.Compression{
		"plain": v1alpha1.CompressionNever, "compressed": v1alpha1.CompressionAlways,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.environment.Spec.Datafile.Compression = compression
			flags := map[string]*datafile.Flag{"kill": onOff(asItIs)}
			if _, err := c.publisher.Publish(t.Context(), c.environment, contentWith(t, flags), c.load()); err != nil {
				t.Fatal(err)
			}
			flags["kill"] = compile.Off(flags["kill"])
			flags["large"] = onOff(func(flag *datafile.Flag) {
				flag.Metadata = map[string]string{"owner": strings.Repeat("x", 600<<10)}
			})
			braked := contentWith(t, flags)
			if compression == v1alpha1.CompressionAlways {
				braked.Flagd.Put(datafile.RawPart("larger", []byte(`"`+strings.Repeat("x", 600<<10)+`"`)))
			}
			served, err := c.publisher.Publish(t.Context(), c.environment, braked, c.load())
			if err != nil || served.FlagdComplete {
				t.Fatalf("complete %t, error %v", served.FlagdComplete, err)
			}
			again := c.load()
			if !again.Intact(c.environment) || again.Revision != 2 || len(again.Forged) > 0 {
				t.Errorf("the operator does not know what it published: revision %d, %v", again.Revision, again.Forged)
			}
			file := c.get("flags-production").Data[flagd.FileName]
			if !strings.Contains(file, `"defaultVariant":"off"`) || !strings.Contains(file, `"revision":1,"version":"1"}`) {
				t.Errorf("readers of the flagd file do not get the brake in revision 1: %s", file)
			}
		})
	}
}
