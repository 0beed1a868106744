// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package datafile

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/sdk/internal/diff"
)

func keysOf(section *Section) []string {
	var keys []string
	for part := range section.All() {
		keys = append(keys, part.Key)
	}
	return keys
}

func TestSectionKeepsOrderInWhateverOrderPartsCome(t *testing.T) {
	keys := []string{"a", "a-b", "a.b", "a/b", "a_b", "B", "b", "é", "😀", "ﬀ"}
	slices.Sort(keys)
	for seed := range uint64(20) {
		shuffled := slices.Clone(keys)
		rand.New(
			rand.NewPCG(seed, 1),
		).Shuffle(
			len(shuffled),
			func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] },
		)
		var section Section
		for _, key := range shuffled {
			if !section.Put(RawPart(key, []byte(`{}`))) {
				t.Fatalf("seed %d: a new part %q is not reported, so nobody would publish it", seed, key)
			}
		}
		if diff := diff.Diff(keys, keysOf(&section)); diff != "" {
			t.Fatalf("seed %d: the same parts make another document (-want +got):\n%s", seed, diff)
		}
	}
}

func TestSectionReportsWhatChanges(t *testing.T) {
	var section Section
	a, changedA := RawPart("a", []byte(`{"x":1}`)), RawPart("a", []byte(`{"x":22}`))
	b := RawPart("b", []byte(`{}`))
	steps := []struct {
		name string
		do   func() bool
		want bool
		json string
	}{
		{"a new part", func() bool { return section.Put(b) }, true, `{"b":{}}`},
		{"another new part", func() bool { return section.Put(a) }, true, `{"a":{"x":1},"b":{}}`},
		{"the same part", func() bool { return section.Put(RawPart("a", []byte(`{"x":1}`))) }, false, `{"a":{"x":1},"b":{}}`},
		{"a changed part", func() bool { return section.Put(changedA) }, true, `{"a":{"x":22},"b":{}}`},
		{"deleting nothing", func() bool { return section.Delete("c") }, false, `{"a":{"x":22},"b":{}}`},
		{"deleting a part", func() bool { return section.Delete("b") }, true, `{"a":{"x":22}}`},
		{"deleting it again", func() bool { return section.Delete("b") }, false, `{"a":{"x":22}}`},
		{"deleting the last part", func() bool { return section.Delete("a") }, true, `{}`},
	}
	for _, step := range steps {
		if got := step.do(); got != step.want {
			t.Errorf("%s is reported as change %t, want %t", step.name, got, step.want)
		}
		if got := string(section.AppendJSON(nil)); got != step.json {
			t.Errorf("after %s the section is %s, want %s", step.name, got, step.json)
		}
		size := 0
		for part := range section.All() {
			size += len(part.Key) + len(part.JSON)
		}
		if section.bytes != size {
			t.Errorf("after %s the section says it has %d bytes and has %d", step.name, section.bytes, size)
		}
	}
	if _, found := section.Get("a"); found {
		t.Error("a deleted part is still found")
	}
}

func TestCloneKeepsWhatWasPublished(t *testing.T) {
	var contents Contents
	contents.Flags.Put(RawPart("a", []byte(`{"x":1}`)))
	contents.Audiences.Put(RawPart("b", []byte(`{"x":1}`)))
	contents.Events.Put(RawPart("c", []byte(`{"x":1}`)))
	clone := contents.Clone()
	want := string(clone.Encode(Header{}))
	contents.Flags.Put(RawPart("a", []byte(`{"x":2}`)))
	contents.Flags.Put(RawPart("0", []byte(`{}`)))
	contents.Audiences.Delete("b")
	contents.Events.Put(RawPart("c", []byte(`{"x":2}`)))
	if got := string(clone.Encode(Header{})); got != want {
		t.Errorf("what was published changes with what is compiled: got %s, want %s", got, want)
	}
}

func TestDigestTellsContentsApart(t *testing.T) {
	part := func(key, data string) Part { return RawPart(key, []byte(data)) }
	contents := map[string]func(*Contents) []*Section{
		"nothing":         func(*Contents) []*Section { return nil },
		"a flag":          func(c *Contents) []*Section { c.Flags.Put(part("a", `{}`)); return nil },
		"another flag":    func(c *Contents) []*Section { c.Flags.Put(part("b", `{}`)); return nil },
		"its other form":  func(c *Contents) []*Section { c.Flags.Put(part("a", `{"x":1}`)); return nil },
		"as an audience":  func(c *Contents) []*Section { c.Audiences.Put(part("a", `{}`)); return nil },
		"as an event":     func(c *Contents) []*Section { c.Events.Put(part("a", `{}`)); return nil },
		"a further empty": func(*Contents) []*Section { return []*Section{{}} },
		"two flags":       func(c *Contents) []*Section { c.Flags.Put(part("a", `{}`)); c.Flags.Put(part("b", `{}`)); return nil },
		"flag, audience": func(c *Contents) []*Section {
			c.Flags.Put(part("a", `{}`))
			c.Audiences.Put(part("b", `{}`))
			return nil
		},
		"a longer key":    func(c *Contents) []*Section { c.Flags.Put(part("ab", `{}`)); return nil },
		"a key of digits": func(c *Contents) []*Section { c.Flags.Put(part("1", `{}`)); return nil },
		"two of digits":   func(c *Contents) []*Section { c.Flags.Put(part("11", `{}`)); return nil },
		"exchanged values": func(c *Contents) []*Section {
			c.Flags.Put(part("a", `{"x":1}`))
			c.Flags.Put(part("b", `{}`))
			return nil
		},
		"and back": func(c *Contents) []*Section {
			c.Flags.Put(part("a", `{}`))
			c.Flags.Put(part("b", `{"x":1}`))
			return nil
		},
		"in a further one": func(*Contents) []*Section {
			section := &Section{}
			section.Put(part("a", `{}`))
			return []*Section{section}
		},
	}
	seen := map[string]string{}
	for name, fill := range contents {
		var c Contents
		further := fill(&c)
		digest := c.Digest(further...)
		if !strings.HasPrefix(digest, "sha256:") || len(digest) != len("sha256:")+64 {
			t.Errorf("the digest of %s is %q", name, digest)
		}
		if other, twice := seen[digest]; twice {
			t.Errorf("%q and %q have the same digest, so a change from one to the other would not be published", name, other)
		}
		seen[digest] = name
	}
}

