// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

const breakGlassHelp = "While the operator is away, --break-glass writes the served ConfigMap itself, with the " +
	"operator's own code and marked with who did so.\n" +
	"With and without --wait it is served when the command ends; no instances are counted.\n" +
	"The operator leaves that as it is until \"jackstaff break-glass end\". It needs the verb publish on the " +
	"environment, and update on\n" +
	"ConfigMaps."

// breakGlassToggle switches a flag off in what is served, without the operator. The FeatureFlag stays as it is, because
// its admission is away, too. Where there is no such object any more, the key in what is served is enough.
func (a *App) breakGlassToggle(ctx context.Context, o *toggling, nameOrKey string) error {
	if o.on || !o.off && !o.brake {
		return usagef(
			"--break-glass switches off, with --off; to serve again what was served before, use %s",
			o.cluster.target().command([]string{"rollback", o.environment}, "--to", "REVISION", "--break-glass"),
		)
	}
	environment, err := o.cluster.environmentOrServed(ctx, o.environment)
	if err != nil {
		return err
	}
	if err := servedElsewhere(environment, "switch the flag off"); err != nil {
		return err
	}
	done := &outcome{
		Kind: "FeatureFlag", Namespace: environment.Namespace, Name: nameOrKey, Key: nameOrKey,
		Environment: environment.Name, Action: "off", DryRun: o.dryRun,
	}
	flag, err := o.cluster.flag(ctx, nameOrKey)
	if err == nil {
		done.Name, done.Key = flag.Name, flag.Key()
	} else if !isGone(err) {
		return err
	}
	brake := o.cluster.target().toggle(done.Key, environment.Name, "--brake")
	if err := a.needsBreakGlass(ctx, o.cluster, environment, &o.changing, brake, o.yes); err != nil {
		return err
	}
	done.Revision, err = a.serveWithoutOperator(ctx, o.cluster, environment, o.dryRun, func(current *corev1.ConfigMap) (
		*datafile.Contents, []string, error,
	) {
		served, err := servedContents(environment.Name, current)
		if err != nil {
			return nil, nil, err
		}
		if _, is := served.Flags.Get(done.Key); !is {
			return nil, nil, fmt.Errorf("environment %q does not serve flag %q%s", environment.Name, done.Key,
				validation.DidYouMean(done.Key, keysOf(served)))
		}
		if done.Changed = compile.IsOn(served, done.Key); !done.Changed {
			return nil, nil, nil
		}
		return served, []string{done.Key}, nil
	})
	if err != nil {
		return err
	}
	done.Served = !o.dryRun
	done.Message = fmt.Sprintf(
		"FeatureFlag %s/%s is off in %s as revision %d, served without the operator; %s ends that",
		done.Namespace,
		done.Name,
		environment.Name,
		done.Revision,
		o.cluster.target().endBreakGlass(environment.Name),
	)
	if !done.Changed {
		done.Message = fmt.Sprintf("FeatureFlag %s is off in what %s serves already", done.Name, nameOf(environment))
	}
	return o.print(a, done, safe(quote.Line(done.Message)))
}

// breakGlassRollback serves a revision of the history without the operator, as a new revision.
func (a *App) breakGlassRollback(
	ctx context.Context,
	o *rollingBack,
	environment *v1alpha1.FlagEnvironment,
	planned *rollback,
) error {
	pin := o.cluster.target().command(
		[]string{"rollback", environment.Name}, "--to", strconv.FormatInt(planned.target, 10),
	)
	if err := a.needsBreakGlass(ctx, o.cluster, environment, &o.changing, pin, o.yes); err != nil {
		return err
	}
	contents, err := o.cluster.keptContents(ctx, environment, planned.target)
	if err != nil {
		return err
	}
	braked, err := o.cluster.brakedKeys(ctx, environment.Name)
	if err != nil && !isGone(err) {
		return err
	}
	done := environmentOutcome(environment, "pinned", true, o.dryRun)
	done.Effects, done.Undoes, done.PassesOver = planned.effects, planned.undoes, planned.passed
	done.Revision, err = a.serveWithoutOperator(ctx, o.cluster, environment, o.dryRun, func(current *corev1.ConfigMap) (
		*datafile.Contents, []string, error,
	) {
		if planned.replaces != "" && contentID(current) != planned.replaces {
			return nil, nil, fmt.Errorf("somebody else has changed what %s serves meanwhile, to revision %d; run the command "+
				"again to see what a rollback does now", environment.Name, ownership.RevisionOf(current))
		}
		return contents, braked, nil
	})
	if err != nil {
		return err
	}
	done.Served = !o.dryRun
	done.Message = fmt.Sprintf(
		"%s serves revision %d again, as revision %d and without the operator; %s ends that",
		nameOf(environment),
		planned.target,
		done.Revision,
		o.cluster.target().endBreakGlass(environment.Name),
	)
	return o.print(a, done, safe(quote.Line(done.Message)))
}

