// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// maxProposed is for how many names of one object that lead to nothing the nearest names are looked for. It bounds the
// time, because a namespace may hold thousands of names.
const maxProposed = 10

// meant is the end of a message about a name that does not exist: the nearest of the names that there are. It is empty
// where these cannot be read, because a proposal is no reason to fail.
func (f *flagFinder) meant(name string, names func() ([]string, error)) string {
	if f.proposed++; f.proposed > maxProposed {
		return ""
	}
	among, err := names()
	if err != nil {
		return ""
	}
	return nearestOnly(name, among)
}

// nearestOnly is DidYouMean for messages that last, which must not change with every name that comes or goes.
func nearestOnly(name string, among []string) string {
	if len(Nearest(name, among)) == 0 {
		return ""
	}
	return DidYouMean(name, among)
}

func (f *flagFinder) environmentNames() ([]string, error) {
	return slices.Collect(maps.Keys(f.environments)), nil
}

func variationKeys(flag *v1alpha1.FeatureFlag) []string {
	keys := make([]string, 0, len(flag.Spec.Variations))
	for i := range flag.Spec.Variations {
		keys = append(keys, flag.Spec.Variations[i].Key)
	}
	return keys
}

// shares says what the weights of a split come to where they are not percents, or tenths, hundredths or thousandths of
// percents. It speaks of the first such split, so that there is room for other warnings.
func (f *flagFinder) shares() {
	var first string
	var path *field.Path
	more := 0
	for i := range f.flag.Spec.Environments {
		for j := range f.flag.Spec.Environments[i].Rules {
			text := sharesOf(f.flag.Spec.Environments[i].Rules[j].Split)
			switch {
			case text == "":
			case path != nil:
				more++
			default:
				path = specPath.Child("environments").Index(i).Child("rules").Index(j).Child("split")
				first = text
			}
		}
	}
	if more > 0 {
		first += fmt.Sprintf("; %d more do not sum to 100 either", more)
	}
	if path != nil {
		f.add(Shares, path, "%s", first)
	}
}

// sharesOf says how many percent each of the first variations of a split gets, and nothing where the weights say that
// themselves: percents, and 1 to 1.
func sharesOf(split []v1alpha1.SplitEntry) string {
	var sum int64
	isEven := true
	for _, entry := range split {
		sum += int64(max(entry.Weight, 0))
		isEven = isEven && entry.Weight <= 1
	}
	if isEven || slices.Contains([]int64{100, 1000, 10_000, 100_000}, sum) {
		return ""
	}
	texts := make([]string, 0, maxNamed)
	for _, entry := range split[:min(len(split), maxNamed)] {
		percent := math.Round(float64(max(entry.Weight, 0))/float64(sum)*1e5) / 1e3
		texts = append(texts, strconv.Quote(shown(entry.Variation))+" gets "+strconv.FormatFloat(percent, 'f', -1, 64)+" %")
	}
	return fmt.Sprintf("the weights sum to %d, not to 100: %s", sum, join(texts, len(split)-len(texts)))
}

// unusedVariations warns of variations that nothing serves, where the flag is enabled in some environment: it is in use
// then, and the variation was probably forgotten. A Boolean flag has both of its variations by necessity.
func (f *flagFinder) unusedVariations() {
	if f.flag.Spec.Archived || f.flag.Spec.Type == v1alpha1.FlagTypeBoolean ||
		!slices.ContainsFunc(f.flag.Spec.Environments, func(e v1alpha1.EnvironmentConfig) bool {
			return e.Enabled
		}) {
		return
	}
	used := usedVariations(f.flag)
	for i := range f.flag.Spec.Variations {
		key := f.flag.Spec.Variations[i].Key
		if _, isUsed := used[key]; !isUsed {
			f.add(
				UnusedVariation,
				specPath.Child("variations").Index(i),
				"nothing serves variation %q: no default, override, rule or split of any environment names it",
				shown(key),
			)
		}
	}
}

// usedVariations are the keys that defaults, overrides, rules and splits name. A weight of 0 names its variation, and
// has a warning of its own.
func usedVariations(flag *v1alpha1.FeatureFlag) map[string]struct{} {
	used := map[string]struct{}{flag.Spec.DefaultVariation: {}}
	for i := range flag.Spec.Environments {
		environment := &flag.Spec.Environments[i]
		used[environment.DefaultVariation] = struct{}{}
		for _, override := range environment.Overrides {
			used[override.Variation] = struct{}{}
		}
		for j := range environment.Rules {
			used[environment.Rules[j].Variation] = struct{}{}
			for _, entry := range environment.Rules[j].Split {
				used[entry.Variation] = struct{}{}
			}
		}
	}
	return used
}

// nulls warns of nulls within values and payloads.
func (f *flagFinder) nulls() {
	for i := range f.flag.Spec.Variations {
		variation, path := &f.flag.Spec.Variations[i], specPath.Child("variations").Index(i)
		f.null(path.Child("value"), variation.Value.Raw)
		if variation.Payload != nil {
			f.null(path.Child("payload"), variation.Payload.Raw)
		}
	}
}

func (f *flagFinder) null(path *field.Path, raw []byte) {
	if !bytes.Contains(raw, []byte("null")) {
		return
	}
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return // It has been refused for that.
	}
	if at, found := findNull(value); found && at != "" {
		f.add(
			NullInValue,
			path,
			"holds null at %s, which kubectl apply without --server-side removes at the next change; leave the member out",
			shown(at),
		)
	}
}

// findNull returns the path of the first null in a JSON value, in the order of names, such as .a[2].
func findNull(value any) (string, bool) {
	switch value := value.(type) {
	case nil:
		return "", true
	case []any:
		for i, item := range value {
			if at, found := findNull(item); found {
				return fmt.Sprintf("[%d]%s", i, at), true
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if at, found := findNull(value[name]); found {
				return "." + name + at, true
			}
		}
	}
	return "", false
}

// leavesFlagd warns of a flag that the flagd format cannot carry where flagd files are published. An environment that
// does not exist yet has the formats that are the default.
func (f *flagFinder) leavesFlagd(compatible Compatibility) {
	if compatible == nil || f.flag.Spec.Archived {
		return
	}
	publishing := map[string]struct{}{}
	for name, environment := range f.environments {
		if slices.Contains(environment.Spec.Datafile.Formats, v1alpha1.DatafileFormatFlagd) {
			publishing[name] = struct{}{}
		}
	}
	for i := range f.flag.Spec.Environments {
		if name := f.flag.Spec.Environments[i].Name; f.environments[name] == nil {
			publishing[name] = struct{}{}
		}
	}
	if len(publishing) == 0 {
		return
	}
	err := compatible(f.flag)
	if err == nil {
		return
	}
	names := joinQuoted(slices.Sorted(maps.Keys(publishing)))
	if f.old == nil || f.old.Spec.Archived || compatible(f.old) != nil {
		f.add(
			NotInFlagd,
			specPath,
			"the flag is not in the flagd files of %s, where SDKs then serve the default in the code: %s",
			names,
			withoutBreaks(err),
		)
		return
	}
	f.add(LeavesFlagd, specPath,
		"the flag leaves the flagd files of %s, where SDKs then serve the default in the code: %s", names, withoutBreaks(err))
}

func withoutBreaks(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }
