// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package servertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Shop makes the project that the examples of the documents speak of, shop, with the environments production and
// staging, and returns an editor's token. There is one in each world.
func (w *World) Shop() string {
	GinkgoHelper()
	Expect(
		w.Admin.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}),
	).To(
		Succeed(),
	)
	for _, name := range []string{"production", "staging"} {
		w.Create(&v1alpha1.FlagEnvironment{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop",
				Name:      name,
			},
			Spec: v1alpha1.FlagEnvironmentSpec{Production: name == "production"},
		})
	}
	return w.Editor("shop")
}

// RunExamples runs the shell blocks that begin with curl of a document of this repository, word for word and in their
// order, and returns what they print. Each must succeed.
func (w *World) RunExamples(document, token string) []string {
	GinkgoHelper()
	text, err := os.ReadFile(filepath.Join(repository(), document)) //nolint:gosec // The repository's own documents.
	Expect(err).NotTo(HaveOccurred())
	var printed []string
	for _, rest := range strings.Split(string(text), "```sh\n")[1:] {
		block, _, closed := strings.Cut(rest, "```")
		Expect(closed).To(BeTrue(), rest)
		if !strings.HasPrefix(block, "curl ") {
			continue
		}
		ctx := context.Background()
		command := exec.CommandContext(ctx, "sh", "-e", "-c", block) //nolint:gosec // The repository's own documents.
		command.Env = append(os.Environ(), "JACKSTAFF_URL="+w.URL, "JACKSTAFF_TOKEN="+token)
		output, err := command.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), block+string(output))
		printed = append(printed, string(output))
	}
	return printed
}
