// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// The formats of export: manifests of Kubernetes, and OpenFeature's flag manifest, from which code is generated.
const (
	yamlOutput     = "yaml"
	manifestOutput = "openfeature-manifest"
)

// flagManifest is OpenFeature's flag manifest.
type flagManifest struct {
	Schema string                     `json:"$schema"`
	Flags  map[string]flagDeclaration `json:"flags"`
}

// flagDeclaration is a flag as code asks for it.
type flagDeclaration struct {
	FlagType string `json:"flagType"`
	// DefaultValue is what code gets where nobody answers.
	DefaultValue json.RawMessage `json:"defaultValue"`
	Description  string          `json:"description,omitempty"`
}

// flagManifestSchema is that of OpenFeature's command line.
const flagManifestSchema = "https://raw.githubusercontent.com/open-feature/cli/main/schema/v0/flag-manifest.json"

// declare makes a flag manifest, and says what it has no place for. Archived flags are not for code any more.
func declare(flags []v1alpha1.FeatureFlag) (*flagManifest, []string) {
	made := &flagManifest{Schema: flagManifestSchema, Flags: map[string]flagDeclaration{}}
	var losses []string
	for i := range flags {
		flag := &flags[i]
		if flag.Spec.Archived {
			continue
		}
		at := slices.IndexFunc(flag.Spec.Variations, func(variation v1alpha1.Variation) bool {
			return variation.Key == flag.Spec.DefaultVariation
		})
		if at < 0 {
			losses = append(losses, flag.Key()+": the flag is left out, because it has no default variation")
			continue
		}
		declared := flagDeclaration{DefaultValue: flag.Spec.Variations[at].Value.Raw, Description: flag.Spec.Description}
		if declared.FlagType = declaredType(flag); declared.FlagType == "" {
			losses = append(losses, flag.Key()+": the flag is left out, because a flag manifest has no arrays")
			continue
		}
		made.Flags[flag.Key()] = declared
	}
	return made, losses
}

// declaredType is the type of a flag in a flag manifest, and empty where that has none.
func declaredType(flag *v1alpha1.FeatureFlag) string {
	has := func(is func(value []byte) bool) bool {
		return slices.ContainsFunc(flag.Spec.Variations, func(variation v1alpha1.Variation) bool {
			return is(variation.Value.Raw)
		})
	}
	switch flag.Spec.Type {
	case v1alpha1.FlagTypeBoolean:
		return "boolean"
	case v1alpha1.FlagTypeString:
		return "string"
	case v1alpha1.FlagTypeNumber:
		if has(func(value []byte) bool { return bytes.ContainsAny(value, ".eE") }) {
			return "float"
		}
		return "integer"
	case v1alpha1.FlagTypeJSON:
		if has(func(value []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(value), []byte("[")) }) {
			return ""
		}
	}
	return "object"
}

// exportManifest prints the flag manifest of a namespace's flags, or of those of these names.
func (a *App) exportManifest(ctx context.Context, c *cluster, names []string) error {
	list := &v1alpha1.FeatureFlagList{}
	if err := c.client.List(ctx, list, client.InNamespace(c.namespace)); err != nil {
		return fmt.Errorf("list flags: %w", err)
	}
	for _, name := range names {
		if !slices.ContainsFunc(list.Items, func(flag v1alpha1.FeatureFlag) bool { return flag.Name == name }) {
			return fmt.Errorf("there is no flag %q in namespace %q", name, c.namespace)
		}
	}
	flags := slices.DeleteFunc(list.Items, func(flag v1alpha1.FeatureFlag) bool {
		return len(names) > 0 && !slices.Contains(names, flag.Name)
	})
	made, losses := declare(flags)
	for _, loss := range losses {
		a.notef("%s", loss)
	}
	return a.printJSON(made)
}
