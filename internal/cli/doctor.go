// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/manifests"
)

// operatorLease is the name of the lease by which the operator's replicas choose the one that publishes.
const operatorLease = "jackstaff-manager"

func (a *App) doctorCommand() *cobra.Command {
	var c *cluster
	var output string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out what is wrong with the operator, or with the flags of a namespace",
		Long: "Look at everything that must be so for a change of a flag to be served, in the order in which it happens: " +
			"API server, definitions,\n" +
			"operator, leader, webhooks, admission (by a dry run), policies, the namespace's environments and pods, and your " +
			"own rights. What is\n" +
			"wrong is said with what to do. Nothing is changed. What you may not read is Unknown. The exit code is 1 where " +
			"there is a problem.",
		Example: "  jackstaff doctor -n shop\n  jackstaff doctor -n shop -o json",
		GroupID: clusterGroup,
		Args:    cobra.NoArgs,
		RunE: a.run(func(cmd *cobra.Command, _ []string) error {
			if err := checkListOutput(output); err != nil {
				return err
			}
			diagnoses, err := a.examine(cmd.Context(), c)
			if err != nil {
				return err
			}
			if output == jsonOutput {
				err = a.printJSON(diagnoses)
			} else {
				err = a.printDiagnoses(diagnoses)
			}
			if err != nil {
				return err
			}
			if tally(diagnoses)[problem] > 0 {
				return errReported
			}
			return nil
		}),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "The format: json. Default text.")
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

// examination is one look at a cluster.
type examination struct {
	*cluster

	now       func() time.Time
	version   string
	diagnoses []diagnosis
	// seesChanges is false where nothing of the namespace can be read, so that changes are not looked at.
	seesChanges bool
}

// examine makes all checks. It fails where the cluster cannot be reached.
func (a *App) examine(ctx context.Context, c *cluster) ([]diagnosis, error) {
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	asking, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	server, err := asking.ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("ask the cluster for its version: %w", err)
	}
	if err := c.connect(); err != nil {
		return nil, err
	}
	if err := apiextensionsv1.AddToScheme(c.client.Scheme()); err != nil {
		return nil, err
	}
	e := &examination{cluster: c, now: a.Clock.Now, version: a.Version}
	e.findNamespace(ctx)
	e.say(diagnoseServer(server.GitVersion))
	if err := e.definitions(ctx); err != nil {
		return nil, err
	}
	e.operator(ctx)
	e.webhooks(ctx)
	e.policies(ctx)
	e.project(ctx)
	return e.diagnoses, nil
}

func (e *examination) say(diagnoses ...diagnosis) { e.diagnoses = append(e.diagnoses, diagnoses...) }

// list reads all objects of a list. Where that fails, the check is Unknown.
func (e *examination) list(
	ctx context.Context,
	check string,
	list client.ObjectList,
	options ...client.ListOption,
) bool {
	err := e.client.List(ctx, list, options...)
	if err != nil {
		e.say(unreadable(check, err))
	}
	return err == nil
}

func (e *examination) definitions(ctx context.Context) error {
	shipped, err := manifests.Definitions()
	if err != nil {
		return err
	}
	found := &apiextensionsv1.CustomResourceDefinitionList{}
	if e.list(ctx, checkDefinitions, found) {
		e.say(diagnoseDefinitions(shipped, found.Items)...)
	}
	return nil
}

func (e *examination) operator(ctx context.Context) {
	deployments := &appsv1.DeploymentList{}
	if e.list(ctx, checkOperator, deployments, operatorLabels) {
		e.say(diagnoseOperator(e.target(), deployments.Items, e.version)...)
	}
	leases := &coordinationv1.LeaseList{}
	if e.list(ctx, checkLeader, leases, client.MatchingFields{"metadata.name": operatorLease}) {
		e.say(diagnoseLeader(leases.Items, e.now()))
	}
}

func (e *examination) webhooks(ctx context.Context) {
	mutating := &admissionregistrationv1.MutatingWebhookConfigurationList{}
	validating := &admissionregistrationv1.ValidatingWebhookConfigurationList{}
	if e.list(ctx, checkWebhooks, mutating) && e.list(ctx, checkWebhooks, validating) {
		mutatingHooks, validatingHooks := hooksOf(mutating.Items, validating.Items)
		e.say(diagnoseWebhooks(mutatingHooks, validatingHooks, e.now())...)
	}
	began := e.now()
	err := e.client.Create(ctx, probe(e.namespace), client.DryRunAll)
	said := diagnoseAdmission(err, e.now().Sub(began))
	if said.Verdict == healthy || err == nil {
		wrong := e.client.Create(ctx, wrongProbe(e.namespace), client.DryRunAll)
		if judged := diagnoseWrong(wrong); judged.Verdict != healthy {
			said = judged
		}
	}
	if e.seesChanges && said.Verdict == unknown {
		said.Advice += "; \"changes\" below says whether anybody acts on changes"
	}
	e.say(said)
}

