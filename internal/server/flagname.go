// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// NameFlag gives a flag that is about to be created its name, which is made out of its key. A flag without a key gets
// one out of its display name, which no other flag has. It fails with an *Error of status 403 where the caller may not
// create flags, of 404 where there is no such project, and of 409 where another flag has the key. Restore says how the
// view restores an archived flag.
func (c *Cluster) NameFlag(
	ctx context.Context, project *Project, flag *v1alpha1.FeatureFlag, restore ...string,
) error {
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
		return keyTaken(others, flag.Spec.Key, restore)
	}
	flag.Name = Label(flag.Spec.Key, "flag", func(name string) bool {
		return slices.ContainsFunc(others, func(other *v1alpha1.FeatureFlag) bool { return other.Name == name })
	})
	return nil
}

// keyTaken says that a flag has a key already, and what to do.
func keyTaken(flags []*v1alpha1.FeatureFlag, key string, restore []string) *Error {
	isArchived := slices.ContainsFunc(flags, func(other *v1alpha1.FeatureFlag) bool {
		return other.Key() == key && other.Spec.Archived
	})
	message := fmt.Sprintf("there is a flag with the key %q already; choose another key", key)
	if isArchived {
		how := "restore or delete it"
		if len(restore) > 0 {
			how = strings.Join(restore, ", ")
		}
		message = fmt.Sprintf("an archived flag has the key %q; %s, or choose another key", key, how)
	}
	return Errorf(http.StatusConflict, "%s", message)
}

// generatedTries is how often a flag whose key is made from its name is created again, because others took the key.
const generatedTries = 10

// CreateFlag names a flag as NameFlag does, and creates it as Create does. Where the key is made from the name and
// somebody takes it at the same time, the next free one is used.
func CreateFlag(
	ctx context.Context, c *Cluster, project *Project, flag *v1alpha1.FeatureFlag, rename Rename, restore ...string,
) error {
	isGenerated := flag.Spec.Key == ""
	for try := 1; ; try++ {
		if err := c.NameFlag(ctx, project, flag, restore...); err != nil {
			return err
		}
		err := Create(ctx, c, project, flag, rename)
		refused := (*Error)(nil)
		if !isGenerated || try == generatedTries || !errors.As(err, &refused) || refused.Status != http.StatusConflict {
			return err
		}
		if err := c.awaitSeen(ctx, flag, &v1alpha1.FeatureFlag{}); err != nil {
			return err
		}
		flag.Spec.Key, flag.Name = "", ""
	}
}
