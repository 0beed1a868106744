// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/mounts"
)

// diagnoseNamespace says that a namespace may be the wrong one, by what reading it and its environments was answered, and
// nothing where there is no sign of that.
func diagnoseNamespace(namespace string, findErr, readErr error, environments int) []diagnosis {
	advice := "choose another namespace with -n, or set that of the kubeconfig"
	switch {
	case apierrors.IsNotFound(findErr):
		return []diagnosis{{checkNamespace, problem, "namespace " + namespace + " does not exist", advice}}
	case apierrors.IsForbidden(readErr):
		return []diagnosis{{
			checkNamespace, problem,
			"you may read nothing in namespace " + namespace + ": it is another project's, or does not exist",
			advice + "; where it is the right one, ask for a role of docs/permissions.md",
		}}
	case readErr == nil && environments == 0:
		return []diagnosis{{
			checkNamespace, warning, "namespace " + namespace + " has no environments: it may be the wrong one", advice,
		}}
	}
	return nil
}

// diagnoseEnvironments says of each environment what it serves, and what is in its way.
// Served is what is served for each, nil where that may not be read.
func diagnoseEnvironments(
	at target, environments []v1alpha1.FlagEnvironment, served []*servedMark, now time.Time,
) []diagnosis {
	if len(environments) == 0 {
		return []diagnosis{{
			checkEnvironments, warning, "namespace " + at.namespace + " has no environment: none of its flags is served",
			"choose another namespace with -n, or create a FlagEnvironment",
		}}
	}
	all := make([]diagnosis, 0, len(environments))
	for i := range environments {
		missed := unseenOf(&environments[i], served[i], now)
		all = append(all, diagnoseUnseen(&environments[i], missed, now)...)
		// What the operator said last is news where it is bad.
		if state := environments[i].Status.State; len(missed) == 0 || state == v1alpha1.PublishStateDegraded {
			all = append(all, diagnoseEnvironment(at, &environments[i]))
		}
	}
	return all
}

// diagnoseUnseen says what the operator has not acted on, which is a problem where it should have.
func diagnoseUnseen(environment *v1alpha1.FlagEnvironment, missed []unseen, now time.Time) []diagnosis {
	var all []diagnosis
	for _, one := range missed {
		said := diagnosis{
			checkEnvironments, warning, environment.Name + ": " + one.what,
			"look again in a few seconds; where it stays so, see whether the operator runs",
		}
		if one.overdue(now) {
			said.Verdict, said.Message = problem, said.Message+": nobody acts on changes"
			said.Advice = "see whether the operator runs, or let an administrator do so"
		}
		all = append(all, said)
	}
	return all
}

func diagnoseEnvironment(at target, environment *v1alpha1.FlagEnvironment) diagnosis {
	status, name := &environment.Status, environment.Name
	message := ""
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ReadyCondition); ready != nil {
		message = ready.Message
	}
	advice := "see " + at.command([]string{"status", name})
	switch status.State {
	case "":
		return diagnosis{checkEnvironments, problem, name + ": no operator has looked at it", "see operator and leader above"}
	case v1alpha1.PublishStateDegraded:
		return diagnosis{checkEnvironments, problem, name + ": " + cmp.Or(message, "it cannot serve what is wanted"), advice}
	case v1alpha1.PublishStateFrozen, v1alpha1.PublishStatePinned, v1alpha1.PublishStateAwaitingPublish,
		v1alpha1.PublishStateBreakGlass:
		return diagnosis{checkEnvironments, warning, fmt.Sprintf("%s is %s: %s", name, status.State, message), advice}
	case v1alpha1.PublishStateElsewhere:
		return diagnosis{checkEnvironments, healthy, name + " is served by another cluster", ""}
	case v1alpha1.PublishStateServing:
	}
	return diagnosis{checkEnvironments, healthy, fmt.Sprintf("%s serves revision %d", name, status.PublishedRevision), ""}
}