// findNamespace says first where the namespace may be the wrong one, because all that follows is about it then.
func (e *examination) findNamespace(ctx context.Context) {
	environments := &v1alpha1.FlagEnvironmentList{}
	readErr := e.client.List(ctx, environments, client.InNamespace(e.namespace))
	e.seesChanges = readErr == nil
	findErr := e.client.Get(ctx, client.ObjectKey{Name: e.namespace}, &corev1.Namespace{})
	e.say(diagnoseNamespace(e.namespace, findErr, readErr, len(environments.Items))...)
}

func (e *examination) policies(ctx context.Context) {
	policies := &admissionregistrationv1.ValidatingAdmissionPolicyList{}
	bindings := &admissionregistrationv1.ValidatingAdmissionPolicyBindingList{}
	if e.list(ctx, checkPolicies, policies, operatorLabels) && e.list(ctx, checkPolicies, bindings) {
		e.say(diagnosePolicies(policies.Items, bindings.Items)...)
	}
}

// project looks at the namespace.
func (e *examination) project(ctx context.Context) {
	environments := &v1alpha1.FlagEnvironmentList{}
	err := e.client.List(ctx, environments, client.InNamespace(e.namespace))
	switch {
	case meta.IsNoMatchError(err):
		return // The definitions are missing, which is said.
	case err != nil:
		e.say(unreadable(checkEnvironments, err))
	default:
		served, err := e.served(ctx, environments.Items)
		if err != nil {
			e.say(unreadable(checkEnvironments, err))
		}
		e.say(diagnoseEnvironments(e.target(), environments.Items, served, e.now())...)
		e.changes(ctx)
	}
	if len(environments.Items) > 0 {
		var datafiles []string
		for i := range environments.Items {
			datafiles = append(datafiles, environments.Items[i].DatafileName())
		}
		pods := &corev1.PodList{}
		if e.list(ctx, checkPods, pods, client.InNamespace(e.namespace)) {
			e.say(diagnosePods(pods.Items, datafiles)...)
		}
	}
	rights := append(rightsWanted(e.namespace, environments.Items), breakGlassRight(e.namespace))
	for i := range rights {
		review := &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &rights[i].attribute},
		}
		if err := e.client.Create(ctx, review); err != nil {
			e.say(unreadable(checkRights, err))
			return
		}
		rights[i].allowed = review.Status.Allowed
	}
	last := len(rights) - 1
	e.say(diagnoseRights(e.namespace, rights[:last]), diagnoseBreakGlass(e.namespace, rights[last]))
}

// served reads what is said by what the environments serve. What cannot be read is nil.
func (e *examination) served(ctx context.Context, environments []v1alpha1.FlagEnvironment) ([]*servedMark, error) {
	marks := make([]*servedMark, len(environments))
	var failed error
	for i := range environments {
		mark, err := e.servedMark(ctx, &environments[i])
		marks[i], failed = mark, cmp.Or(failed, err)
	}
	return marks, failed
}

// changes looks for changes that nobody acts on.
func (e *examination) changes(ctx context.Context) {
	var waiting []waitingChange
	for _, kind := range v1alpha1.Kinds {
		list := kind.NewList()
		if err := e.client.List(ctx, list, client.InNamespace(e.namespace)); err != nil {
			if !meta.IsNoMatchError(err) { // That a definition is missing is said.
				e.say(unreadable(checkChanges, err))
			}
			continue
		}
		_ = meta.EachListItem(list, func(item runtime.Object) error {
			if object, isObject := item.(v1alpha1.Object); isObject {
				waiting = append(waiting, waitingOf(kind, object)...)
			}
			return nil
		})
	}
	e.say(diagnoseChanges(e.target(), waiting, e.now()))
}

// tally says how many diagnoses there are of each verdict.
func tally(diagnoses []diagnosis) map[verdict]int {
	counts := map[verdict]int{}
	for i := range diagnoses {
		counts[diagnoses[i].Verdict]++
	}
	return counts
}

// printDiagnoses prints a line for each diagnosis, one more for what to do, and how many there are at the end.
func (a *App) printDiagnoses(diagnoses []diagnosis) error {
	colours := map[verdict]colour{healthy: green, warning: yellow, problem: red, unknown: yellow}
	w := printers.GetNewTabWriter(a.Streams.Out)
	for i := range diagnoses {
		one := &diagnoses[i]
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\n",
			quoted([]any{a.paint(colours[one.Verdict], string(one.Verdict)), one.Check, one.Message})...); err != nil {
			return err
		}
		if one.Advice != "" {
			if _, err := fmt.Fprintf(w, "%s\t\t→ %s\n",
				quoted([]any{a.paint(colours[one.Verdict], ""), one.Advice})...); err != nil {
				return err
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	counts := tally(diagnoses)
	var parts []string
	for _, one := range []struct {
		verdict verdict
		word    string
	}{{problem, "problem"}, {warning, "warning"}, {unknown, "unknown check"}} {
		if n := counts[one.verdict]; n > 0 {
			parts = append(parts, count(n, one.word))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "Nothing is wrong")
	}
	a.printf("\n%s.\n", strings.Join(parts, ", "))
	if counts[unknown] > 0 {
		a.printf("An administrator of the cluster sees what is Unknown to you: let one run \"jackstaff doctor\".\n")
	}
	return nil
}
