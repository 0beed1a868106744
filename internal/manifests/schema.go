// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/config/crd"
)

// kindSchema is what the API server knows of a Kind from its CustomResourceDefinition. It is safe for concurrent use.
type kindSchema struct {
	structural *structuralschema.Structural
	validator  schemavalidation.SchemaValidator
	rules      *cel.Validator
}

// Definitions are the CustomResourceDefinitions that this program carries.
func Definitions() ([]apiextensionsv1.CustomResourceDefinition, error) {
	files, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil {
		return nil, err
	}
	definitions := make([]apiextensionsv1.CustomResourceDefinition, len(files))
	for i, file := range files {
		data, err := crd.Bases.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := yaml.Unmarshal(data, &definitions[i]); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
	}
	return definitions, nil
}

// schemas are the schemas of the four Kinds by kind. Their CEL rules are compiled once.
var schemas = sync.OnceValues(func() (map[string]*kindSchema, error) {
	definitions, err := Definitions()
	if err != nil {
		return nil, err
	}
	byKind := map[string]*kindSchema{}
	for i := range definitions {
		definition := &definitions[i]
		if byKind[definition.Spec.Names.Kind], err = newKindSchema(definition); err != nil {
			return nil, fmt.Errorf("prepare %s: %w", definition.Name, err)
		}
	}
	return byKind, nil
})

func newKindSchema(definition *apiextensionsv1.CustomResourceDefinition) (*kindSchema, error) {
	i := slices.IndexFunc(definition.Spec.Versions, func(version apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return version.Name == v1alpha1.GroupVersion.Version
	})
	if i < 0 {
		return nil, fmt.Errorf("there is no version %q", v1alpha1.GroupVersion.Version)
	}
	properties := &apiextensions.JSONSchemaProps{}
	err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
		definition.Spec.Versions[i].Schema.OpenAPIV3Schema,
		properties,
		nil,
	)
	if err != nil {
		return nil, err
	}
	s := &kindSchema{}
	if s.structural, err = structuralschema.NewStructural(properties); err != nil {
		return nil, err
	}
	if s.validator, _, err = schemavalidation.NewSchemaValidator(properties); err != nil {
		return nil, err
	}
	s.rules = cel.NewValidator(s.structural, true, celconfig.PerCallLimit)
	return s, nil
}

// prepare does to an object what the API server does before it looks at it: it sets the schema's defaults, and removes
// what the Kind does not have, which it returns the paths of. Metadata that cannot be read is an error.
func (s *kindSchema) prepare(object map[string]any) (unknown []string, err error) {
	delete(object, "status") // Nobody creates an object with a status.
	metadata, found, unknown, err := objectmeta.GetObjectMetaWithOptions(
		object,
		objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true},
	)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	defaulting.Default(object, s.structural)
	unknown = append(
		unknown,
		pruning.PruneWithOptions(
			object,
			s.structural,
			true,
			structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true},
		)...)
	defaulting.PruneNonNullableNullsWithoutDefaults(object, s.structural)
	if found {
		err = objectmeta.SetObjectMeta(object, metadata)
	}
	return unknown, err
}

// validate returns what the API server refuses by the Kind's schema and its CEL rules. As there, the rules are not
// looked at where a field has another type than they expect.
func (s *kindSchema) validate(ctx context.Context, object map[string]any) field.ErrorList {
	list := schemavalidation.ValidateCustomResource(nil, object, s.validator)
	list = append(list, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	if slices.ContainsFunc(list, blocksRules) {
		return list
	}
	broken, _ := s.rules.Validate(ctx, nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return append(list, broken...)
}

func blocksRules(err *field.Error) bool {
	blocking := []field.ErrorType{
		field.ErrorTypeNotSupported,
		field.ErrorTypeRequired,
		field.ErrorTypeTooLong,
		field.ErrorTypeTooMany,
		field.ErrorTypeTypeInvalid,
	}
	return slices.Contains(blocking, err.Type)
}

// validateMetadata returns what the API server refuses of any object's metadata.
func validateMetadata(object client.Object) field.ErrorList {
	return apimachineryvalidation.ValidateObjectMetaAccessor(
		object,
		true,
		apimachineryvalidation.NameIsDNSSubdomain,
		field.NewPath("metadata"),
	)
}
