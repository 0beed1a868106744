// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// TestSamples holds the samples to what they teach: they are valid, and nobody is warned of anything in them.
func TestSamples(t *testing.T) {
	var flags []*v1alpha1.FeatureFlag
	var environments []*v1alpha1.FlagEnvironment
	var audiences []*v1alpha1.FlagAudience
	var events []*v1alpha1.FlagEvent
	files, err := filepath.Glob(filepath.Join("..", "..", "config", "samples", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no samples: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
		for {
			manifest, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			var meta struct {
				Kind string `json:"kind"`
			}
			if err := errors.Join(err, yaml.Unmarshal(manifest, &meta)); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			switch meta.Kind {
			case "FeatureFlag":
				flags = append(flags, read(t, manifest, validation.FeatureFlag))
			case "FlagEnvironment":
				environments = append(environments, read(t, manifest, validation.FlagEnvironment))
			case "FlagAudience":
				audiences = append(audiences, read(t, manifest, validation.FlagAudience))
			case "FlagEvent":
				events = append(events, read(t, manifest, validation.FlagEvent))
			}
		}
	}
	objects := validation.NewObjects(flags, environments, audiences, events)
	for _, flag := range flags {
		if found, err := validation.FeatureFlagFindings(t.Context(), objects, nil, nil, flag); err != nil || len(found) > 0 {
			t.Errorf("flag %q: %v %v", flag.Name, found, err)
		}
	}
	if len(flags) == 0 || len(environments) == 0 {
		t.Errorf("the samples have %d flags and %d environments", len(flags), len(environments))
	}
}

func read[T any](t *testing.T, manifest []byte, validate func(*T) field.ErrorList) *T {
	t.Helper()
	object := new(T)
	if err := yaml.UnmarshalStrict(manifest, object); err != nil {
		t.Fatalf("%v\n%s", err, manifest)
	}
	if object, has := any(object).(interface{ Default() }); has {
		object.Default()
	}
	if list := validate(object); len(list) > 0 {
		t.Errorf("%v\n%s", list.ToAggregate(), manifest)
	}
	return object
}
