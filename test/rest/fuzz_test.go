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

// fromSchema makes a value that a schema allows, nearly always.
func (f *fuzzer) fromSchema(schema map[string]any, name string, depth int) any {
	if reference, ok := schema["$ref"].(string); ok {
		schema = f.document.at(strings.Split(strings.TrimPrefix(reference, "#/"), "/")...)
	}
	if depth > 8 {
		return nil
	}
	if values, ok := schema["enum"].([]any); ok && len(values) > 0 {
		return values[f.IntN(len(values))]
	}
	kind, _ := schema["type"].(string)
	if kinds, ok := schema["type"].([]any); ok && len(kinds) > 0 {
		kind, _ = kinds[f.IntN(len(kinds))].(string)
	}
	switch kind {
	case "null":
		return nil
	case "boolean":
		return f.oneIn(2)
	case "integer":
		return f.IntN(6)
	case "number":
		return []float64{0, 0.25, 0.5, 1, 25, 50, 100}[f.IntN(7)]
	case "string":
		return f.text(name, schema)
	case "array":
		items, _ := schema["items"].(map[string]any)
		list := []any{}
		for range f.IntN(4) {
			list = append(list, f.fromSchema(items, name, depth+1))
		}
		return list
	case "object":
		return f.object(schema, depth)
	default:
		return f.anything()
	}
}

func (f *fuzzer) object(schema map[string]any, depth int) map[string]any {
	made := map[string]any{}
	required, _ := schema["required"].([]any)
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if property, ok := properties[name].(map[string]any); ok && (slices.Contains(required, any(name)) || f.oneIn(3)) {
			made[name] = f.fromSchema(property, name, depth+1)
		}
	}
	if open, ok := schema["additionalProperties"].(map[string]any); ok {
		for range f.IntN(3) {
			made[f.pick("plan", "country", "on", "x")] = f.fromSchema(open, "", depth+1)
		}
	}
	return made
}

// text is a string, which means something where the name tells what it should be.
func (f *fuzzer) text(name string, schema map[string]any) string {
	if schema["format"] == "date-time" {
		return f.pick(
			"2035-03-15T09:00:00Z",
			"2036-01-01T00:00:00+14:00",
			"1969-12-31T23:59:59Z",
			"9999-12-31T23:59:59Z",
			"2027-02-30T00:00:00Z",
		)
	}
	if known := f.ids[name]; len(known) > 0 {
		return f.value(name)
	}
	if f.oneIn(15) {
		return f.hostile()
	}
	lower := strings.ToLower(name)
	switch {
	case strings.Contains(lower, "variation"):
		return f.pick("on", "off", "on", "off", "maybe")
	case strings.Contains(lower, "audience"):
		return f.pick("beta-testers", "nobody")
	case lower == "value":
		return f.pick("true", "false", `"blue"`, "1", "{}", "[1]", "null", "blue")
	case strings.Contains(lower, "operator"):
		return f.pick("In", "is", "exact", "one_of", "Exists", "gt", "icontains", "matches", "SemVerGreaterThan", "between")
	case strings.Contains(lower, "timezone"):
		return f.pick("America/New_York", "UTC", "Mars/Phobos", "../../etc/passwd")
	case lower == "key":
		return f.pick("on", "off", "plan", fmt.Sprintf("key-%d", f.IntN(1000)))
	}
	return f.pick(
		"on",
		"off",
		"true",
		"beta",
		"plan",
		"alice@example.com",
		"purchase",
		"Some name",
		fmt.Sprintf("name-%d", f.IntN(1000)),
	)
}

// mutate changes one place in a body.
func (f *fuzzer) mutate(body any) any {
	switch typed := body.(type) {
	case map[string]any:
		if len(typed) > 0 && !f.oneIn(5) {
			names := slices.Sorted(maps.Keys(typed))
			name := names[f.IntN(len(names))]
			if f.oneIn(4) {
				delete(typed, name)
			} else {
				typed[name] = f.mutate(typed[name])
			}
			return typed
		}
		typed[f.pick("unexpected", "__proto__", "", "id", f.hostile())] = f.anything()
		return typed
	case []any:
		if len(typed) > 0 && f.oneIn(2) {
			place := f.IntN(len(typed))
			typed[place] = f.mutate(typed[place])
			return typed
		}
		if len(typed) > 0 && f.oneIn(3) {
			return append(typed, typed...)
		}
	}
	return f.anything()
}

// anything is a value of any type.
func (f *fuzzer) anything() any {
	switch f.IntN(8) {
	case 0:
		return nil
	case 1:
		return f.oneIn(2)
	case 2:
		return []any{-1, 0, 1e18, -1e308, 0.1, 1e-320, 9007199254740993, 2147483648}[f.IntN(8)]
	case 3:
		return []any{f.hostile(), map[string]any{}}
	case 4:
		return map[string]any{f.hostile(): f.hostile(), "key": "on", "value": []any{}}
	case 5:
		return []any{}
	default:
		return f.hostile()
	}
}

// hostile is a string that might break something.
func (f *fuzzer) hostile() string {
	if f.oneIn(40) {
		return strings.Repeat(f.pick("a", "é", "/", "\x00", "🏴"), 1<<f.IntN(13))
	}
	return f.pick(
		"",
		" ",
		"\x00",
		"a\x00b",
		"..",
		".",
		"../../../etc/passwd",
		"/",
		"//",
		"%",
		"%00",
		"%2e%2e%2f",
		"é",
		"🏴󠁧󠁢󠁥󠁮󠁧󠁿",
		"\u202e",
		"\ufeff",
		"\xff\xfe",
		"\xed\xa0\x80",
		"NaN",
		"1e999",
		"-1",
		"0",
		"9223372036854775808",
		"true",
		"null",
		"undefined",
		"[]",
		"{}",
		"' OR 1=1 --",
		"<script>",
		"${jndi:ldap://x}",
		"{{7*7}}",
		"a\nb",
		"\t",
		"(a+)+$",
		"[",
		"(?P<",
		"\\",
		"2027-13-45T99:99:99Z",
		"00000000-0000-0000-0000-000000000000",
		"default.production",
		".",
		"a.b.c",
		"*",
		"@current",
		strings.Repeat("9", 400),
		"-",
		"system:masters",
		"1.2.3-beta+x",
		"10.0.0.0/8",
		"kube-system",
	)
}

// corrupt breaks the text of a body.
func (f *fuzzer) corrupt(data []byte) []byte {
	switch f.IntN(9) {
	case 0:
		return data[:f.IntN(len(data)+1)]
	case 1:
		return slices.Insert(slices.Clone(data), f.IntN(len(data)+1), 0)
	case 2:
		return slices.Insert(slices.Clone(data), f.IntN(len(data)+1), 0xff)
	case 3:
		return bytes.Repeat([]byte("["), 200_000)
	case 4:
		return []byte(strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000))
	case 5:
		return []byte(`"` + strings.Repeat("x", 2<<20) + `"`)
	case 6:
		return append(slices.Clone(data), data...)
	case 7:
		return []byte(strings.NewReplacer("0", "1e999", "1", "-0.0").Replace(string(data)))
	default:
		return []byte(strings.ReplaceAll(string(data), `":"`, `":"\ud800`))
	}
}

func (f *fuzzer) oneIn(n int) bool { return f.IntN(n) == 0 }

func (f *fuzzer) pick(from ...string) string { return from[f.IntN(len(from))] }

// printable is a value that a header can have.
func printable(value string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, value)
}
