// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package importer makes flags and audiences of flagd's flag definitions, and of the FeatureFlag resources of the
// OpenFeature operator, which hold the same.
//
// Targeting becomes rules: each way to meet a condition is a rule, in the order of the conditions. A "fractional" keeps
// its assignments where its hash can be said by a salt, or none, and an attribute. What cannot be carried over is a
// Loss, never left out in silence.
package importer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	jackstaffvalidation "github.com/jackstaff-dev/jackstaff/internal/validation"
)

// Loss is something that is not carried over as it was.
type Loss struct {
	// Flag is the key of the flag that it is about. It is empty for the whole file.
	Flag string
	// Reason says what is not as it was, and why.
	Reason string
}

// Result is what was imported.
type Result struct {
	// Flags and Audiences are in the order of keys and names.
	Flags     []*v1alpha1.FeatureFlag
	Audiences []*v1alpha1.FlagAudience
	// Losses are in the order of flags.
	Losses []Loss
	// Skipped counts the resources of other Kinds, by "Kind of apiVersion".
	Skipped map[string]int `json:",omitempty"`
}

// DefaultNamespace is the namespace of what has none of its own.
const DefaultNamespace = "default"

// Options say what the imported flags are for.
type Options struct {
	// Namespace is that of all flags. Empty means the namespace of each resource, and DefaultNamespace for files.
	Namespace string
	// Environment is the one that the flags are served in.
	Environment string
}

// Importer imports one file after the other. Names are unique over all of them.
type Importer struct {
	options Options
	// names are those that flags have taken in each namespace, as namespace/name.
	names map[string]struct{}
	// audiences are by namespace/name.
	audiences map[string]*v1alpha1.FlagAudience
	// read is how many documents had flags.
	read   int
	result Result
}

// New makes an importer that has imported nothing yet.
func New(options Options) *Importer {
	return &Importer{
		options:   options,
		names:     map[string]struct{}{},
		audiences: map[string]*v1alpha1.FlagAudience{},
		result:    Result{Skipped: map[string]int{}},
	}
}

// Result returns what was imported of all files. It fails where none of them had a flagd file or a FeatureFlag of the
// OpenFeature operator.
func (i *Importer) Result() (*Result, error) {
	if skipped := slices.Sorted(maps.Keys(i.result.Skipped)); i.read == 0 && len(skipped) > 0 {
		return nil, fmt.Errorf("there is no FeatureFlag of core.openfeature.dev, but %s", strings.Join(skipped, ", "))
	}
	result := i.result
	for _, name := range slices.Sorted(maps.Keys(i.audiences)) {
		result.Audiences = append(result.Audiences, i.audiences[name])
	}
	return &result, nil
}

// Flagd imports one file, to be served in an environment. It fails where that holds no flags.
func Flagd(data []byte, namespace, environment string) (*Result, error) {
	i := New(Options{Namespace: namespace, Environment: environment})
	if err := i.Add(data); err != nil {
		return nil, err
	}
	return i.Result()
}

func (i *Importer) lose(flag, format string, arguments ...any) {
	loss := Loss{Flag: flag, Reason: fmt.Sprintf(format, arguments...)}
	if !slices.Contains(i.result.Losses, loss) {
		i.result.Losses = append(i.result.Losses, loss)
	}
}

// part is one document, whose shared evaluators are its own.
type part struct {
	*Importer

	from      *definitions
	namespace string
	// used are the shared evaluators that flags refer to.
	used map[string]struct{}
}

// flags imports the flags of the document, and says which shared evaluators none of them uses.
func (p *part) flags() {
	for _, key := range slices.Sorted(maps.Keys(p.from.Flags)) {
		p.flag(key)
	}
	for _, name := range slices.Sorted(maps.Keys(p.from.Evaluators)) {
		if _, used := p.used[name]; !used {
			p.lose("", "shared evaluator %q is used by no flag, and left out", name)
		}
	}
}

