// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

const breakGlassHelp = "While the operator is away, --break-glass writes the served ConfigMap itself, with the operator's own code and marked with who did so.\n" +
	"The operator leaves that as it is until \"jackstaff break-glass end\". It needs the verb publish on the environment, and update on\n" +
	"ConfigMaps."

// breakGlassToggle switches a flag off in what is served, without the operator. The FeatureFlag stays as it is, because
// its admission is away, too.
func (a *App) breakGlassToggle(ctx context.Context, o *toggling, flag *v1alpha1.FeatureFlag) error {
	if o.on || !o.off && !o.brake {
		return usagef(
			"--break-glass switches off, with --off; to serve again what was served before, use \"jackstaff rollback %s --to REVISION --break-glass\"",
			o.environment,
		)
	}
	environment, err := o.cluster.environment(ctx, o.environment)
	if err != nil {
		return err
	}
	served, err := o.cluster.servedContents(ctx, environment)
	if err != nil {
		return err
	}
	key := flag.Key()
	if _, is := served.Flags.Get(key); !is {
		return fmt.Errorf("environment %q does not serve flag %q", environment.Name, key)
	}
	done := &outcome{
		Kind:        "FeatureFlag",
		Namespace:   flag.Namespace,
		Name:        flag.Name,
		Key:         key,
		Environment: environment.Name,
		Action:      "off",
		Changed:     compile.IsOn(served, key),
		DryRun:      o.dryRun,
	}
	if !done.Changed {
		done.Message = fmt.Sprintf("FeatureFlag %s is off in what %s serves already", flag.Name, environment.Name)
		return o.print(a, done, safe(quote.Line(done.Message)))
	}
	if done.Revision, err = a.serveWithoutOperator(
		ctx,
		o.cluster,
		environment,
		served,
		[]string{key},
		o.dryRun,
	); err != nil {
		return err
	}
	done.Served = !o.dryRun
	done.Message = fmt.Sprintf(
		"FeatureFlag %s is off in %s as revision %d, served without the operator; \"jackstaff break-glass end %s\" ends that",
		flag.Name,
		environment.Name,
		done.Revision,
		environment.Name,
	)
	return o.print(a, done, safe(quote.Line(done.Message)))
}

// breakGlassRollback serves a revision of the history without the operator, as a new revision.
func (a *App) breakGlassRollback(
	ctx context.Context,
	o *rollingBack,
	environment *v1alpha1.FlagEnvironment,
	planned *rollback,
) error {
	contents, err := o.cluster.keptContents(ctx, environment, planned.target)
	if err != nil {
		return err
	}
	braked, err := o.cluster.brakedKeys(ctx, environment.Name)
	if err != nil {
		return err
	}
	done := environmentOutcome(environment, "pinned", true, o.dryRun)
	done.Effects, done.Undoes = planned.effects, planned.undoes
	if done.Revision, err = a.serveWithoutOperator(ctx, o.cluster, environment, contents, braked, o.dryRun); err != nil {
		return err
	}
	done.Served = !o.dryRun
	done.Message = fmt.Sprintf(
		"%s serves revision %d again, as revision %d and without the operator; \"jackstaff break-glass end %s\" ends that",
		environment.Name,
		planned.target,
		done.Revision,
		environment.Name,
	)
	return o.print(a, done, safe(quote.Line(done.Message)))
}

