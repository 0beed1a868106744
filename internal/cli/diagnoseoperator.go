// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// diagnoseOperator judges the operator's Deployments, next to the version of this program.
func diagnoseOperator(at target, deployments []appsv1.Deployment, client string) []diagnosis {
	if len(deployments) == 0 {
		return []diagnosis{{
			checkOperator, warning, "no Deployment has the label app.kubernetes.io/name=jackstaff",
			"install the operator, as docs/install.md says, unless it runs outside of the cluster",
		}}
	}
	all := make([]diagnosis, 0, len(deployments))
	for i := range deployments {
		all = append(all, diagnoseDeployment(at, &deployments[i], client))
	}
	return all
}

func diagnoseDeployment(at target, deployment *appsv1.Deployment, client string) diagnosis {
	name := deployment.Namespace + "/" + deployment.Name
	logs := fmt.Sprintf("see kubectl -n %s describe deployment %s, and its logs", deployment.Namespace, deployment.Name)
	wanted, available := int32(1), deployment.Status.AvailableReplicas
	if deployment.Spec.Replicas != nil {
		wanted = *deployment.Spec.Replicas
	}
	image := ""
	if containers := deployment.Spec.Template.Spec.Containers; len(containers) > 0 {
		image = containers[0].Image
	}
	switch tag := tagOf(image); {
	case available == 0:
		return diagnosis{
			checkOperator,
			problem,
			name + " has no available replica: nothing is published, and every change of a flag is refused",
			logs +
				"; meanwhile " + at.toggle("FLAG", "ENVIRONMENT", "--off", "--break-glass") + " switches a flag off without it",
		}
	case available < wanted:
		return diagnosis{checkOperator, warning, fmt.Sprintf("%s has %d of %d replicas", name, available, wanted), logs}
	case isRelease(tag) && isRelease(client) && strings.TrimPrefix(tag, "v") != strings.TrimPrefix(client, "v"):
		return diagnosis{
			checkOperator, warning, fmt.Sprintf("%s runs %s, and this program is %s", name, image, client),
			"use the program of the operator's version",
		}
	}
	return diagnosis{
		checkOperator,
		healthy,
		fmt.Sprintf("%s has %d of %d replicas of %s", name, available, wanted, image),
		"",
	}
}

// tagOf is the tag of an image, and empty where it has none.
func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if at := strings.LastIndex(image, ":"); at > strings.LastIndex(image, "/") {
		return image[at+1:]
	}
	return ""
}

func isRelease(tag string) bool {
	_, err := version.ParseSemantic(tag)
	return err == nil
}

// diagnoseLeader judges the lease that the operator which publishes holds.
func diagnoseLeader(leases []coordinationv1.Lease, now time.Time) diagnosis {
	advice := "nothing is published until an operator leads; see its Deployment and logs"
	if len(leases) == 0 {
		return diagnosis{checkLeader, warning, "no operator has ever led, or one runs without leader election", advice}
	}
	newest := slices.MaxFunc(leases, func(a, b coordinationv1.Lease) int { return renewed(&a).Compare(renewed(&b)) })
	spec := &newest.Spec
	lasts := 15 * time.Second
	if spec.LeaseDurationSeconds != nil {
		lasts = time.Duration(*spec.LeaseDurationSeconds) * time.Second
	}
	at := renewed(&newest)
	switch {
	case spec.HolderIdentity == nil || *spec.HolderIdentity == "":
		return diagnosis{checkLeader, problem, "nobody leads: the last leader gave the lease back", advice}
	case now.Sub(at) > 2*lasts:
		return diagnosis{
			checkLeader, problem,
			fmt.Sprintf("%s led last, and was seen at %s", *spec.HolderIdentity, at.UTC().Format(time.RFC3339)), advice,
		}
	}
	return diagnosis{checkLeader, healthy, *spec.HolderIdentity + " leads", ""}
}

func renewed(lease *coordinationv1.Lease) time.Time {
	if lease.Spec.RenewTime == nil {
		return time.Time{}
	}
	return lease.Spec.RenewTime.Time
}

// hook is what webhooks of both sorts have in common.
type hook struct {
	name   string
	rules  []admissionregistrationv1.RuleWithOperations
	client admissionregistrationv1.WebhookClientConfig
	policy *admissionregistrationv1.FailurePolicyType
}