// diagnosePods finds the pods that never see another revision, because they mount a datafile by subPath.
func diagnosePods(pods []corev1.Pod, datafiles []string) []diagnosis {
	var all []diagnosis
	for _, datafile := range datafiles {
		var frozen []string
		for i := range pods {
			if pods[i].DeletionTimestamp == nil && mounts.FrozenAt(&pods[i], datafile) {
				frozen = append(frozen, pods[i].Name)
			}
		}
		if len(frozen) > 0 {
			all = append(all, diagnosis{
				checkPods,
				problem,
				fmt.Sprintf(
					"ConfigMap %s is mounted by subPath, so that no other revision is ever seen, by %s",
					datafile,
					enumerate(frozen),
				),
				"mount it as a directory",
			})
		}
	}
	if len(all) == 0 {
		all = append(
			all,
			diagnosis{checkPods, healthy, fmt.Sprintf("none of %d mounts a datafile by subPath", len(pods)), ""},
		)
	}
	return all
}

// right is something that the caller may or may not do.
type right struct {
	// what says it in words, such as "switch flags".
	what      string
	attribute authorizationv1.ResourceAttributes
	allowed   bool
}

// rightsWanted are the rights by which people work in a namespace.
func rightsWanted(namespace string, environments []v1alpha1.FlagEnvironment) []right {
	ours := func(what, verb, resource, name string) right {
		return right{what: what, attribute: authorizationv1.ResourceAttributes{
			Namespace: namespace, Group: v1alpha1.GroupVersion.Group, Resource: resource, Verb: verb, Name: name,
		}}
	}
	wanted := []right{
		ours("read flags", "list", "featureflags", ""),
		ours("change flags", "patch", "featureflags", ""),
		ours("change environments", "patch", "flagenvironments", ""),
		ours("read who changed what", "list", "flagchanges", ""),
	}
	for i := range environments {
		if environments[i].Spec.Production {
			name := environments[i].Name
			wanted = append(wanted, ours("change what "+name+" serves", "publish", "flagenvironments", name))
		}
	}
	return wanted
}

// breakGlassRight is the right to write what is served, while the operator is away.
func breakGlassRight(namespace string) right {
	return right{what: "serve a change by --break-glass", attribute: authorizationv1.ResourceAttributes{
		Namespace: namespace, Resource: "configmaps", Verb: "update",
	}}
}

// diagnoseBreakGlass judges the right for the day on which the operator is away. Most people are right to lack it.
func diagnoseBreakGlass(namespace string, glass right) diagnosis {
	if glass.allowed {
		return diagnosis{
			checkRights, healthy,
			fmt.Sprintf("in namespace %s you may %s of environments that you may publish", namespace, glass.what), "",
		}
	}
	return diagnosis{
		checkRights, warning,
		fmt.Sprintf("in namespace %s you may not %s (%s %s)",
			namespace, glass.what, glass.attribute.Verb, glass.attribute.Resource),
		"where you are on call, ask for update on ConfigMaps before the operator is away; docs/cli.md says what it is for",
	}
}

func diagnoseRights(namespace string, rights []right) diagnosis {
	var may, mayNot []string
	for _, one := range rights {
		if one.allowed {
			may = append(may, one.what)
		} else {
			mayNot = append(mayNot, fmt.Sprintf("%s (%s %s)", one.what, one.attribute.Verb, one.attribute.Resource))
		}
	}
	if len(mayNot) > 0 {
		return diagnosis{
			checkRights, warning, fmt.Sprintf("in namespace %s you may not %s", namespace, strings.Join(mayNot, ", nor ")),
			"where you should, ask for a role of docs/permissions.md",
		}
	}
	return diagnosis{
		checkRights,
		healthy,
		fmt.Sprintf("in namespace %s you may %s", namespace, strings.Join(may, ", ")),
		"",
	}
}

// wrongProbe is a FlagAudience that the schema admits and admission refuses, for a dry run: an expression that does not
// compile.
func wrongProbe(namespace string) *v1alpha1.FlagAudience {
	wrong := probe(namespace)
	wrong.Spec.MatchAny = []v1alpha1.ConditionGroup{{Conditions: []v1alpha1.Condition{
		{Attribute: "doctor", Operator: v1alpha1.OperatorMatches, Values: []string{"("}},
	}}}
	return wrong
}

// probe is a FlagAudience that is as it should be, for a dry run.
func probe(namespace string) *v1alpha1.FlagAudience {
	return &v1alpha1.FlagAudience{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "jackstaff-doctor"},
		Spec:       v1alpha1.FlagAudienceSpec{Members: []string{"doctor"}},
	}
}
