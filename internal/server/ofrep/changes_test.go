// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ofrep_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

var _ = Describe("The stream of changes", func() {
	It("announces what is published", func() {
		s := newShop()
		address := s.stream()
		stream := open(address)
		s.switchOff("size")
		served, _ := datafiles.Environment(s.name, "production")
		event := "event: message\ndata: {\"type\":\"refetchEvaluation\",\"etag\":\"" + served.Revision().Digest + `","lastModified":` +
			strconv.FormatInt(
				served.Revision().PublishedAt.Unix(),
				10,
			) + "}\n\n"
		Expect(stream.next()).To(Equal(event))
		late := open(address)
		Expect(late.next()).To(Equal(event), "whoever comes late, or again, learns what was missed")
		Expect(s.stream()).NotTo(Equal(address))
	})

	It("announces that a schedule has come", func() {
		s := newShop()
		opens := time.Now().Add(time.Hour).Truncate(time.Second)
		passive := clocktesting.NewFakeClock(opens.Add(-time.Minute))
		server := start(newServer(server.Options{Clock: passive}, passive))
		world.Create(
			builders.MakeFlag(
				"sale",
				s.name,
			).Boolean().Environment(
				"production",
			).Fallthrough(
				"on",
			).Schedule(
				opens,
				opens.Add(time.Minute),
			).Obj(),
		)
		s.awaitFlags(7)
		before := s.streamAt(server)
		stream := open(before)
		served, _ := datafiles.Environment(s.name, "production")
		for _, instant := range []time.Time{opens, opens.Add(time.Minute)} {
			Eventually(passive.Waiters).Should(BeNumerically(">=", 2), "the heartbeat's and the schedule's")
			passive.SetTime(instant)
			Expect(
				stream.nextEvent(),
			).To(
				Equal(
					fmt.Sprintf("event: message\ndata: {\"type\":\"refetchEvaluation\",\"etag\":\"%s@%d\",\"lastModified\":%d}\n\n",
						served.Revision().Digest, instant.Unix(), instant.Unix()),
				),
			)
		}
		Eventually(passive.Waiters).Should(Equal(1), "nothing more is scheduled")
		Expect(
			open(before).nextEvent(),
		).To(
			ContainSubstring(served.Revision().Digest+"@"),
			"whoever evaluated before, and opens the stream later, learns of it",
		)
		Expect(s.streamAt(server)).NotTo(Equal(before))
	})

	It("has the same address for all until something changes", func() {
		s := newShop()
		Expect(s.stream()).To(Equal(s.stream()))
		Expect(s.stream()).To(HavePrefix(world.URL + ofrep.StreamPath + "?token="))
		behindTLS := world.Call(s.server, http.MethodPost, bulk, alice, "X-Forwarded-Proto", "https")
		Expect(streamOf(behindTLS.Body)).To(HavePrefix("https://"))
		Expect(s.stream()).NotTo(ContainSubstring(s.server), "the key stays secret")
	})

	It("is not offered with a Kubernetes token, whose rights may end any time", func() {
		s := newShop()
		answer := world.Call(world.Token(s.name, "reader", servertest.Read...), http.MethodPost, bulk, alice)
		Expect(answer.Status).To(Equal(http.StatusOK))
		Expect(answer.JSON).NotTo(HaveKey("eventStreams"))
	})

	It("does not open to a token that is forged or too old", func() {
		s := newShop()
		address, err := url.Parse(s.stream())
		Expect(err).NotTo(HaveOccurred())
		token := address.Query().Get("token")
		for _, forged := range []string{"", "nonsense", token[:len(token)-6] + "AAAAA=", s.server} {
			answer := world.Call("", http.MethodGet, ofrep.StreamPath+"?token="+url.QueryEscape(forged), nil)
			Expect(answer.Status).To(Equal(http.StatusUnauthorized))
			Expect(answer.JSON).To(And(HaveKeyWithValue("errorCode", "GENERAL"), HaveKey("errorDetails")))
			Expect(answer.Header.Get("Access-Control-Allow-Origin")).To(Equal("*"))
		}
		passive := clocktesting.NewFakeClock(time.Now().Add(30 * time.Minute))
		recorder := httptest.NewRecorder()
		newServer(
			server.Options{Clock: passive},
			passive,
		).ServeHTTP(
			recorder,
			httptest.NewRequestWithContext(context.Background(), http.MethodGet, address.RequestURI(), nil),
		)
		Expect(recorder.Code).To(Equal(http.StatusUnauthorized))
		Expect(world.Call("", http.MethodPost, address.RequestURI(), alice).Status).To(Equal(http.StatusMethodNotAllowed))
		head := world.Call("", http.MethodHead, address.RequestURI(), nil)
		Expect(head.Status).To(Equal(http.StatusOK))
		Expect(head.Header.Get("Content-Type")).To(Equal("text/event-stream"))
	})

	It("says that it is alive", func() {
		s := newShop()
		passive := clocktesting.NewFakeClock(time.Now())
		stream := open(s.streamAt(start(newServer(server.Options{Clock: passive}, passive))))
		Eventually(passive.HasWaiters).Should(BeTrue())
		passive.Step(15 * time.Second)
		Expect(stream.next()).To(Equal(": still here\n\n"))
	})

	It("ends when the key is revoked", func() {
		s := newShop()
		address := s.stream()
		stream := open(address)
		before := s.environment.Status.SDKKeys[0].CreatedAt.Add(time.Second).UTC().Format(time.RFC3339)
		patch := client.RawPatch(
			types.MergePatchType,
			[]byte(`{"metadata":{"annotations":{"`+v1alpha1.RevokeKeysBeforeAnnotation+`":"`+before+`"}}}`),
		)
		Expect(world.Admin.Patch(context.Background(), s.environment, patch)).To(Succeed())
		stream.expectEnd()
		parsed, err := url.Parse(address)
		Expect(err).NotTo(HaveOccurred())
		Expect(world.Call("", http.MethodGet, parsed.RequestURI(), nil).Status).To(Equal(http.StatusUnauthorized))
		Expect(world.Call(s.server, http.MethodPost, bulk, alice).Status).To(Equal(http.StatusUnauthorized))
	})

	It("ends when the environment is deleted", func() {
		s := newShop()
		stream := open(s.stream())
		patch := client.RawPatch(
			types.MergePatchType,
			[]byte(`{"metadata":{"annotations":{"`+v1alpha1.ConfirmDeleteAnnotation+`":"production"}}}`),
		)
		Expect(world.Admin.Patch(context.Background(), s.environment, patch)).To(Succeed())
		Expect(world.Admin.Delete(context.Background(), s.environment)).To(Succeed())
		stream.expectEnd()
	})

	It("ends when the server stops", func() {
		s := newShop()
		running := start(newServer(server.Options{Clock: clock.RealClock{}}, clock.RealClock{}))
		stream := open(s.streamAt(running))
		running.stop()
		stream.expectEnd()
		Eventually(running.stopped).Should(Receive(Succeed()))
	})
})

// stream is the address of the stream that an evaluation names.
func (s *shop) stream() string {
	GinkgoHelper()
	answer := world.Call(s.server, http.MethodPost, bulk, alice)
	Expect(answer.Status).To(Equal(http.StatusOK))
	return streamOf(answer.Body)
}
