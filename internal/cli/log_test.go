// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

var _ = Describe("Who, what, when", func() {
	It("is shown of a flag, of an environment's revisions, and of everything", func() {
		namespace := makeProject()
		flag := fetch(namespace, "checkout", &v1alpha1.FeatureFlag{})
		record := func(kind string, object history.Object, id, by string, action history.Action, ago time.Duration, change history.Change) {
			GinkgoHelper()
			made := history.Record{
				ID:      namespace + "-" + id,
				Action:  action,
				Actor:   history.Actor{Name: by},
				Time:    metav1.NewMicroTime(time.Now().Add(-ago)),
				Changes: []history.Change{change},
			}
			recorded, err := history.NewChange(namespace, history.ObjectOf(kind, object), v1alpha1.HistoryRecorded, &made, nil)
			Expect(err).NotTo(HaveOccurred())
			Expect(k8s.Create(context.Background(), recorded)).To(Succeed())
		}
		record("FeatureFlag", flag, "a", "alice@example.com", history.FlagToggled, time.Hour, history.Change{
			Path: "spec.environments[production].enabled", From: []byte("true"), To: []byte("false"),
		})
		record("FeatureFlag", flag, "b", "bob\x1b[2J", history.FlagToggled, 3*time.Hour, history.Change{
			Path: "spec.environments[staging].enabled", From: []byte("false"), To: []byte("true"),
		})
		environment := fetch(namespace, "production", &v1alpha1.FlagEnvironment{})
		record(
			"FlagEnvironment",
			environment,
			"c",
			"alice@example.com",
			history.EnvironmentSuspended,
			2*time.Hour,
			history.Change{
				Path: "spec.publish.suspend", From: []byte("false"), To: []byte("true"),
			},
		)

		By("a flag, by name or key")
		for _, name := range []string{"checkout", "new/checkout", "flag/checkout"} {
			lines := strings.Split(strings.TrimSpace(run(0, namespace, "history", name)), "\n")
			Expect(lines).To(HaveLen(3), name)
			Expect(lines[0]).To(MatchRegexp(`^AGE +BY +ACTION +WHAT$`))
			Expect(lines[1]).To(MatchRegexp(`^60m +alice@example\.com +flag\.toggled +production: on→off$`))
			Expect(lines[2]).NotTo(ContainSubstring("\x1b"), "a user's name must not command the terminal")
		}

		By("an environment: of changes those that concern it")
		change(namespace, "production", &v1alpha1.FlagEnvironment{}, func(environment *v1alpha1.FlagEnvironment) {
			environment.Spec.Publish.Mode = v1alpha1.PublishModeAutomatic // By hand, it is not known what was published.
		})
		Eventually(func() string { return run(0, namespace, "history", "production") }).Should(MatchRegexp(
			`1 +\d+s +alice@example\.com +production freeze; new/checkout production: on→off +served`))

		By("everything")
		Expect(
			run(0, namespace, "log", "--since", "90m"),
		).To(
			MatchRegexp(`60m +alice@example\.com +new/checkout +flag\.toggled`),
		)
		Expect(strings.Count(run(0, namespace, "log", "--since", "90m"), "\n")).To(Equal(2))
		var shown []struct {
			By, Summary string
			Object      v1alpha1.ChangedObject
		}
		Expect(
			json.Unmarshal([]byte(run(0, namespace, "log", "--by", "alice@example.com", "-o", "json")), &shown),
		).To(
			Succeed(),
		)
		Expect(shown).To(HaveLen(2))
		Expect(shown[0].Summary).To(Equal("production: on→off"))
		Expect(shown[1].Object.Kind).To(Equal("FlagEnvironment"))
	})

	It("refuses what there is not", func() {
		namespace := makeProject()
		Expect(run(1, namespace, "history", "nothing")).To(And(
			ContainSubstring(`there is no environment "nothing"`), ContainSubstring("no flag of the name or key")))
		Expect(run(2, namespace, "log", "--since", "-1h")).To(ContainSubstring("--since is more than 0"))
		Expect(run(2, namespace, "log", "-o", "wide")).To(ContainSubstring("--output is json"))
	})
})
