// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ofrep_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// streamOf is the address in an answer for all flags.
func streamOf(body []byte) string {
	GinkgoHelper()
	answer := struct {
		EventStreams []struct{ Type, URL string }
	}{}
	Expect(json.Unmarshal(body, &answer)).To(Succeed())
	Expect(answer.EventStreams).To(HaveLen(1))
	Expect(answer.EventStreams[0].Type).To(Equal("sse"))
	return answer.EventStreams[0].URL
}

// running is another server that listens.
type running struct {
	*server.Server
	host    string
	stop    context.CancelFunc
	stopped chan error
}

// start starts a server, which stops with the test at the latest.
func start(srv *server.Server) *running {
	GinkgoHelper()
	ctx, cancel := context.WithCancel(context.Background())
	DeferCleanup(cancel)
	r := &running{Server: srv, stop: cancel, stopped: make(chan error, 1)}
	go func() { r.stopped <- srv.Start(ctx) }()
	address, err := srv.Address(ctx)
	Expect(err).NotTo(HaveOccurred())
	r.host = address.String()
	return r
}

// streamAt is the address of the stream of a server that listens.
func (s *shop) streamAt(server *running) string {
	GinkgoHelper()
	request := httptest.NewRequestWithContext(
		context.Background(),
		http.MethodPost,
		"http://"+server.host+bulk,
		strings.NewReader(alice),
	)
	request.Header.Set("X-API-Key", s.server)
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, request)
	return streamOf(recorder.Body.Bytes())
}

// stream is an open stream.
type stream struct{ body *bufio.Reader }

// open opens a stream as a browser does.
func open(address string) *stream {
	GinkgoHelper()
	ctx, cancel := context.WithCancel(context.Background())
	DeferCleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	Expect(err).NotTo(HaveOccurred())
	response, err := http.DefaultClient.Do(request)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(response.Body.Close)
	Expect(response.StatusCode).To(Equal(http.StatusOK))
	Expect(response.Header.Get("Content-Type")).To(Equal("text/event-stream"))
	opened := &stream{body: bufio.NewReader(response.Body)}
	Expect(opened.next()).To(Equal(": hello\n\n"))
	return opened
}

// next is what comes up to the next empty line.
func (s *stream) next() string {
	GinkgoHelper()
	text := ""
	for !strings.HasSuffix(text, "\n\n") {
		line, err := s.body.ReadString('\n')
		Expect(err).NotTo(HaveOccurred())
		text += line
	}
	return text
}

// nextEvent is the next event, without the comments before it.
func (s *stream) nextEvent() string {
	GinkgoHelper()
	for {
		if text := s.next(); !strings.HasPrefix(text, ":") {
			return text
		}
	}
}

// expectEnd reads what is left, until the stream ends as streams should.
func (s *stream) expectEnd() {
	GinkgoHelper()
	rest, err := io.ReadAll(s.body)
	Expect(err).NotTo(HaveOccurred())
	Expect(string(rest)).To(Or(BeEmpty(), HavePrefix("event: message\n")))
}

// hung is a client that opens a stream and reads nothing of it.
type hung struct {
	*httptest.ResponseRecorder
	wrote chan int
}

func (h *hung) Write(data []byte) (int, error) {
	h.wrote <- h.Code
	return h.ResponseRecorder.Write(data)
}

var _ = Describe("The streams of an address", func() {
	It("are bounded, and refused in the words of the protocol", func(ctx SpecContext) {
		s := newShop()
		answer := world.Call(s.client, http.MethodPost, bulk, alice)
		Expect(answer.Status).To(Equal(http.StatusOK), string(answer.Body))
		address := streamOf(answer.Body)
		soon, cancel := context.WithCancel(ctx)
		var open sync.WaitGroup
		defer open.Wait()
		defer cancel()
		stream := func(n int) (*hung, int) {
			request := httptest.NewRequestWithContext(soon, http.MethodGet, address+"&x="+strconv.Itoa(n), http.NoBody)
			request.RemoteAddr = "198.51.100.77:1"
			client := &hung{ResponseRecorder: httptest.NewRecorder(), wrote: make(chan int, 100)}
			open.Go(func() { world.Server.ServeHTTP(client, request) })
			status := 0
			Eventually(client.wrote).Should(Receive(&status))
			return client, status
		}
		for n := range 500 {
			_, status := stream(n)
			Expect(status).To(Equal(http.StatusOK))
		}
		refused, status := stream(500)
		Expect(status).To(Equal(http.StatusTooManyRequests))
		Expect(refused.Header()).To(HaveKeyWithValue("Retry-After", []string{"60"}))
		Expect(refused.Header()).To(HaveKeyWithValue("Access-Control-Allow-Origin", []string{"*"}))
	})
})
