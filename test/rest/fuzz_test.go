// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var (
	fuzzSeed     = flag.Uint64("fuzz-seed", 0, "the seed of the random requests, as a failure prints it; 0 draws one")
	fuzzRequests = flag.Int("fuzz-requests", 3000, "how many random requests are made")
)

const (
	// perBatch is how many requests are made in one project, in order, before it is too worn for anything to succeed.
	perBatch = 250
	// patience is longer than any answer may take: a publish that does not come about is answered after 10 seconds.
	patience = 30 * time.Second
)

var _ = Describe("Random requests", func() {
	It("are answered as documented, never by a fault, and tell nothing to whoever may not ask", func() {
		seed := *fuzzSeed
		if seed == 0 {
			seed = rand.Uint64()
		}
		AddReportEntry(
			fmt.Sprintf("go test ./... -args -fuzz-seed=%d -fuzz-requests=%d makes the same requests", seed, *fuzzRequests),
		)
		d := readDocument()
		var (
			group    sync.WaitGroup
			mu       sync.Mutex
			findings []string
			statuses = map[int]int{}
		)
		batches := make(chan *fuzzer, (*fuzzRequests+perBatch-1)/perBatch)
		for batch := range cap(batches) {
			batches <- newFuzzer(d, seed, batch)
		}
		close(batches)
		for range 3 {
			group.Go(func() {
				defer GinkgoRecover()
				for f := range batches {
					for range min(perBatch, *fuzzRequests) {
						finding := f.once()
						mu.Lock()
						if finding != "" {
							findings = append(findings, fmt.Sprintf("seed %d, batch %d, request %d: %s", seed, f.batch, f.number, finding))
						}
						statuses[f.status]++
						mu.Unlock()
					}
				}
			})
		}
		group.Wait()
		AddReportEntry("answers by status", statuses)
		Expect(strings.Join(findings[:min(len(findings), 20)], "\n\n")).To(BeEmpty(), "%d findings", len(findings))
		// Requests that were all refused would show little.
		Expect(statuses[http.StatusOK] + statuses[http.StatusCreated]).To(BeNumerically(">", *fuzzRequests/20))
	})
})

// undocumented are paths of other protocols, and those that speak of the server itself. None of them ends in a stream
// for what is made up here.
var undocumented = []*operation{
	{
		method: http.MethodPost,
		path:   "/ofrep/v1/evaluate/flags",
	},
	{method: http.MethodPost, path: "/ofrep/v1/evaluate/flags/{flagId}"},
	{method: http.MethodGet, path: "/ofrep/v1/stream"},
	{method: http.MethodGet, path: "/api/sdk/datafile/{sdkKey}"},
	{method: http.MethodGet, path: "/api/sdk/stream/{sdkKey}"},
	{method: http.MethodGet, path: "/docs/{page}"},
	{method: http.MethodGet, path: "/{page}"},
	{method: http.MethodPost, path: "/api/{page}"},
}

// fuzzer makes the requests of one batch.
type fuzzer struct {
	*rand.Rand

	document   *document
	operations []*operation
	shop       *shop
	// editor may do everything in the project, and stranger nothing.
	editor, stranger      string
	batch, number, status int
	// ids are names that mean something in the project, by the name of the parameter that takes them.
	ids    map[string][]string
	client *http.Client
}