// serveWithoutOperator serves contents with flags switched off, and brings the copies in other namespaces up to date.
// Choose says from what is served which contents and flags that are; nil is nothing to do.
func (a *App) serveWithoutOperator(
	ctx context.Context,
	c *cluster,
	environment *v1alpha1.FlagEnvironment,
	dryRun bool,
	choose func(current *corev1.ConfigMap) (contents *datafile.Contents, off []string, err error),
) (int64, error) {
	if v1alpha1.Lost(environment, "spec.datafile") {
		return 0, fmt.Errorf(
			"nobody knows which ConfigMap %q serves, because what is stored of it does not fit this version of "+
				"jackstaff; mend it with kubectl first: %s",
			environment.Name,
			v1alpha1.Undecodable(environment),
		)
	}
	user, err := c.user(ctx)
	if err != nil {
		return 0, err
	}
	writing := c.client
	if dryRun {
		writing = client.NewDryRunClient(writing)
	}
	publisher := &publish.Publisher{Client: writing, Metadata: c.client, Clock: a.Clock}
	mark := ownership.BreakGlass{Actor: user, At: a.Clock.Now()}
	revision, err := publisher.ServeWithoutOperator(ctx, environment, mark, func(current *corev1.ConfigMap) (
		*publish.Content, error,
	) {
		contents, off, err := choose(current)
		if contents == nil || err != nil {
			return nil, err
		}
		braked, flagd, document, err := compile.Brake(contents, off)
		return &publish.Content{
			Contents: braked, Flagd: flagd, Document: func() *datafile.Document { return document },
		}, err
	})
	if err != nil || revision == 0 {
		return 0, rightsMissing(err, environment)
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
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
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
		Long: "Show what the operator would serve in the place of what somebody has served without it, and remove the mark " +
			"by which it leaves that\n" +
			"alone. It is refused until the operator has seen the mark. What would switch on a flag that is off needs --yes: " +
			"switch the flag off first,\n" +
			"now that admission answers again.",
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
	marked := ownership.RevisionOf(served)
	effects, on, err := c.afterBreakGlass(ctx, environment)
	if err != nil {
		return err
	}
	if o.output != jsonOutput {
		a.printEnd(served, mark, untilThen(c.target(), environment, a.Clock.Now()), effects)
	}
	if err := o.refuse(a, notTakenOver(environment, marked)); err != nil {
		return err
	}
	if len(on) > 0 && !yes {
		if err := o.refuse(a, fmt.Errorf(
			"the end of break glass would switch on %s; switch off first, once admission answers again, with %s, or add --yes "+
				"if that is meant",
			strings.Join(on, ", "),
			switchingOff(c.target(), on, environment.Name, offBy(environment)),
		)); err != nil {
			return err
		}
	}
	user, err := c.user(ctx)
	if err != nil {
		return err
	}
	if _, err := edit(ctx, c, o.dryRun, served, func() error {
		if now, _ := ownership.BreakGlassOf(served); now != mark || ownership.RevisionOf(served) != marked {
			return fmt.Errorf("somebody else has changed what %s serves meanwhile; run the command again to see what its end "+
				"changes now", environment.Name)
		}
		served.Annotations[v1alpha1.BreakGlassAnnotation] = ownership.BreakGlass{Actor: user, At: a.Clock.Now()}.Ended()
		return nil
	}); err != nil {
		return rightsMissing(err, environment)
	}
	done := environmentOutcome(environment, "ended", true, o.dryRun)
	done.Effects, done.Message = effects, "the operator is to publish "+nameOf(environment)+" again"
	if o.wanted {
		said, err := o.untilEnvironment(ctx, c, environment, "the end of break glass", func() bool {
			return environment.Status.State != v1alpha1.PublishStateBreakGlass
		})
		if err != nil {
			return err
		}
		done.Served, done.Revision, done.Message = true, environment.Status.PublishedRevision, nameOf(environment)+": "+said
	}
	return o.print(a, done, safe(quote.Line(done.Message)))
}

// printEnd says who served what without the operator, and what changes when that ends.
func (a *App) printEnd(served *corev1.ConfigMap, mark ownership.BreakGlass, until string, effects []string) {
	a.printf(
		"%s served revision %d without the operator %s ago; after that%s\n",
		mark.Actor,
		ownership.RevisionOf(served),
		a.age(mark.At),
		until,
	)
	for _, effect := range effects {
		a.printf("  %s\n", effect)
	}
	if len(effects) == 0 {
		a.printf("  no flag changes\n")
	}
}

// afterBreakGlass says what changes where the operator publishes again, and which flags go on: what is pinned, or else
// what the objects of the namespace say, in every mode, because that is where it ends.
func (c *cluster) afterBreakGlass(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
) (effects, on []string, err error) {
	served, _, err := c.documentOf(ctx, environment)
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

// offersBreakGlass adds the flag --break-glass. With it, --wait has nothing to wait for: what is written is served.
func offersBreakGlass(cmd *cobra.Command, breakGlass *bool) {
	cmd.Flags().BoolVar(breakGlass, "break-glass", false, "Write what is served without the operator, while that is away.")
}
