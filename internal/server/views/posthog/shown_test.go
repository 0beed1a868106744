// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
)

var _ = Describe("What comes back", func() {
	It("is no zero value where it is null", func() {
		s := openShop()
		flag := builders.MakeFlag("kept", s.name).Boolean().Environment("production").Rule(
			builders.MakeRule("r").Serve("on"),
		).Fallthrough("on").Obj()
		flag.Spec.Runtime, flag.Spec.Tags = v1alpha1.RuntimeServer, []string{"t"}
		flag.Spec.Environments[0].Rules[0].HashAttribute = filters.DeviceID
		world.Create(flag, builders.MakeFlag("gone", s.name).Boolean().Archived().Obj())
		s.awaitServed("kept")
		before, gone := s.authored("kept"), s.authored("gone")
		for _, field := range []string{
			"active", "deleted", "key", "version", "filters", "evaluation_runtime", "bucketing_identifier",
		} {
			answer := world.Call(s.editor, http.MethodPatch, s.flags+"/kept", `{"`+field+`": null, "name": "x"}`)
			Expect(answer.Status).To(Equal(http.StatusUnprocessableEntity), field+": "+string(answer.Body))
			Expect(object(answer)).To(HaveKeyWithValue("attr", field))
		}
		Expect(s.authored("kept")).To(Equal(before))
		restored := world.Call(s.editor, http.MethodPatch, s.flags+"/gone", `{"deleted": null, "name": "x"}`)
		Expect(restored.Status).To(Equal(http.StatusUnprocessableEntity), string(restored.Body))
		Expect(s.authored("gone")).To(Equal(gone))
		for _, field := range []string{"active", "_should_create_usage_dashboard"} {
			answer := world.Call(s.editor, http.MethodPost, s.flags, `{"key": "new", "`+field+`": null}`)
			Expect(answer.Status).To(Equal(http.StatusUnprocessableEntity), field+": "+string(answer.Body))
		}

		By("clearing what may be cleared")
		cleared := s.patch("kept", `{"name": null, "tags": null, "creation_context": null, "rollback_conditions": null,
			"performed_rollback": null, "has_enriched_analytics": null, "_create_in_folder": null, "last_called_at": null}`)
		Expect(cleared).To(And(HaveKeyWithValue("tags", BeEmpty()), HaveKeyWithValue("active", true)))

		By("taking null for the defaults that a flag has")
		Expect(s.create(`{"key": "new", "evaluation_runtime": null, "bucketing_identifier": null}`)).
			To(HaveKeyWithValue("evaluation_runtime", "all"))
		s.patch("new", `{"evaluation_runtime": null, "bucketing_identifier": null}`)
	})
})