func TestDigestDoesNotDependOnTheWayThere(t *testing.T) {
	var direct, detour Contents
	for i := range 10 {
		direct.Flags.Put(RawPart(strconv.Itoa(i), []byte(`{}`)))
	}
	for i := range 20 {
		detour.Flags.Put(RawPart(strconv.Itoa(19-i), []byte(`{"x":1}`)))
	}
	for i := range 20 {
		if i < 10 {
			detour.Flags.Put(RawPart(strconv.Itoa(i), []byte(`{}`)))
		} else {
			detour.Flags.Delete(strconv.Itoa(i))
		}
	}
	if direct.Digest() != detour.Digest() {
		t.Error("equal contents have different digests, so a revision is published in which nothing changed")
	}
}

// fullContents has every field of every type set, with values in an order that is not sorted where order is the
// author's.
func fullContents(t testing.TB) *Contents {
	t.Helper()
	contents := &Contents{}
	flag := &Flag{
		Bucketing: PostHogSHA1, DefaultVariation: "off", Enabled: true, Fallthrough: "on",
		Metadata:      map[string]string{"z": "<&>", "a": "\u2028é", "é": "\"\\"},
		Overrides:     map[string]string{"zoe@example.com": "on", "Ada": "off"},
		Prerequisites: []Prerequisite{{Flag: "other", Variations: []string{"a", "b"}}},
		Retained:      true,
		Rules: []Rule{{
			Audiences: []string{"beta"}, Conditions: []Condition{{Attribute: "plan", Operator: In, Values: []string{"z", "a"}}},
			HashAttribute: "userId", Metrics: []string{"purchase"}, Name: "rule", Salt: "s", Traffic: new(int32(0)),
			Split: []Weight{{"on", 1}, {"off", 0}}, Type: ABTest,
		}, {Name: "second", Variation: "on"}},
		Runtime: Server, Schedule: &Schedule{DisableAt: "2027-01-02T00:00:00Z", EnableAt: "2027-01-01T00:00:00Z"},
		Type: JSON,
		Variations: []Variation{
			{Key: "on", Payload: json.RawMessage(`{"a":[1.5,null]}`), Value: json.RawMessage(`{"z":"<"}`)},
			{Key: "off", Value: json.RawMessage(`[]`)},
		},
	}
	audience := &Audience{
		Members: []string{"a", "b"},
		Groups:  []Group{{Conditions: []Condition{{Attribute: "x", Operator: Exists}}}},
	}
	for section, values := range map[*Section]map[string]any{
		&contents.Flags:     {"full": flag, "a/b": &Flag{Type: Boolean, DefaultVariation: "off", Variations: []Variation{{Key: "off", Value: json.RawMessage("false")}}}},
		&contents.Audiences: {"beta": audience, "nobody": &Audience{}},
		&contents.Events:    {"purchase": &Event{Type: Numeric, Unit: "€"}, "click": &Event{Type: Conversion}},
	} {
		for key, value := range values {
			part, err := NewPart(key, value)
			if err != nil {
				t.Fatal(err)
			}
			section.Put(part)
		}
	}
	return contents
}

func TestEncodeIsSortedAtEveryLevel(t *testing.T) {
	documents := map[string][]byte{
		"a full document": fullContents(t).Encode(Header{Environment: "production", Project: "shop", Revision: 42}),
		"an empty one":    (&Contents{}).Encode(Header{Environment: "é\"", Project: "shop"}),
		"only a header": EncodeHeader(
			Header{Compressed: CompressedFileName, Environment: "production", Project: "shop", Revision: 42},
		),
	}
	for name, data := range documents {
		t.Run(name, func(t *testing.T) {
			if want := sortedJSON(t, data); !bytes.Equal(data, want) {
				t.Errorf("equal documents would not be equal bytes:\n got %s\nwant %s", data, want)
			}
			if canonical, err := Canonical(data); err != nil || !bytes.Equal(canonical, data) {
				t.Errorf("the document is not canonical, error %v:\n got %s\nwant %s", err, data, canonical)
			}
		})
	}
}

func TestNewPartRefusesMalformedJSON(t *testing.T) {
	_, err := NewPart("a", &Flag{Variations: []Variation{{Key: "on", Value: json.RawMessage(`{"a":`)}}})
	if err == nil || !strings.Contains(err.Error(), `part "a"`) {
		t.Errorf("malformed JSON would break the whole document: error %v", err)
	}
}