// serveWithoutOperator serves contents with flags switched off, and brings the copies in other namespaces up to date.
func (a *App) serveWithoutOperator(
	ctx context.Context,
	c *cluster,
	environment *v1alpha1.FlagEnvironment,
	contents *datafile.Contents,
	off []string,
	dryRun bool,
) (int64, error) {
	braked, flagd, document, err := compile.Brake(contents, off)
	if err != nil {
		return 0, err
	}
	review := &authenticationv1.SelfSubjectReview{}
	if err := c.client.Create(ctx, review); err != nil {
		return 0, fmt.Errorf("ask the API server for the user's name: %w", err)
	}
	writing := c.client
	if dryRun {
		writing = client.NewDryRunClient(writing)
	}
	publisher := &publish.Publisher{Client: writing, Metadata: c.client, Clock: a.Clock}
	content := publish.Content{Contents: braked, Flagd: flagd, Document: func() *datafile.Document { return document }}
	mark := ownership.BreakGlass{Actor: review.Status.UserInfo.Username, At: a.Clock.Now()}
	revision, err := publisher.ServeWithoutOperator(ctx, environment, content, mark)
	if err != nil {
		return 0, err
	}
	for _, delivery := range environment.Status.Deliveries {
		if _, err := publisher.CopyWithoutOperator(ctx, environment, delivery.Namespace); err != nil {
			a.notef("The copy in namespace %s is as it was: %v", delivery.Namespace, err)
		}
	}
	return revision, nil
}

// brakedKeys are the keys of the flags that annotations force off in an environment.
func (c *cluster) brakedKeys(ctx context.Context, environment string) ([]string, error) {
	list := &v1alpha1.FeatureFlagList{}
	if err := c.client.List(ctx, list, client.InNamespace(c.namespace)); err != nil {
		return nil, fmt.Errorf("list flags: %w", err)
	}
	var keys []string
	for i := range list.Items {
		if list.Items[i].ForceDisabledIn(environment) {
			keys = append(keys, list.Items[i].Key())
		}
	}
	return keys, nil
}

func (a *App) breakGlassCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "break-glass",
		Short:   "End what was served without the operator",
		Long:    breakGlassHelp,
		GroupID: clusterGroup,
	}
	cmd.AddCommand(a.breakGlassEndCommand())
	return cmd
}

