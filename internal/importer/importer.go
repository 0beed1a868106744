// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package importer makes flags and audiences of flagd's flag definitions, and of the FeatureFlag resources of the
// OpenFeature operator, which hold the same.
//
// Targeting becomes rules: each way to meet a condition is a rule, in the order of the conditions. A "fractional" keeps
// its assignments where its hash can be said by a salt and an attribute. What cannot be carried over is a Loss, never
// left out in silence.
package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

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
}

// definitions are a flagd file, or the flagSpec of a resource.
type definitions struct {
	Flags      map[string]definition `json:"flags"`
	Evaluators map[string]any        `json:"$evaluators"`
	Metadata   map[string]any        `json:"metadata"`
}

type definition struct {
	State          string                     `json:"state"`
	Variants       map[string]json.RawMessage `json:"variants"`
	DefaultVariant string                     `json:"defaultVariant"`
	Targeting      any                        `json:"targeting"`
	Metadata       map[string]any             `json:"metadata"`
}

// Flagd imports a document in JSON or YAML, to be served in an environment. It fails where that is neither a flagd file
// nor a FeatureFlag of the OpenFeature operator.
func Flagd(data []byte, namespace, environment string) (*Result, error) {
	var document struct {
		definitions

		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       struct {
			FlagSpec definitions `json:"flagSpec"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("read flag definitions: %w", err)
	}
	from := &document.definitions
	if document.Kind != "" {
		if document.Kind != "FeatureFlag" || !strings.HasPrefix(document.APIVersion, "core.openfeature.dev/") {
			return nil, fmt.Errorf("%s of %s is no FeatureFlag of core.openfeature.dev", document.Kind, document.APIVersion)
		}
		from = &document.Spec.FlagSpec
	}
	if from.Flags == nil {
		return nil, errors.New("the document has no flags")
	}
	i := &importer{
		from:        from,
		namespace:   namespace,
		environment: environment,
		names:       map[string]struct{}{},
		used:        map[string]struct{}{},
		audiences:   map[string]*v1alpha1.FlagAudience{},
	}
	if len(from.Metadata) > 0 {
		i.lose("", "metadata of the whole file has no place; copy it to the flags that need it")
	}
	for _, key := range slices.Sorted(maps.Keys(from.Flags)) {
		i.flag(key)
	}
	for _, name := range slices.Sorted(maps.Keys(from.Evaluators)) {
		if _, used := i.used[name]; !used {
			i.lose("", "shared evaluator %q is used by no flag, and left out", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(i.audiences)) {
		i.result.Audiences = append(i.result.Audiences, i.audiences[name])
	}
	return &i.result, nil
}

type importer struct {
	from                   *definitions
	namespace, environment string
	// names are those that flags have taken, and used the shared evaluators that flags refer to.
	names, used map[string]struct{}
	audiences   map[string]*v1alpha1.FlagAudience
	result      Result
}

func (i *importer) lose(flag, format string, arguments ...any) {
	i.result.Losses = append(i.result.Losses, Loss{Flag: flag, Reason: fmt.Sprintf(format, arguments...)})
}

// flag imports one flag, or says why it cannot.
func (i *importer) flag(key string) {
	from := i.from.Flags[key]
	flag := &v1alpha1.FeatureFlag{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "FeatureFlag"},
		ObjectMeta: metav1.ObjectMeta{Name: i.name(key), Namespace: i.namespace},
		Spec:       v1alpha1.FeatureFlagSpec{Key: key, DefaultVariation: from.DefaultVariant},
	}
	var err error
	if flag.Spec.Type, err = typeOf(from.Variants); err != nil {
		i.lose(key, "the flag is left out: %v", err)
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
		flag.Spec.Metadata[name] = fmt.Sprint(from.Metadata[name])
	}
	config := v1alpha1.EnvironmentConfig{Name: i.environment, Enabled: from.State != "DISABLED"}
	if !config.Enabled {
		i.lose(key, "while it is disabled the flag serves its default variation, and code no longer gets its own default")
	}
	t := &targeting{importer: i, key: key, def: from.DefaultVariant, variants: from.Variants}
	if err := t.top(from.Targeting, &config); err != nil {
		config.Rules, config.DefaultVariation = nil, ""
		i.lose(key, "targeting is left out, so that everybody gets the default variation: %v", err)
	}
	flag.Spec.Environments = []v1alpha1.EnvironmentConfig{config}
	judged := flag.DeepCopy()
	judged.Default()
	if mistakes := jackstaffvalidation.FeatureFlag(judged); len(mistakes) > 0 {
		i.lose(key, "the flag is left out: %v", mistakes.ToAggregate())
		return
	}
	i.result.Flags = append(i.result.Flags, flag)
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// name makes an object's name of a key, which no other object has.
func (i *importer) name(key string) string {
	name := label(key)
	for n := 2; ; n++ {
		if _, taken := i.names[name]; !taken {
			i.names[name] = struct{}{}
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