func newFuzzer(d *document, seed uint64, batch int) *fuzzer {
	GinkgoHelper()
	s := newShop()
	project, flags := []string{
		s.namespace.Name,
		string(s.namespace.UID),
	}, []string{
		s.flag.Name,
		s.flag.Spec.Key,
		string(s.flag.UID),
	}
	environments := []string{"staging", "production", string(s.staging.UID), string(s.production.UID)}
	return &fuzzer{
		Rand:       rand.New(rand.NewPCG(seed, uint64(batch))),
		document:   d,
		operations: d.operations(),
		shop:       s,
		batch:      batch,
		editor:     newPerson(s.namespace.Name, "editor", "admin", s.namespace.Name).token,
		stranger:   newPerson(world.Project().Name, "stranger", "", "").token,
		ids: map[string][]string{
			"orgId":                   {"default"},
			"projectId":               project,
			"project_id":              append(project, "@current"),
			"flagId":                  flags,
			"id":                      flags,
			"envId":                   environments,
			"environment":             environments,
			"ruleId":                  {"beta"},
			"X-Jackstaff-Project":     project,
			"X-Jackstaff-Environment": environments,
			"environment_id":          {string(s.staging.UID), string(s.production.UID), s.namespace.Name + ".staging"},
		},
		client: &http.Client{
			Timeout:       patience,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// once makes a request, and returns what is wrong with the answer.
func (f *fuzzer) once() string {
	f.number++
	of := f.operations[f.IntN(len(f.operations))]
	if f.oneIn(12) {
		of = undocumented[f.IntN(len(undocumented))]
	}
	request, body := f.request(of)
	begin := time.Now()
	answer, err := f.send(request, body)
	f.status = 0
	if err != nil {
		// The server may close the connection on what it does not want to read.
		if reset := (*url.Error)(nil); errors.As(err, &reset) && !reset.Timeout() && len(body) > 1<<20 {
			return ""
		}
		return fmt.Sprintf("%s %s: %v", request.Method, short(request.URL.String()), err)
	}
	defer answer.Body.Close()
	f.status = answer.StatusCode
	done := &exchange{request: request, sent: body, answer: answer}
	received := &bytes.Buffer{}
	if _, err := received.ReadFrom(answer.Body); err != nil {
		return fmt.Sprintf("%s: %v", done, err)
	}
	done.body = received.Bytes()
	if finding := f.judge(of, done); finding != "" {
		return fmt.Sprintf(
			"%s\n%s %s %v\n%s\n→ %d after %s: %s",
			finding,
			request.Method,
			short(request.URL.String()),
			request.Header["Content-Type"],
			short(string(body)),
			answer.StatusCode,
			time.Since(begin),
			short(string(done.body)),
		)
	}
	return ""
}

// manyTimes is how often a large body is sent that is answered with a time after which to send it again.
const manyTimes = 5

// send makes a request. Where the large bodies of the other batches take all memory that one address has, it does as a
// client should: it sends the request again when the answer says so.
func (f *fuzzer) send(request *http.Request, body []byte) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		answer, err := f.client.Do(request)
		if err != nil || answer.StatusCode != http.StatusServiceUnavailable || len(body) < 64<<10 || attempt == manyTimes {
			return answer, err
		}
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		if seconds == 0 {
			return answer, nil // A fault.
		}
		_ = answer.Body.Close()
		<-time.After(time.Duration(seconds) * time.Second)
		request = request.Clone(request.Context())
		if request.Body, err = request.GetBody(); err != nil {
			return nil, err
		}
	}
}

// judge is what is wrong with an answer.
func (f *fuzzer) judge(of *operation, done *exchange) string {
	status, isJSON := done.answer.StatusCode, strings.Contains(done.answer.Header.Get("Content-Type"), "json")
	if of.spec == nil {
		if status >= http.StatusInternalServerError {
			return "a fault"
		}
		return ""
	}
	isPublic := len(of.spec.Security) == 0
	token := done.request.Header.Get("Authorization")
	switch {
	case status >= http.StatusInternalServerError:
		return "a fault"
	case status < http.StatusMultipleChoices && !isPublic && token != "Bearer "+f.editor:
		return "an answer to somebody who may not ask"
	case done.answer.Header.Get("X-Request-Id") == "" && status != http.StatusRequestHeaderFieldsTooLarge && status != http.StatusBadRequest:
		return "the answer has no id"
	// Other places than the operation's: paths that a random segment leads elsewhere.
	case status == http.StatusMethodNotAllowed,
		bytes.Contains(done.body, []byte("no such path")),
		status/100 == 3,
		!isJSON && status/100 == 4:
		return ""
	case !of.fits(done.request.URL.EscapedPath()):
		return ""
	}
	return f.document.judgeAnswer(of, done)
}

func short(text string) string {
	if len(text) > 2000 {
		return fmt.Sprintf("%s… (%d bytes)", text[:2000], len(text))
	}
	return text
}

// request makes a request for an operation.
func (f *fuzzer) request(of *operation) (*http.Request, []byte) {
	path := of.path
	for strings.Contains(path, "{") {
		begin, end := strings.Index(path, "{"), strings.Index(path, "}")
		path = path[:begin] + url.PathEscape(f.value(path[begin+1:end])) + path[end+1:]
	}
	query, headers := url.Values{}, http.Header{}
	for _, parameter := range of.parameters() {
		required := parameter.Required != nil && *parameter.Required || parameter.Name == "environment_id" && f.oneIn(2)
		if !required && !f.oneIn(4) || required && f.oneIn(30) {
			continue
		}
		value := f.value(parameter.Name)
		if _, known := f.ids[parameter.Name]; !known && !f.oneIn(4) {
			value = strings.Trim(fmt.Sprint(f.fromSchema(f.document.parameter(of, parameter.Name), parameter.Name, 0)), "[]")
		}
		switch parameter.In {
		case "query":
			query.Add(parameter.Name, value)
		case "header":
			headers.Set(parameter.Name, printable(value))
		}
	}
	if f.oneIn(20) {
		query.Add(f.hostile(), f.hostile())
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	body := f.body(of, headers)
	request, err := http.NewRequestWithContext(context.Background(), of.method, world.URL+path, bytes.NewReader(body))
	if err != nil { // The path is none that a client can ask for.
		request, _ = http.NewRequestWithContext(context.Background(), of.method, world.URL+"/", bytes.NewReader(body))
	}
	maps.Copy(request.Header, headers)
	switch f.IntN(20) {
	case 0:
		request.Header.Del("Authorization")
	case 1:
		request.Header.Set("Authorization", "Bearer "+f.stranger)
	case 2:
		request.Header.Set(
			"Authorization",
			f.pick("Bearer", "Bearer x.y.z", "Basic YTpi", "bearer "+strings.Repeat("A", 9000), "Bearer \xff\xfe"),
		)
	default:
		request.Header.Set("Authorization", "Bearer "+f.editor)
	}
	return request, body
}

// value is one for a parameter: mostly one that means something.
func (f *fuzzer) value(parameter string) string {
	if known := f.ids[parameter]; len(known) > 0 && !f.oneIn(12) {
		return known[f.IntN(len(known))]
	}
	return f.hostile()
}

// body makes the body of a request, and sets its type.
func (f *fuzzer) body(of *operation, headers http.Header) []byte {
	if of.spec == nil {
		headers.Set("Content-Type", f.pick("application/json", "text/plain"))
		data, err := json.Marshal(
			f.mutate(
				map[string]any{"context": map[string]any{"targetingKey": f.pick("alice@example.com", "bob"), "plan": "beta"}},
			),
		)
		if err != nil || f.oneIn(6) {
			data = f.corrupt(data)
		}
		return data
	}
	if of.spec.RequestBody == nil {
		if f.oneIn(10) {
			headers.Set("Content-Type", "application/json")
			return []byte(f.hostile())
		}
		return nil
	}
	types := slices.Collect(of.spec.RequestBody.Content.KeysFromOldest())
	media := types[f.IntN(len(types))]
	sent := media
	if f.oneIn(30) {
		sent = f.pick(
			"text/plain",
			"application/xml",
			"",
			"application/json; charset=utf-16",
			"multipart/form-data",
			"application/vnd.api+json",
			"a/b/c",
			media+"; ext=x",
		)
	}
	headers.Set("Content-Type", sent)
	body := f.fromSchema(
		f.document.at("paths", of.path, strings.ToLower(of.method), "requestBody", "content", media, "schema"),
		"",
		0,
	)
	for f.oneIn(3) {
		body = f.mutate(body)
	}
	data, err := json.Marshal(body)
	if err != nil {
		data = []byte("null")
	}
	if f.oneIn(12) {
		data = f.corrupt(data)
	}
	return data
}

// printable is a value that a header can have.
func printable(value string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, value)
}
