// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagmint_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

// shown is the flag of a successful answer.
func shown(answer *servertest.Answer, status int) map[string]any {
	GinkgoHelper()
	Expect(answer.Status).To(Equal(status), string(answer.Body))
	body := struct{ Data map[string]any }{}
	Expect(json.Unmarshal(answer.Body, &body)).To(Succeed())
	return body.Data
}

var _ = Describe("Environments", func() {
	It("all get the record of a gradual rollout, and the one of envId is enabled", func() {
		s := newShop()
		flag := shown(world.Call(s.editor, http.MethodPost, s.path,
			fmt.Sprintf(`{"name": "Gradual", "template": "gradual_rollout", "is_active": true, "envId": %q}`, s.staging.UID)),
			http.StatusCreated)
		Expect(flag["environments"]).To(ConsistOf(
			And(HaveKeyWithValue("key", "staging"), HaveKeyWithValue("is_active", true), HaveKeyWithValue("rules", HaveLen(1))),
			And(
				HaveKeyWithValue("key", "production"),
				HaveKeyWithValue("is_active", false),
				HaveKeyWithValue("rules", HaveLen(1)),
			),
		))
	})

	It("have no archived flag on", func() {
		s := newShop()
		world.Create(builders.MakeFlag("old", s.project.Name).Boolean().Archived().Environment("production").Obj())
		Eventually(func(g Gomega) {
			answer := world.Call(s.viewer, http.MethodGet, s.path+"/old", nil)
			g.Expect(answer.Status).To(Equal(http.StatusOK))
		}).Should(Succeed())
		flag := shown(world.Call(s.viewer, http.MethodGet, s.path+"/old", nil), http.StatusOK)
		Expect(flag).To(And(HaveKeyWithValue("is_active", false),
			HaveKeyWithValue("environments", ConsistOf(HaveKeyWithValue("is_active", false)))))
	})
})

var _ = Describe("A key", func() {
	It("that is made from the name is the next free one, also where others take it at the same time", func() {
		s := newShop()
		keys, lock, wait := map[any]bool{}, sync.Mutex{}, sync.WaitGroup{}
		for range 5 {
			wait.Go(func() {
				defer GinkgoRecover()
				flag := shown(world.Call(s.editor, http.MethodPost, s.path, `{"name": "Dark Mode"}`), http.StatusCreated)
				lock.Lock()
				defer lock.Unlock()
				keys[flag["key"]] = true
			})
		}
		wait.Wait()
		Expect(keys).To(And(HaveLen(5), HaveKey("dark-mode"), HaveKey("dark-mode-2")))
	})

	It("that was asked for and is taken is a conflict", func() {
		s := newShop()
		shown(world.Call(s.editor, http.MethodPost, s.path, `{"name": "Dark Mode", "key": "dark"}`), http.StatusCreated)
		answer := world.Call(s.editor, http.MethodPost, s.path, `{"name": "Dark Mode", "key": "dark"}`)
		Expect(answer.Status).To(Equal(http.StatusConflict))
		Expect(answer.JSON).To(HaveKeyWithValue("message", ContainSubstring(`there is a flag with the key "dark" already`)))
	})
})
