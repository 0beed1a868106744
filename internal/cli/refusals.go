// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// refuse returns a refusal, which may be nil. A dry run says it and goes on, to end as the command would.
func (c *changing) refuse(a *App, refusal error) error {
	if refusal == nil || !c.dryRun {
		return refusal
	}
	a.notef("%v", refusal)
	c.refused = append(c.refused, refusal.Error())
	return nil
}

// notTakenOver is why the break glass of a revision cannot be ended yet, and nil where it can. The operator keeps the
// revision once it has seen the mark. Without that, what bears no mark and no seal is a forgery, in whose place it
// serves again what was served before.
func notTakenOver(environment *v1alpha1.FlagEnvironment, revision int64) error {
	if environment.Status.State == v1alpha1.PublishStateBreakGlass && environment.Status.PublishedRevision == revision {
		return nil
	}
	return fmt.Errorf(
		"the operator has not taken over revision %d of environment %q, which was served without it: an end now would lose "+
			"that revision and serve again what was served before it; wait until the operator runs and the environment's "+
			"state is %s, and see \"jackstaff doctor\" where it stays away",
		revision,
		environment.Name,
		v1alpha1.PublishStateBreakGlass,
	)
}

// needsBreakGlass refuses to serve something without an operator whose admission answers, because that publishes
// nothing any more until somebody ends it. It asks for nothing with a yes, nor where somebody has broken the glass
// before. Instead is the command for an operator that answers.
func (a *App) needsBreakGlass(
	ctx context.Context,
	c *cluster,
	environment *v1alpha1.FlagEnvironment,
	o *changing,
	instead string,
	yes bool,
) error {
	if yes {
		return nil
	}
	if served, err := c.servedConfigMap(ctx, environment); err == nil {
		if _, is := ownership.BreakGlassOf(served); is {
			return nil
		}
	}
	tried := client.RawPatch(types.MergePatchType, []byte("{}"))
	if !admissionAnswers(c.client.Patch(ctx, environment.DeepCopy(), tried, client.DryRunAll)) {
		return nil
	}
	return o.refuse(a, fmt.Errorf(
		"admission answers, so that break glass is not needed, and would keep the operator from publishing %s until "+
			"somebody ends it; use %s, or add --yes where the operator does not serve that",
		environment.Name,
		instead,
	))
}

// admissionAnswers reports whether that is the answer of admission to a dry run. Whoever may not ask has no other way,
// and is not kept from this one.
func admissionAnswers(err error) bool {
	return err == nil || apierrors.IsInvalid(err) || denied(err)
}

// rightsMissing says which rights break glass needs where the API server refuses to let somebody write the served
// ConfigMap. Other errors are returned as they are.
func rightsMissing(err error, environment *v1alpha1.FlagEnvironment) error {
	if err == nil || !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `resource "configmaps"`) {
		return err
	}
	return fmt.Errorf(
		"%w; ask for the verbs update and patch on configmaps in namespace %s, beside publish on flagenvironments "+
			"(docs/operations.md, \"Break glass\")",
		err,
		environment.Namespace,
	)
}

// maxSwitchingOff is how many commands an error proposes at most.
const maxSwitchingOff = 3

// switchingOff are the commands that switch flags off, in words.
func switchingOff(at target, keys []string, environment string, by ...string) string {
	var commands []string
	for _, key := range keys[:min(len(keys), maxSwitchingOff)] {
		commands = append(commands, at.toggle(key, environment, by...))
	}
	text := strings.Join(commands, " and ")
	if more := len(keys) - len(commands); more > 0 {
		text += fmt.Sprintf(" and so on for %d more", more)
	}
	return text
}

// offBy is how a flag goes off in what the operator serves next: under a pin by a brake alone.
func offBy(environment *v1alpha1.FlagEnvironment) string {
	if environment.Spec.Publish.Revision != nil {
		return "--brake"
	}
	return "--off"
}
