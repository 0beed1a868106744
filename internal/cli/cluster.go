// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// The names of the flag that chooses a context of the kubeconfig. That of evaluate leaves --context to the context of
// an evaluation.
const (
	contextFlag     = "context"
	kubeContextFlag = "kube-context"
)

// cluster is the cluster that the command line's flags or the kubeconfig name. It is connected to on first use.
type cluster struct {
	flags *genericclioptions.ConfigFlags
	// warnings is where the API server's warnings go.
	warnings io.Writer

	// namespace is set, and client is not nil, once it is connected.
	namespace string
	client    client.Client
}

// newCluster adds the flags of kubectl that choose a cluster, a user and a namespace.
func (a *App) newCluster(cmd *cobra.Command, contextName string) *cluster {
	flags := genericclioptions.NewConfigFlags(true)
	kubeContext := flags.Context
	flags.CacheDir, flags.CertFile, flags.KeyFile, flags.TLSServerName, flags.ImpersonateUID, flags.DisableCompression = nil, nil, nil, nil, nil, nil
	flags.Context = nil
	flags.AddFlags(cmd.Flags())
	flags.Context = kubeContext
	cmd.Flags().StringVar(kubeContext, contextName, "", "The name of the kubeconfig context to use")
	return &cluster{flags: flags, warnings: quote.Writer(a.Streams.ErrOut)}
}

// askedNamespace is the namespace that --namespace names, and empty where it is not given.
func (c *cluster) askedNamespace() string { return *c.flags.Namespace }

// connect finds the cluster.
func (c *cluster) connect() error {
	if c.client != nil {
		return nil
	}
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	// The API server's own priority and fairness decides how much is too much.
	config.QPS = -1
	config.WarningHandler = rest.NewWarningWriter(c.warnings, rest.WarningWriterOptions{Deduplicate: true})
	if c.namespace, _, err = c.flags.ToRawKubeConfigLoader().Namespace(); err != nil {
		return fmt.Errorf("find the namespace: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	c.client, err = client.New(config, client.Options{Scheme: scheme})
	return err
}

// flag reads a flag by its name, or by its key where no flag has that name.
func (c *cluster) flag(ctx context.Context, nameOrKey string) (*v1alpha1.FeatureFlag, error) {
	if err := c.connect(); err != nil {
		return nil, err
	}
	list := &v1alpha1.FeatureFlagList{}
	if err := c.client.List(ctx, list, client.InNamespace(c.namespace)); err != nil {
		return nil, fmt.Errorf("list flags: %w", err)
	}
	var found []*v1alpha1.FeatureFlag
	for i := range list.Items {
		flag := &list.Items[i]
		if flag.Name == nameOrKey {
			return flag, nil
		}
		if flag.Key() == nameOrKey {
			found = append(found, flag)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("namespace %q has no flag of the name or key %q", c.namespace, nameOrKey)
	}
	return validation.Holder(found[0], found[1:]...), nil
}

// edit changes an object as it is stored, and again where somebody else wrote meanwhile. Nothing is written where
// nothing changes.
func edit(ctx context.Context, c *cluster, object client.Object, change func() error) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := c.client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		before, isObject := object.DeepCopyObject().(client.Object)
		if !isObject {
			return fmt.Errorf("%T is no object", object)
		}
		if err := change(); err != nil {
			return err
		}
		if equality.Semantic.DeepEqual(before, object) {
			return nil
		}
		return c.client.Patch(
			ctx,
			object,
			client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}),
			client.FieldOwner("jackstaff"),
		)
	})
}

// environment reads an environment.
func (c *cluster) environment(ctx context.Context, name string) (*v1alpha1.FlagEnvironment, error) {
	if err := c.connect(); err != nil {
		return &v1alpha1.FlagEnvironment{}, err
	}
	environment := &v1alpha1.FlagEnvironment{}
	return environment, c.client.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, environment)
}

// servedDocument reads what an environment serves.
func (c *cluster) servedDocument(ctx context.Context, name string) (*datafile.Document, error) {
	environment, err := c.environment(ctx, name)
	if err != nil {
		return nil, err
	}
	configMap := &corev1.ConfigMap{}
	if err := c.client.Get(
		ctx,
		client.ObjectKey{Namespace: c.namespace, Name: environment.DatafileName()},
		configMap,
	); err != nil {
		return nil, fmt.Errorf("read what environment %q serves: %w", name, err)
	}
	native, err := publish.Files{Text: configMap.Data, Binary: configMap.BinaryData}.Native()
	switch {
	case err != nil:
		return nil, err
	case native == nil:
		return nil, fmt.Errorf("environment %q publishes no native datafile; see spec.datafile.formats", name)
	}
	return datafile.Read(native)
}
