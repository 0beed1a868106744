// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	flagsv1alpha1 "github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// shown is how much of a datafile is printed, in bytes.
const shown = 320

// published fails while a flag that is as it should be waits to be published. Samples of one's own may be broken, and
// an environment of theirs wait for its owner: neither is waited for.
func (s *session) published(ctx context.Context) error {
	flags := &flagsv1alpha1.FeatureFlagList{}
	if err := s.client.List(ctx, flags); err != nil {
		return err
	}
	for i := range flags.Items {
		flag := &flags.Items[i]
		ready := meta.FindStatusCondition(flag.Status.Conditions, flagsv1alpha1.ReadyCondition)
		if ready == nil || ready.ObservedGeneration != flag.Generation {
			return fmt.Errorf("the operator has not looked at the flag %s yet", flag.Name)
		}
		if ready.Status == metav1.ConditionTrue &&
			!meta.IsStatusConditionTrue(flag.Status.Conditions, flagsv1alpha1.PublishedCondition) {
			return fmt.Errorf("the flag %s is not published yet", flag.Name)
		}
	}
	return nil
}

// showDatafiles waits until every environment has published what its resources say, and prints the beginning of its
// flags.
func (s *session) showDatafiles(ctx context.Context) error {
	if err := s.wait(ctx, "the flags to be published", s.published); err != nil {
		return err
	}
	environments := &flagsv1alpha1.FlagEnvironmentList{}
	if err := s.client.List(ctx, environments); err != nil {
		return fmt.Errorf("list environments: %w", err)
	}
	slices.SortFunc(environments.Items, func(a, b flagsv1alpha1.FlagEnvironment) int {
		return cmp.Or(
			cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Spec.Order, b.Spec.Order),
			cmp.Compare(a.Name, b.Name),
		)
	})
	for i := range environments.Items {
		environment := &environments.Items[i]
		key := types.NamespacedName{Namespace: environment.Namespace, Name: environment.Name}
		served := &corev1.ConfigMap{}
		err := s.wait(ctx, "the datafile of "+key.String(), func(ctx context.Context) error {
			if err := s.client.Get(ctx, key, environment); err != nil {
				return err
			}
			published := meta.FindStatusCondition(environment.Status.Conditions, flagsv1alpha1.PublishedCondition)
			if published == nil || published.ObservedGeneration != environment.Generation {
				return errors.New("the operator has not looked at the environment yet")
			}
			name := cmp.Or(environment.Spec.Datafile.Name, "flags-"+environment.Name)
			return s.client.Get(ctx, types.NamespacedName{Namespace: environment.Namespace, Name: name}, served)
		})
		if err != nil {
			return err
		}
		_, content, _ := strings.Cut(served.Data[datafile.FileName], `"flags":`)
		say("ConfigMap %s/%s, revision %s, %d bytes", served.Namespace, served.Name,
			served.Annotations[flagsv1alpha1.RevisionAnnotation], environment.Status.Datafile.Bytes)
		if len(content) > shown {
			content = content[:shown] + "…"
		}
		fmt.Println(`    "flags":` + content)
	}
	return nil
}

// sayWhatToTry prints lines that work as they are, from the root of the repository.
func (s *session) sayWhatToTry() {
	fmt.Printf("\nIn another terminal:\n\n  . %s\n", relative(s.envFile()))
	kubectl := relative(filepath.Join(s.assets, "kubectl"))
	try := func(what string, lines ...string) {
		fmt.Printf("\n  # %s\n", what)
		for _, line := range lines {
			fmt.Printf("  %s %s\n", kubectl, line)
		}
	}
	if s.samples != "config/samples" {
		try("The samples.", "apply --server-side -k config/samples")
		fmt.Println()
		return
	}
	try("Everything in the shop.", "-n shop get flags")
	try("What a workload mounts.", `-n shop get configmap flags-production -o jsonpath='{.data.datafile\.json}'`)
	jackstaff := relative(filepath.Join(filepath.Dir(s.manager), "jackstaff"))
	fmt.Printf("\n  # Kill payments in production, in every mode, and see what is served then.\n"+
		"  %[1]s toggle payments -n shop -e production --brake --wait\n"+
		"  %[1]s status production -n shop\n", jackstaff)
	try("A mistake is refused, with its place.",
		`-n shop patch featureflag payments --type=merge -p '{"spec":{"defaultVariation":"maybe"}}'`)
	fmt.Printf(
		"\n  # The flags of production over REST; the page %s shows all there is.\n  %s\n",
		"$JACKSTAFF_URL/docs/",
		`curl -sS --cacert "$JACKSTAFF_CA" -H "Authorization: Bearer $JACKSTAFF_TOKEN" "$JACKSTAFF_URL/api/v1/flags?environment_id=shop.production"`,
	)
	try("A datafile that someone deletes is back at once.",
		"-n shop delete configmap flags-staging", "-n shop get configmaps")
	fmt.Print("\nStop with Ctrl-C. The next run starts anew.\n\n")
}

// relative returns the path as one would type it here.
func relative(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if short, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(short) {
		return short
	}
	return path
}