func hooksOf(
	mutating []admissionregistrationv1.MutatingWebhookConfiguration,
	validating []admissionregistrationv1.ValidatingWebhookConfiguration,
) (mutatingHooks, validatingHooks []hook) {
	for i := range mutating {
		for j := range mutating[i].Webhooks {
			one := &mutating[i].Webhooks[j]
			mutatingHooks = append(mutatingHooks, hook{one.Name, one.Rules, one.ClientConfig, one.FailurePolicy})
		}
	}
	for i := range validating {
		for j := range validating[i].Webhooks {
			one := &validating[i].Webhooks[j]
			validatingHooks = append(validatingHooks, hook{one.Name, one.Rules, one.ClientConfig, one.FailurePolicy})
		}
	}
	return mutatingHooks, validatingHooks
}

// judges reports whether a webhook is asked about writes of a resource.
func (h *hook) judges(resource string) bool {
	return slices.ContainsFunc(h.rules, func(rule admissionregistrationv1.RuleWithOperations) bool {
		return slices.Contains(rule.APIGroups, v1alpha1.GroupVersion.Group) && slices.Contains(rule.Resources, resource)
	})
}

// diagnoseWebhooks judges whether every Kind is validated, by a webhook whose certificate can be trusted.
func diagnoseWebhooks(mutating, validating []hook, now time.Time) []diagnosis {
	var all []diagnosis
	for _, kind := range v1alpha1.Kinds {
		judge := func(h hook) bool { return h.judges(kind.Resource) }
		if !slices.ContainsFunc(validating, judge) || !slices.ContainsFunc(mutating, judge) {
			all = append(all, diagnosis{
				checkWebhooks,
				problem,
				"no webhook judges " + kind.Words + ": mistakes are stored, and production is guarded by nobody",
				"apply config/webhook, or upgrade the chart",
			})
		}
	}
	seen := map[string]bool{}
	for _, one := range slices.Concat(mutating, validating) {
		ours := slices.ContainsFunc(v1alpha1.Kinds, func(kind v1alpha1.Kind) bool { return one.judges(kind.Resource) })
		if !ours {
			continue
		}
		if one.policy != nil && *one.policy == admissionregistrationv1.Ignore {
			all = append(all, diagnosis{
				checkWebhooks,
				problem,
				one.name + " may be passed over (failurePolicy Ignore): while it does not answer, anything is stored",
				"set failurePolicy: Fail",
			})
		}
		// Webhooks share an authority, and one sentence about it is enough.
		said := diagnoseAuthority(one.client.CABundle, now)
		if said.Verdict != healthy && !seen[said.Message] {
			seen[said.Message] = true
			all = append(all, said)
		}
	}
	if len(all) == 0 {
		all = append(all, diagnosis{checkWebhooks, healthy, "every Kind is judged, by webhooks whose authority is valid", ""})
	}
	return all
}

// diagnoseAuthority judges the certificates that the API server trusts a webhook by.
func diagnoseAuthority(bundle []byte, now time.Time) diagnosis {
	advice := "see the operator's logs: it makes its certificates and writes the authority, unless cert-manager does"
	var valid, last time.Time
	for rest := bundle; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return diagnosis{checkWebhooks, problem, "the authority of the webhooks cannot be read: " + err.Error(), advice}
		}
		if certificate.NotAfter.After(last) {
			last = certificate.NotAfter
		}
		if !certificate.NotBefore.After(now) && certificate.NotAfter.After(valid) {
			valid = certificate.NotAfter
		}
	}
	switch {
	case last.IsZero():
		return diagnosis{
			checkWebhooks, warning, "the webhooks have no authority: the API server trusts them by its system's alone", advice,
		}
	case !valid.After(now) && last.After(now):
		return diagnosis{
			checkWebhooks,
			problem,
			"the authority of the webhooks is not valid yet",
			"compare the clocks of the nodes",
		}
	case !valid.After(now):
		return diagnosis{
			checkWebhooks, problem, "the authority of the webhooks has expired at " + last.UTC().Format(time.RFC3339), advice,
		}
	case valid.Sub(now) < certificateNotice:
		return diagnosis{
			checkWebhooks, warning, "the authority of the webhooks expires at " + valid.UTC().Format(time.RFC3339), advice,
		}
	}
	return diagnosis{checkWebhooks, healthy, "the authority is valid", ""}
}

