// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// Whoever writes against a view generates a client from its document. Where that is wrong, the client does not compile,
// or the server refuses what it sends.
var _ = Describe("Generated clients", func() {
	It("compile, and run the examples of each reference", func(ctx SpecContext) {
		node := os.Getenv("REST_NODE")
		if node == "" {
			Skip("REST_NODE is not set; hack/openapi.sh sets it where Node is there")
		}
		s := newShop()
		token := newPerson(s.namespace.Name, "boss", "admin", s.namespace.Name).token
		run := func(arguments ...string) {
			GinkgoHelper()
			command := exec.CommandContext(ctx, node, arguments...)
			command.Dir = "clients"
			command.Env = append(os.Environ(),
				"JACKSTAFF_URL="+world.URL, "JACKSTAFF_TOKEN="+token, "JACKSTAFF_PROJECT="+s.namespace.Name)
			output, err := command.CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s:\n%s", strings.Join(arguments, " "), output)
		}
		run("generate.js")
		run(filepath.Join("node_modules", "typescript", "bin", "tsc"), "-p", ".")
		for _, client := range []string{"atono", "phaseflag", "avsb", "flagmint", "posthog", "joined"} {
			run(filepath.Join("built", client+".js"))
		}
	})
})