func (a *App) breakGlassEndCommand() *cobra.Command {
	var c *cluster
	var yes bool
	o := &changing{}
	cmd := &cobra.Command{
		Use:   "end ENVIRONMENT",
		Short: "Let the operator go on publishing after --break-glass",
		Long: "Show what the operator would serve in the place of what somebody has served without it, and remove the mark by which it leaves that\n" +
			"alone. What would switch on a flag that is off needs --yes: switch the flag off first, now that admission answers again.",
		Example: "  jackstaff break-glass end production --dry-run\n  jackstaff break-glass end production --wait",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			if err := o.check(); err != nil {
				return err
			}
			environment, err := c.environment(cmd.Context(), arguments[0])
			if err != nil {
				return err
			}
			return a.endBreakGlass(cmd.Context(), c, o, environment, yes)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "End it even where that switches on what is off.")
	o.addFlags(cmd)
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

func (a *App) endBreakGlass(
	ctx context.Context,
	c *cluster,
	o *changing,
	environment *v1alpha1.FlagEnvironment,
	yes bool,
) error {
	served, err := c.servedConfigMap(ctx, environment)
	if err != nil {
		return err
	}
	mark, is := ownership.BreakGlassOf(served)
	if !is {
		return fmt.Errorf("environment %q is served by the operator; there is no break glass to end", environment.Name)
	}
	effects, on, err := c.afterBreakGlass(ctx, environment)
	if err != nil {
		return err
	}
	if o.output != jsonOutput {
		a.printf(
			"%s served revision %d without the operator %s ago; after that\n",
			mark.Actor,
			ownership.RevisionOf(served),
			a.age(mark.At),
		)
		for _, effect := range effects {
			a.printf("  %s\n", effect)
		}
		if len(effects) == 0 {
			a.printf("  no flag changes\n")
		}
	}
	if len(on) > 0 && !yes {
		refusal := fmt.Errorf(
			"the end of break glass would switch on %s; switch them off first with \"jackstaff toggle FLAG -e %s --off\", or add --yes if that is meant",
			strings.Join(on, ", "),
			environment.Name,
		)
		if !o.dryRun {
			return refusal
		}
		a.notef("%v", refusal)
	}
	if _, err := edit(ctx, c, o.dryRun, served, func() error {
		delete(served.Annotations, v1alpha1.BreakGlassAnnotation)
		return nil
	}); err != nil {
		return err
	}
	done := environmentOutcome(environment, "ended", true, o.dryRun)
	done.Effects, done.Message = effects, "the operator publishes "+environment.Name+" again"
	if o.wanted {
		said, err := o.untilEnvironment(ctx, c, environment, "the end of break glass", func() bool {
			return environment.Status.State != v1alpha1.PublishStateBreakGlass
		})
		if err != nil {
			return err
		}
		done.Served, done.Revision, done.Message = true, environment.Status.PublishedRevision, environment.Name+": "+said
	}
	return o.print(a, done, safe(quote.Line(done.Message)))
}

// afterBreakGlass says what changes where the operator publishes again, and which flags go on: what is pinned, or else
// what the objects of the namespace say, in every mode, because that is where it ends.
func (c *cluster) afterBreakGlass(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
) (effects, on []string, err error) {
	served, err := c.servedDocument(ctx, environment.Name)
	if err != nil {
		return nil, nil, err
	}
	var next *datafile.Document
	if pinned := environment.Spec.Publish.Revision; pinned != nil {
		if next, err = c.keptDocument(ctx, environment, *pinned); err == nil {
			err = c.brake(ctx, environment.Name, next)
		}
	} else {
		next, err = c.compiled(ctx, environment)
	}
	if err != nil {
		return nil, nil, err
	}
	effects, on = rollbackEffects(served, next)
	return effects, on, nil
}

// compiled is what the operator makes of the objects of the namespace.
func (c *cluster) compiled(ctx context.Context, environment *v1alpha1.FlagEnvironment) (*datafile.Document, error) {
	compiling := compile.NewEnvironment(environment.Name, nil)
	flags, audiences, events := &v1alpha1.FeatureFlagList{}, &v1alpha1.FlagAudienceList{}, &v1alpha1.FlagEventList{}
	for _, list := range []client.ObjectList{flags, audiences, events} {
		if err := c.client.List(ctx, list, client.InNamespace(environment.Namespace)); err != nil {
			return nil, fmt.Errorf("read what the operator would publish: %w", err)
		}
	}
	for i := range flags.Items {
		compiling.SetFlag(&flags.Items[i])
	}
	for i := range audiences.Items {
		compiling.SetAudience(&audiences.Items[i])
	}
	for i := range events.Items {
		compiling.SetEvent(&events.Items[i])
	}
	compiling.Compile()
	return compiling.Contents().Document()
}

// servedConfigMap reads the ConfigMap that an environment serves.
func (c *cluster) servedConfigMap(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
) (*corev1.ConfigMap, error) {
	configMap := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: environment.Namespace, Name: environment.DatafileName()}
	if err := c.client.Get(ctx, key, configMap); err != nil {
		return nil, fmt.Errorf("read what environment %q serves: %w", environment.Name, err)
	}
	return configMap, nil
}

// servedContents reads the parts of what an environment serves.
func (c *cluster) servedContents(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
) (*datafile.Contents, error) {
	configMap, err := c.servedConfigMap(ctx, environment)
	if err != nil {
		return nil, err
	}
	native, err := ownership.Native(configMap)
	if err == nil && native == nil {
		err = errors.New("it publishes no native datafile; see spec.datafile.formats")
	}
	if err != nil {
		return nil, fmt.Errorf("read what environment %q serves: %w", environment.Name, err)
	}
	_, contents, err := datafile.Decode(native)
	if err != nil {
		return nil, fmt.Errorf("read what environment %q serves: %w", environment.Name, err)
	}
	return contents, nil
}

// offersBreakGlass adds the flag --break-glass. The operator, for which --wait waits, is away then.
func offersBreakGlass(cmd *cobra.Command, breakGlass *bool) {
	cmd.Flags().BoolVar(breakGlass, "break-glass", false, "Write what is served without the operator, while that is away.")
	if cmd.Flags().Lookup("wait") != nil {
		cmd.MarkFlagsMutuallyExclusive("break-glass", "wait")
	}
}