// diagnoseAdmission judges what a dry run of a create was answered.
func diagnoseAdmission(err error, took time.Duration) diagnosis {
	judged := "a change is judged, in " + took.Round(time.Millisecond).String()
	switch {
	case err == nil || apierrors.IsAlreadyExists(err):
	case apierrors.IsForbidden(err) && denied(err): // It asks for a right, and has answered.
		judged += ", and this one is refused to you: " + err.Error()
	case admissionIsAway(err):
		return diagnosis{
			checkAdmission,
			problem,
			"admission does not answer, so that every change of a flag is refused: " + lastWords(err),
			"see the operator's Deployment, and whether the API server reaches its Service; meanwhile --break-glass serves a " +
				"change without it",
		}
	case apierrors.IsNotFound(err):
		return diagnosis{checkAdmission, unknown, "nothing can be tried: " + err.Error(), "choose another namespace with -n"}
	case apierrors.IsForbidden(err):
		return diagnosis{
			checkAdmission, unknown, "you may not create what would be tried: " + err.Error(),
			"let somebody look who may change flags",
		}
	default:
		return diagnosis{
			checkAdmission,
			problem,
			"what is as it should be is refused: " + err.Error(),
			"see the operator's logs",
		}
	}
	if took > slowAdmission {
		return diagnosis{
			checkAdmission, warning, fmt.Sprintf("a dry run took %s", took.Round(time.Millisecond)),
			"see whether the operator has enough CPU, and whether the network to its Service is slow",
		}
	}
	return diagnosis{checkAdmission, healthy, judged, ""}
}

// denied reports whether a webhook has answered: so the API server begins what it answers.
func denied(err error) bool { return err != nil && strings.Contains(err.Error(), "denied the request") }

// diagnoseWrong judges what a dry run of a create was answered that admission has to refuse.
func diagnoseWrong(err error) diagnosis {
	switch {
	case err == nil:
		return diagnosis{
			checkAdmission,
			problem,
			"nothing judges changes: a regular expression that does not compile is admitted, so that mistakes are " +
				"stored, and whoever may write flags changes production",
			"apply config/webhook, or upgrade the chart",
		}
	case apierrors.IsAlreadyExists(err):
		return diagnosis{checkAdmission, unknown, "nothing can be tried: " + err.Error(), "rename that audience"}
	case admissionIsAway(err):
		return diagnoseAdmission(err, 0)
	case denied(err):
		return diagnosis{checkAdmission, healthy, "what is wrong is refused", ""}
	}
	return diagnosis{
		checkAdmission, unknown, "whether mistakes are refused cannot be tried: " + err.Error(), "look again",
	}
}

// policyRoles says what is open without each of the shipped policies, by the end of its name.
var policyRoles = []struct{ suffix, open string }{
	{
		"datafiles",
		"whoever may edit ConfigMaps can write what workloads mount, and what is written by --break-glass is not believed",
	},
	{"own-account", "whoever takes over the operator's account is bound by RBAC alone"},
}

// diagnosePolicies judges the ValidatingAdmissionPolicies that are shipped.
func diagnosePolicies(
	policies []admissionregistrationv1.ValidatingAdmissionPolicy,
	bindings []admissionregistrationv1.ValidatingAdmissionPolicyBinding,
) []diagnosis {
	var all []diagnosis
	for _, role := range policyRoles {
		at := slices.IndexFunc(policies, func(policy admissionregistrationv1.ValidatingAdmissionPolicy) bool {
			return strings.HasSuffix(policy.Name, "-"+role.suffix)
		})
		denies := at >= 0 && slices.ContainsFunc(
			bindings,
			func(binding admissionregistrationv1.ValidatingAdmissionPolicyBinding) bool {
				return binding.Spec.PolicyName == policies[at].Name && binding.Spec.MatchResources == nil &&
					slices.Contains(binding.Spec.ValidationActions, admissionregistrationv1.Deny)
			},
		)
		switch {
		case at < 0:
			all = append(all, diagnosis{
				checkPolicies, warning, fmt.Sprintf("the policy jackstaff-%s is missing: %s", role.suffix, role.open),
				"apply config/policy, or upgrade the chart",
			})
		case !denies:
			all = append(all, diagnosis{
				checkPolicies, warning, fmt.Sprintf("the policy %s denies nothing everywhere: %s", policies[at].Name, role.open),
				"bind it with validationActions [Deny] and without matchResources, as config/policy does",
			})
		}
	}
	if len(all) == 0 {
		all = append(all, diagnosis{checkPolicies, healthy, "datafiles and the operator's account are guarded", ""})
	}
	return all
}
