// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// NameFlag gives a flag that is about to be created its name, which is made out of its key. A flag without a key gets
// one out of its display name, which no other flag has. It fails with an *Error of status 403 where the caller may not
// create flags, of 404 where there is no such project, and of 422 where another flag has the key.
func (c *Cluster) NameFlag(ctx context.Context, project *Project, flag *v1alpha1.FeatureFlag) error {
	if err := cmp.Or(c.Authorize(ctx, "create", Flags, project.Name, ""), project.exists()); err != nil {
		return err
	}
	others, err := find(ctx, c, flags, client.InNamespace(project.Name))
	if err != nil {
		return err
	}
	has := func(key string) bool {
		return slices.ContainsFunc(others, func(other *v1alpha1.FeatureFlag) bool { return other.Key() == key })
	}
	if flag.Spec.Key == "" {
		flag.Spec.Key = Label(flag.Spec.DisplayName, "flag", has)
	}
	if has(flag.Spec.Key) {
		return InvalidField("key", "there is a flag with the key %q already", flag.Spec.Key)
	}
	flag.Name = Label(flag.Spec.Key, "flag", func(name string) bool {
		return slices.ContainsFunc(others, func(other *v1alpha1.FeatureFlag) bool { return other.Name == name })
	})
	return nil
}
