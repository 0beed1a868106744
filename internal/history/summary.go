// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	// maxSummaryRunes bounds a summary, and maxOlderRunes what stays of it once the detail goes.
	maxSummaryRunes = 256
	maxOlderRunes   = 100

	// maxSummaryValueRunes bounds one value in a summary, and maxSummarized how many changes are told.
	maxSummaryValueRunes = 40
	maxSummarized        = 4

	// maxEnvironments is how many environments a flag may have.
	maxEnvironments = 50
)

// environments returns, in order, the environments whose part the record changes. A change of an environment itself is
// of that one alone.
func (r *Record) environments(of v1alpha1.ChangedObject) []string {
	if of.Kind == "FlagEnvironment" {
		return []string{of.Name}
	}
	names := map[string]bool{}
	for i := range r.Changes {
		change := &r.Changes[i]
		if name, _, isPart := splitPart(change.Path); isPart {
			names[name] = true
		} else if change.Path == forceDisabledPath {
			added, removed := forced(change)
			for _, name := range append(added, removed...) {
				names[name] = true
			}
		}
	}
	environments := slices.Sorted(maps.Keys(names))
	return environments[:min(len(environments), maxEnvironments)]
}

// summary says in one line what the record changes, such as "production: off→on".
func (r *Record) summary() string {
	switch r.Action {
	case FlagCreated, EnvironmentCreated, AudienceCreated, EventCreated:
		return clipRunes(r.summaryOfCreation(), maxSummaryRunes)
	case FlagArchived:
		return "archived"
	case FlagRestored:
		return "restored"
	case FlagDeleted, EnvironmentDeleted, AudienceDeleted, EventDeleted:
		return "deleted"
	case BreakGlassEnded:
		return "break glass ended"
	default: // Of every other action the changed fields say more than its name.
	}
	var phrases []string
	more := r.Omitted
	for i := range r.Changes {
		phrase := r.Changes[i].summary()
		if strings.HasPrefix(phrase, "frozen ") && slices.Contains(phrases, "thaw") {
			continue // Admission removes reason and end together with the freeze.
		}
		switch {
		case phrase == "" || r.Changes[i].Path == servedSince || slices.Contains(phrases, phrase):
		case len(phrases) == maxSummarized:
			more++
		default:
			phrases = append(phrases, phrase)
		}
	}
	text := clipRunes(strings.Join(phrases, "; "), maxSummaryRunes-20)
	if more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	text = strings.TrimPrefix(text, " and ")
	if r.BreaksGlass() {
		return strings.TrimSuffix(r.breakGlass()+": "+text, ": ")
	}
	return text
}

// summaryOfCreation names the environments in which a new flag is on.
func (r *Record) summaryOfCreation() string {
	var on []string
	for i := range r.Changes {
		name, rest, isPart := splitPart(r.Changes[i].Path)
		var part struct {
			Enabled bool `json:"enabled"`
		}
		if isPart && rest == "" && json.Unmarshal(r.Changes[i].To, &part) == nil && part.Enabled {
			on = append(on, name)
		}
	}
	if len(on) == 0 {
		return "created"
	}
	return "created, on in " + strings.Join(on, ", ")
}

const forceDisabledPath = "metadata.annotations[" + v1alpha1.ForceDisabledAnnotation + "]"

// splitPart splits the path of a field of a flag's part into environment and rest.
func splitPart(path string) (environment, rest string, is bool) {
	rest, is = strings.CutPrefix(path, "spec.environments[")
	if !is {
		return "", "", false
	}
	// Names of environments are DNS labels, which have no bracket.
	environment, rest, is = strings.Cut(rest, "]")
	return environment, strings.TrimPrefix(rest, "."), is
}

// Brakes returns the environments in which the change forces a flag off, and those in which it ends that.
func (c *Change) Brakes() (off, ended []string) {
	if c.Path != forceDisabledPath || c.Digested {
		return nil, nil
	}
	return forced(c)
}