// flag imports one flag, or says why it cannot.
func (p *part) flag(key string) {
	from, err := p.define(key)
	if err != nil {
		p.lose(key, "the flag is left out: %s", malformed(err))
		return
	}
	flag := &v1alpha1.FeatureFlag{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "FeatureFlag"},
		ObjectMeta: metav1.ObjectMeta{Name: p.name(key), Namespace: p.namespace},
		Spec: v1alpha1.FeatureFlagSpec{
			Key: key, Description: from.Description, DefaultVariation: from.DefaultVariant,
		},
	}
	if flag.Spec.Type, err = typeOf(from.Variants); err != nil {
		p.lose(key, "the flag is left out: %v", err)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(from.Variants)) {
		flag.Spec.Variations = append(
			flag.Spec.Variations,
			v1alpha1.Variation{Key: name, Value: v1alpha1.JSON{Raw: from.Variants[name]}},
		)
	}
	for _, name := range slices.Sorted(maps.Keys(from.Metadata)) {
		if flag.Spec.Metadata == nil {
			flag.Spec.Metadata = map[string]string{}
		}
		flag.Spec.Metadata[name] = textOf(from.Metadata[name])
	}
	config := v1alpha1.EnvironmentConfig{
		Name: p.options.Environment, Enabled: !strings.EqualFold(from.State, "DISABLED"),
	}
	if !config.Enabled || from.DefaultVariant == "" {
		config.CodeDefault, config.DefaultVariation = true, from.DefaultVariant
	}
	if from.DefaultVariant == "" {
		flag.Spec.DefaultVariation = elsewhere(from.Variants)
	}
	t := &targeting{part: p, key: key, def: from.DefaultVariant, variants: from.Variants}
	if err := t.top(from.Targeting, &config); err != nil {
		config.Rules = nil
		p.lose(key, "targeting is left out, so that everybody gets the default variation: %v", err)
	}
	flag.Spec.Environments = []v1alpha1.EnvironmentConfig{config}
	judged := flag.DeepCopy()
	judged.Default()
	if mistakes := jackstaffvalidation.FeatureFlag(judged); len(mistakes) > 0 {
		p.lose(key, "the flag is left out: %v", mistakes.ToAggregate())
		return
	}
	p.result.Flags = append(p.result.Flags, flag)
}

// elsewhere returns the variant that a flag without a default serves in environments that it does not name: false for a
// Boolean, else the first.
func elsewhere(variants map[string]json.RawMessage) string {
	names := slices.Sorted(maps.Keys(variants))
	for _, name := range names {
		if string(variants[name]) == "false" {
			return name
		}
	}
	return names[0]
}

// malformed says which field of a flag has the wrong type.
func malformed(err error) string {
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return fmt.Sprintf("%s is of type %s; it must be of type %s",
			cmp.Or(wrong.Field, "the definition"), wrong.Value, kindOf(wrong.Type))
	}
	return err.Error()
}

// kindOf names a type as JSON does.
func kindOf(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Map, reflect.Struct:
		return "object"
	case reflect.String:
		return "string"
	default:
		return of.String()
	}
}

// textOf returns a value of metadata as text: a string without its quotes, anything else as JSON, with every digit.
func textOf(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// name makes an object's name of a key, which no other object has.
func (p *part) name(key string) string {
	name := label(key)
	for n := 2; ; n++ {
		if _, taken := p.names[p.namespace+"/"+name]; !taken {
			p.names[p.namespace+"/"+name] = struct{}{}
			return name
		}
		suffix := fmt.Sprintf("-%d", n)
		base := label(key)
		name = strings.TrimSuffix(base[:min(len(base), validation.DNS1123LabelMaxLength-len(suffix))], "-") + suffix
	}
}

// label makes a DNS label of a text.
func label(text string) string {
	name := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(text), "-"), "-")
	name = strings.TrimSuffix(name[:min(len(name), validation.DNS1123LabelMaxLength)], "-")
	if name == "" {
		return "flag"
	}
	return name
}

// typeOf returns the type that all variants have.
func typeOf(variants map[string]json.RawMessage) (v1alpha1.FlagType, error) {
	var found v1alpha1.FlagType
	for _, key := range slices.Sorted(maps.Keys(variants)) {
		var value any
		if err := json.Unmarshal(variants[key], &value); err != nil {
			return "", fmt.Errorf("variant %q: %w", key, err)
		}
		var own v1alpha1.FlagType
		switch value.(type) {
		case bool:
			own = v1alpha1.FlagTypeBoolean
		case string:
			own = v1alpha1.FlagTypeString
		case float64:
			own = v1alpha1.FlagTypeNumber
		case map[string]any, []any:
			own = v1alpha1.FlagTypeJSON
		default:
			return "", fmt.Errorf("variant %q is null", key)
		}
		if found != "" && found != own {
			return "", fmt.Errorf("its variants are of the types %s and %s", found, own)
		}
		found = own
	}
	if found == "" {
		return "", errors.New("it has no variants")
	}
	return found, nil
}
