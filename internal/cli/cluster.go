// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/decode"
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

// foldedFlags are those of kubectl that the help of commands leaves out, and "jackstaff options" shows.
var foldedFlags = []string{
	"as",
	"as-group",
	"as-user-extra",
	"certificate-authority",
	"client-certificate",
	"client-key",
	"cluster",
	"insecure-skip-tls-verify",
	"kubeconfig",
	"request-timeout",
	"server",
	"token",
	"user",
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
	for _, name := range foldedFlags {
		if flag := cmd.Flags().Lookup(name); flag != nil {
			flag.Hidden = true
		}
	}
	c := &cluster{flags: flags, warnings: quote.Writer(a.Streams.ErrOut)}
	if cmd.HasParent() || cmd.Use != "" {
		c.completes(cmd)
		cmd.SetUsageTemplate(
			cmd.UsageTemplate() + "\nUse \"jackstaff options\" for the flags that choose a cluster and a user.\n",
		)
	}
	return c
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
	decode.Tolerate(config)
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

// unknownError says that nothing has a name, and which names are near. To apierrors it is the cause, NotFound.
type unknownError struct {
	message string
	cause   error
}

func (e *unknownError) Error() string { return e.message }
func (e *unknownError) Unwrap() error { return e.cause }

// flag reads a flag by its name, or by its key where no flag has that name.
func (c *cluster) flag(ctx context.Context, nameOrKey string) (*v1alpha1.FeatureFlag, error) {
	if err := c.connect(); err != nil {
		return nil, err
	}
	list := &v1alpha1.FeatureFlagList{}
	if err := c.client.List(ctx, list, client.InNamespace(c.namespace)); err != nil {
		return nil, fmt.Errorf("list flags: %w", err)
	}
	flags := make([]*v1alpha1.FeatureFlag, len(list.Items))
	for i := range list.Items {
		flags[i] = &list.Items[i]
	}
	found, known := findFlag(flags, nameOrKey)
	if found == nil {
		return nil, &unknownError{
			message: fmt.Sprintf(
				"namespace %q has no flag of the name or key %q%s",
				c.namespace,
				nameOrKey,
				validation.DidYouMean(nameOrKey, known),
			),
			cause: apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("featureflags").GroupResource(), nameOrKey),
		}
	}
	return found, nil
}

// findFlag returns the flag of a name, or the one that holds a key where no flag has that name. Where there is none it
// is nil, and known are all names and keys.
func findFlag(flags []*v1alpha1.FeatureFlag, nameOrKey string) (found *v1alpha1.FeatureFlag, known []string) {
	var holders []*v1alpha1.FeatureFlag
	for _, flag := range flags {
		if flag.Name == nameOrKey {
			return flag, nil
		}
		if flag.Key() == nameOrKey {
			holders = append(holders, flag)
		}
		known = append(known, flag.Name, flag.Key())
	}
	if len(holders) > 0 {
		return validation.Holder(holders[0], holders[1:]...), nil
	}
	slices.Sort(known)
	return nil, slices.Compact(known)
}

// edit changes an object as it is stored, and again where somebody else wrote meanwhile. Nothing is written where
// nothing changes, nor in a dry run, which asks admission all the same. It reports whether anything changes.
func edit(
	ctx context.Context,
	c *cluster,
	dryRun bool,
	object client.Object,
	change func() error,
) (changed bool, err error) {
	options := []client.PatchOption{client.FieldOwner("jackstaff")}
	if dryRun {
		options = append(options, client.DryRunAll)
	}
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
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
		if err := readable(before, object); err != nil {
			return err
		}
		if changed = !equality.Semantic.DeepEqual(before, object); !changed {
			return nil
		}
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		return c.client.Patch(ctx, object, patch, options...)
	})
	return changed, err
}

// readable fails where a change would write the spec of an object that is not known as it is stored. Forcing a flag off
// writes none.
func readable(before, changed client.Object) error {
	problem := v1alpha1.Undecodable(before)
	was, isOurs := before.(v1alpha1.Object)
	is, _ := changed.(v1alpha1.Object)
	if problem == "" || !isOurs || is == nil || equality.Semantic.DeepEqual(was.SpecValue(), is.SpecValue()) {
		return nil
	}
	return fmt.Errorf(
		"what is stored of %q does not fit this version of jackstaff; apply it again as it is to be, with kubectl: %s",
		before.GetName(),
		problem,
	)
}

// environment reads an environment.
func (c *cluster) environment(ctx context.Context, name string) (*v1alpha1.FlagEnvironment, error) {
	if err := c.connect(); err != nil {
		return nil, err
	}
	environment := &v1alpha1.FlagEnvironment{}
	err := error(apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("flagenvironments").GroupResource(), name))
	// What no object can be named may be the key of a flag, such as 10%.
	if len(apimachineryvalidation.NameIsDNSSubdomain(name, false)) == 0 {
		err = c.client.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, environment)
	}
	if err == nil {
		return environment, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read environment %q: %w", name, err)
	}
	list := &v1alpha1.FlagEnvironmentList{}
	_ = c.client.List(ctx, list, client.InNamespace(c.namespace)) // Without the right to list them, no name is proposed.
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return nil, &unknownError{
		message: fmt.Sprintf(
			"there is no environment %q in namespace %q%s",
			name,
			c.namespace,
			validation.DidYouMean(name, names),
		),
		cause: err,
	}
}

// servedDocument reads what an environment serves.
func (c *cluster) servedDocument(ctx context.Context, name string) (*datafile.Document, error) {
	environment, err := c.environment(ctx, name)
	if err != nil {
		return nil, err
	}
	document, _, err := c.documentOf(ctx, environment)
	return document, err
}

// user is the name by which the API server knows the user.
func (c *cluster) user(ctx context.Context) (string, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := c.client.Create(ctx, review); err != nil {
		return "", fmt.Errorf("ask the API server for the user's name: %w", err)
	}
	return review.Status.UserInfo.Username, nil
}
