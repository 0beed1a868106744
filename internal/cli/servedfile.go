// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// isGone reports whether an object is not there, or not even its Kind.
func isGone(err error) bool { return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) }

// environmentOrServed reads an environment. Where the object or its Kind is gone, it is made from the ConfigMap that is
// served for it, which workloads go on using.
func (c *cluster) environmentOrServed(ctx context.Context, name string) (*v1alpha1.FlagEnvironment, error) {
	environment, err := c.environment(ctx, name)
	if err == nil || !isGone(err) {
		return environment, err
	}
	list := &corev1.ConfigMapList{}
	selecting := ownership.Selecting(types.NamespacedName{Namespace: c.namespace, Name: name}, v1alpha1.DatafileServed)
	if listErr := c.client.List(ctx, list, selecting...); listErr != nil {
		return nil, fmt.Errorf("%w; read what it serves: %w", err, listErr)
	}
	if len(list.Items) != 1 {
		return nil, err
	}
	return servedEnvironment(name, &list.Items[0]), nil
}

// servedEnvironment is the environment as far as the ConfigMap that is served for it knows.
func servedEnvironment(name string, served *corev1.ConfigMap) *v1alpha1.FlagEnvironment {
	environment := &v1alpha1.FlagEnvironment{}
	environment.Namespace, environment.Name = served.Namespace, name
	spec := &environment.Spec
	if served.Name != environment.DatafileName() {
		spec.Datafile.Name = served.Name
	}
	spec.Production = served.Labels[v1alpha1.ProductionLabel] == "true"
	spec.DeletionPolicy = v1alpha1.DeletionPolicy(served.Labels[v1alpha1.DeletionPolicyLabel])
	_, isPlain := served.Data[datafile.FileName]
	_, isCompressed := served.BinaryData[datafile.CompressedFileName]
	if isPlain || isCompressed {
		spec.Datafile.Formats = append(spec.Datafile.Formats, v1alpha1.DatafileFormatNative)
	}
	if _, has := served.Data[flagd.FileName]; has {
		spec.Datafile.Formats = append(spec.Datafile.Formats, v1alpha1.DatafileFormatFlagd)
	}
	environment.Default()
	environment.Status.PublishedRevision = ownership.RevisionOf(served)
	environment.Status.PublishedDigest = served.Annotations[v1alpha1.DigestAnnotation]
	return environment
}

// servedContents are the parts of what an environment serves.
func servedContents(environment string, served *corev1.ConfigMap) (*datafile.Contents, error) {
	native, err := ownership.Native(served)
	if err == nil && native == nil {
		err = errors.New("it publishes no native datafile; see spec.datafile.formats")
	}
	var contents *datafile.Contents
	if err == nil {
		_, contents, err = datafile.Decode(native)
	}
	if err != nil {
		return nil, fmt.Errorf("read what environment %q serves: %w", environment, err)
	}
	return contents, nil
}

// contentID tells what is served from what was served before or after.
func contentID(served *corev1.ConfigMap) string {
	return served.Annotations[v1alpha1.RevisionAnnotation] + " " + served.Annotations[v1alpha1.DigestAnnotation]
}

// keysOf are the keys of the flags of a datafile.
func keysOf(contents *datafile.Contents) []string {
	keys := make([]string, 0, contents.Flags.Len())
	for part := range contents.Flags.All() {
		keys = append(keys, part.Key)
	}
	return keys
}

// documentOf reads what an environment serves, and contentID of it.
func (c *cluster) documentOf(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
) (*datafile.Document, string, error) {
	served := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: c.namespace, Name: environment.DatafileName()}
	if err := c.client.Get(ctx, key, served); err != nil {
		return nil, "", fmt.Errorf("read what environment %q serves: %w", environment.Name, err)
	}
	native, err := ownership.Native(served)
	switch {
	case err != nil:
		return nil, "", err
	case native == nil:
		return nil, "", fmt.Errorf("environment %q publishes no native datafile; see spec.datafile.formats", environment.Name)
	}
	document, err := datafile.Read(native)
	return document, contentID(served), err
}
