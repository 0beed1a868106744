// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"slices"
	"strings"
)

// In returns the flag's entry for an environment, and nil where it has none. The entry is part of the flag.
func (f *FeatureFlag) In(environment string) *EnvironmentConfig {
	for i := range f.Spec.Environments {
		if f.Spec.Environments[i].Name == environment {
			return &f.Spec.Environments[i]
		}
	}
	return nil
}

// EnabledIn reports whether the flag is on in an environment: its spec enables it there and no brake forces it off. A
// schedule, and whether the environment serves that yet, are not considered.
func (f *FeatureFlag) EnabledIn(environment string) bool {
	config := f.In(environment)
	return config != nil && config.Enabled && !f.ForceDisabledIn(environment)
}

// ForceDisabled returns the environments that ForceDisabledAnnotation names, in the order written.
func (f *FeatureFlag) ForceDisabled() []string {
	var names []string
	for name := range strings.SplitSeq(f.Annotations[ForceDisabledAnnotation], ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// ForceDisabledIn reports whether ForceDisabledAnnotation turns the flag off in an environment, whatever its spec says.
func (f *FeatureFlag) ForceDisabledIn(environment string) bool {
	return slices.Contains(f.ForceDisabled(), environment)
}

// ForceDisableIn adds an environment to ForceDisabledAnnotation, or takes it out. The annotation is sorted.
// The last environment taken out leaves an empty value, because admission keeps an annotation that an update leaves
// out.
func (f *FeatureFlag) ForceDisableIn(environment string, disabled bool) {
	names := slices.DeleteFunc(f.ForceDisabled(), func(name string) bool { return name == environment })
	if disabled {
		names = append(names, environment)
	}
	if _, has := f.Annotations[ForceDisabledAnnotation]; len(names) == 0 && !has {
		return
	}
	if f.Annotations == nil {
		f.Annotations = map[string]string{}
	}
	slices.Sort(names)
	f.Annotations[ForceDisabledAnnotation] = strings.Join(names, ",")
}

// NamedEnvironments returns the environments that the flag names in its spec or its brake, sorted, each once.
func (f *FeatureFlag) NamedEnvironments() []string {
	names := f.ForceDisabled()
	for i := range f.Spec.Environments {
		names = append(names, f.Spec.Environments[i].Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// IsEnabled reports whether the rule is included. Default true.
func (r *Rule) IsEnabled() bool { return r.Enabled == nil || *r.Enabled }

// StateIn returns what the status says of the flag in an environment, and nil where it says nothing. It is part of the
// flag.
func (f *FeatureFlag) StateIn(environment string) *EnvironmentState {
	for i := range f.Status.Environments {
		if f.Status.Environments[i].Name == environment {
			return &f.Status.Environments[i]
		}
	}
	return nil
}