// summary says what one field became.
func (c *Change) summary() string {
	if c.Path == forceDisabledPath {
		return c.summaryOfBrake()
	}
	if served := c.summaryOfServed(); served != "" {
		return served
	}
	environment, path, isPart := splitPart(c.Path)
	prefix := ""
	if isPart {
		prefix = environment + ": "
	} else {
		path = strings.TrimPrefix(strings.TrimPrefix(c.Path, "spec."), "metadata.")
	}
	switch {
	case isPart && path == "":
		return prefix + c.summaryOfPart()
	case isPart && path == "enabled":
		return prefix + onOff(c.From) + "→" + onOff(c.To)
	case path == "annotations["+v1alpha1.PublishRequestedAtAnnotation+"]":
		return "publish"
	case path == "annotations["+v1alpha1.PinAgainAnnotation+"]" && !isAbsent(c.To):
		return "pin again over " + c.shown(c.To)
	case path == "publish.suspend":
		if string(c.To) == "true" {
			return "freeze"
		}
		return "thaw"
	case path == "publish.suspendUntil" && isAbsent(c.To):
		return "frozen without end"
	case path == "publish.suspendReason" && isAbsent(c.To):
		return "frozen for no stated reason"
	case path == "publish.suspendUntil":
		return "frozen until " + c.shown(c.To)
	case path == "publish.suspendReason":
		return "frozen for " + c.shown(c.To)
	case path == "publish.revision" && len(c.To) == 0:
		return "unpin"
	case path == "publish.revision":
		return "pin " + c.shown(c.To)
	}
	path = shorten.Replace(path)
	switch {
	case c.Digested || isStructure(c.From) || isStructure(c.To):
		verb := " changed"
		if len(c.From) == 0 {
			verb = " added"
		} else if len(c.To) == 0 {
			verb = " removed"
		}
		return prefix + clipRunes(path, maxSummaryRunes/4) + verb
	case len(c.From) == 0 && len(c.To) == 0:
		return prefix + clipRunes(path, maxSummaryRunes/4)
	default:
		return prefix + clipRunes(path, maxSummaryRunes/4) + " " + c.shown(c.From) + "→" + c.shown(c.To)
	}
}

// shorten drops from paths what a reader does not need.
var shorten = strings.NewReplacer(
	"rules[", "rule[", "variations[", "variation[", "overrides[", "override[", "members[", "member[",
	"annotations["+v1alpha1.AnnotationPrefix, "[",
)

// summaryOfPart says what became of a flag's whole part for an environment.
func (c *Change) summaryOfPart() string {
	enabled := func(value json.RawMessage) string {
		var part struct {
			Enabled bool `json:"enabled"`
		}
		// A part that is a digest is not known; one that is not there is off.
		if len(value) > 0 && json.Unmarshal(value, &part) != nil {
			return "?"
		}
		if part.Enabled {
			return "on"
		}
		return "off"
	}
	switch {
	case len(c.From) == 0:
		return "added, " + enabled(c.To)
	case len(c.To) == 0:
		return "removed, was " + enabled(c.From)
	default:
		return enabled(c.From) + "→" + enabled(c.To)
	}
}

// summaryOfBrake says where a flag is forced off, and where no longer.
func (c *Change) summaryOfBrake() string {
	added, removed := forced(c)
	var phrases []string
	if len(added) > 0 {
		phrases = append(phrases, strings.Join(added, ", ")+": forced off")
	}
	if len(removed) > 0 {
		phrases = append(phrases, strings.Join(removed, ", ")+": no longer forced off")
	}
	return strings.Join(phrases, "; ")
}

// forced returns the environments that a change of force-disabled adds and removes, in order.
func forced(c *Change) (added, removed []string) {
	was, is := listed(c.From), listed(c.To)
	without := func(names, others []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(others, name) })
	}
	return without(is, was), without(was, is)
}

// listed returns the names that a value of force-disabled lists.
func listed(value json.RawMessage) []string {
	var text string
	if len(value) == 0 || json.Unmarshal(value, &text) != nil {
		return nil
	}
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(names, name) && len(names) < maxEnvironments {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool { return len(name) > maxLabelLength })
}

// isAbsent reports whether a field was removed.
func isAbsent(value json.RawMessage) bool { return len(value) == 0 || string(value) == "null" }

func onOff(value json.RawMessage) string {
	if string(value) == "true" {
		return "on"
	}
	return "off"
}

func isStructure(value json.RawMessage) bool {
	return len(value) > 0 && (value[0] == '{' || value[0] == '[')
}

// shown is a value as a summary shows it.
func (c *Change) shown(value json.RawMessage) string {
	if len(value) == 0 {
		return "none"
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		text = string(value)
	}
	return clipRunes(strconv.QuoteToGraphic(text)[1:len(strconv.QuoteToGraphic(text))-1], maxSummaryValueRunes)
}

// clipRunes shortens a text to at most limit characters.
func clipRunes(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}
