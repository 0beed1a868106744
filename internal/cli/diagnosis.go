// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/version"
)

// verdict is how bad a diagnosis is.
type verdict string

// The verdicts. Of these a problem alone fails the command.
const (
	healthy verdict = "OK"
	warning verdict = "Warning"
	problem verdict = "Problem"
	unknown verdict = "Unknown"
)

// diagnosis is what doctor says of one thing.
type diagnosis struct {
	// Check is what was looked at, such as "webhooks".
	Check   string  `json:"check"`
	Verdict verdict `json:"verdict"`
	// Message says what is so, and Advice what to do where something is wrong.
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"`
}

// The bounds that doctor judges by.
const (
	// oldestKubernetes is the first minor version with ValidatingAdmissionPolicy, which the chart asks for too.
	oldestKubernetes = "1.30.0"
	// certificateNotice is how long before its end an authority is warned of. The operator renews long before.
	certificateNotice = 7 * 24 * time.Hour
	// slowAdmission is what a person notices.
	slowAdmission = time.Second
	// maxNamed is how many of many are named.
	maxNamed = 5
)

const (
	checkNamespace    = "namespace"
	checkServer       = "API server"
	checkDefinitions  = "definitions"
	checkOperator     = "operator"
	checkLeader       = "leader"
	checkWebhooks     = "webhooks"
	checkAdmission    = "admission"
	checkPolicies     = "policies"
	checkEnvironments = "environments"
	checkChanges      = "changes"
	checkPods         = "pods"
	checkRights       = "rights"
)

func diagnoseServer(gitVersion string) diagnosis {
	parsed, err := version.ParseGeneric(gitVersion)
	switch {
	case err != nil:
		return diagnosis{checkServer, unknown, fmt.Sprintf("the version %q is none", gitVersion), ""}
	case !parsed.AtLeast(version.MustParseGeneric(oldestKubernetes)):
		return diagnosis{
			checkServer, problem, fmt.Sprintf("Kubernetes %s is older than %s", gitVersion, oldestKubernetes),
			"upgrade the cluster",
		}
	}
	return diagnosis{checkServer, healthy, "Kubernetes " + gitVersion, ""}
}

// diagnoseDefinitions compares the CustomResourceDefinitions of a cluster with those that this program carries.
func diagnoseDefinitions(shipped, found []apiextensionsv1.CustomResourceDefinition) []diagnosis {
	var all []diagnosis
	for i := range shipped {
		at := slices.IndexFunc(found, func(one apiextensionsv1.CustomResourceDefinition) bool {
			return one.Name == shipped[i].Name
		})
		if at < 0 {
			all = append(all, diagnosis{
				checkDefinitions,
				problem,
				shipped[i].Name + " is missing: nobody can read or write " + shipped[i].Spec.Names.Kind + " objects",
				"apply config/crd, or upgrade the chart",
			})
			continue
		}
		all = append(all, diagnoseDefinition(&shipped[i], &found[at])...)
	}
	if len(all) == 0 {
		all = append(
			all,
			diagnosis{checkDefinitions, healthy, fmt.Sprintf("%d are installed, with all fields", len(shipped)), ""},
		)
	}
	return all
}

func diagnoseDefinition(shipped, found *apiextensionsv1.CustomResourceDefinition) []diagnosis {
	established := slices.ContainsFunc(
		found.Status.Conditions,
		func(condition apiextensionsv1.CustomResourceDefinitionCondition) bool {
			return condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue
		},
	)
	missing := missingFields(shipped, found)
	switch {
	case found.DeletionTimestamp != nil:
		return []diagnosis{{
			checkDefinitions, problem, found.Name + " is being deleted, and all its objects with it",
			"what is served stays; restore the definition, then the objects, as docs/spec/flagenvironment.md says",
		}}
	case !established:
		return []diagnosis{{
			checkDefinitions, problem, found.Name + " is not established",
			"see its conditions: kubectl describe crd " + found.Name,
		}}
	case len(missing) > 0:
		return []diagnosis{
			{
				checkDefinitions,
				warning,
				fmt.Sprintf(
					"%s lacks %s, which this program knows: what is written there is dropped",
					found.Name,
					enumerate(missing),
				),
				"apply config/crd of this version, or upgrade the chart",
			},
		}
	}
	return nil
}

// missingFields are the paths of fields that one definition has and the other has not, in order.
func missingFields(shipped, found *apiextensionsv1.CustomResourceDefinition) []string {
	var missing []string
	for i := range shipped.Spec.Versions {
		at := slices.IndexFunc(found.Spec.Versions, func(one apiextensionsv1.CustomResourceDefinitionVersion) bool {
			return one.Name == shipped.Spec.Versions[i].Name
		})
		if at < 0 {
			missing = append(missing, "version "+shipped.Spec.Versions[i].Name)
			continue
		}
		want, have := shipped.Spec.Versions[i].Schema, found.Spec.Versions[at].Schema
		if want != nil && have != nil {
			missing = append(missing, missingProperties("", want.OpenAPIV3Schema, have.OpenAPIV3Schema)...)
		}
	}
	slices.Sort(missing)
	return missing
}

func missingProperties(path string, want, have *apiextensionsv1.JSONSchemaProps) []string {
	if want == nil {
		return nil
	}
	if have == nil {
		return []string{path}
	}
	var missing []string
	for name := range want.Properties {
		inner := strings.TrimPrefix(path+"."+name, ".")
		wanted := want.Properties[name]
		if had, found := have.Properties[name]; found {
			missing = append(missing, missingProperties(inner, &wanted, &had)...)
		} else {
			missing = append(missing, inner)
		}
	}
	if want.Items != nil && have.Items != nil {
		missing = append(missing, missingProperties(path+"[]", want.Items.Schema, have.Items.Schema)...)
	}
	return missing
}

// unreadable says that a check could not be made, because of what the API server answered.
func unreadable(check string, err error) diagnosis {
	if apierrors.IsForbidden(err) {
		status := apierrors.APIStatus(nil)
		if errors.As(err, &status) && status.Status().Details != nil {
			return diagnosis{
				check, unknown, "you may not read " + status.Status().Details.Kind, "let somebody look who may",
			}
		}
	}
	return diagnosis{check, unknown, err.Error(), ""}
}

// enumerate names the first of many.
func enumerate(names []string) string {
	if more := len(names) - maxNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), more)
	}
	return strings.Join(names, ", ")
}
