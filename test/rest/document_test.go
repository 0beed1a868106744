// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/errors"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
)

// document is the OpenAPI document of the server.
type document struct {
	model *v3.Document
	// mu guards the validator, which builds schemas when it first needs them.
	mu        sync.Mutex
	validator validator.Validator
	// raw is the document as JSON, in which the fuzzer looks for the schemas of bodies.
	raw map[string]any
}

// operation is one of the document.
type operation struct {
	method, path string
	item         *v3.PathItem
	spec         *v3.Operation
}

// parameters are those of the path, the query and the header.
func (o *operation) parameters() []*v3.Parameter {
	if o.spec == nil {
		return nil
	}
	return o.spec.Parameters
}

func (o *operation) String() string { return o.method + " " + o.path }

// readDocument reads the document from the server and fails the test where it cannot be understood.
func readDocument() *document {
	GinkgoHelper()
	answer := world.Call("", http.MethodGet, "/openapi.json", nil)
	Expect(answer.Status).To(Equal(http.StatusOK))
	parsed, err := libopenapi.NewDocument(answer.Body)
	Expect(err).NotTo(HaveOccurred())
	model, err := parsed.BuildV3Model()
	Expect(err).NotTo(HaveOccurred())
	checks, failed := validator.NewValidator(parsed)
	Expect(failed).To(BeEmpty())
	d := &document{model: &model.Model, validator: checks}
	Expect(json.Unmarshal(answer.Body, &d.raw)).To(Succeed())
	return d
}

// at is the object at a place of the document, and nil where there is none.
func (d *document) at(place ...string) map[string]any {
	found := d.raw
	for _, step := range place {
		found, _ = found[step].(map[string]any)
	}
	return found
}

// parameter is the schema of a parameter of an operation.
func (d *document) parameter(of *operation, name string) map[string]any {
	all, _ := d.at("paths", of.path, strings.ToLower(of.method))["parameters"].([]any)
	for _, each := range all {
		if parameter, ok := each.(map[string]any); ok && parameter["name"] == name {
			schema, _ := parameter["schema"].(map[string]any)
			return schema
		}
	}
	return nil
}

// operations are all operations of the document, in order.
func (d *document) operations() []*operation {
	var all []*operation
	for path, item := range d.model.Paths.PathItems.FromOldest() {
		for method, spec := range item.GetOperations().FromOldest() {
			all = append(all, &operation{strings.ToUpper(method), path, item, spec})
		}
	}
	slices.SortFunc(all, func(a, b *operation) int { return cmp.Compare(a.String(), b.String()) })
	return all
}

// find is the operation of a method and path, as the server routes them: literal segments before parameters.
func (d *document) find(method, path string) *operation {
	GinkgoHelper()
	best := (*operation)(nil)
	for _, candidate := range d.operations() {
		if candidate.method == method && candidate.fits(path) &&
			(best == nil || strings.Count(candidate.path, "{") < strings.Count(best.path, "{")) {
			best = candidate
		}
	}
	Expect(best).NotTo(BeNil(), method+" "+path+" is not in the document")
	return best
}

func (o *operation) fits(path string) bool {
	wanted, given := strings.Split(o.path, "/"), strings.Split(strings.TrimSuffix(path, "/"), "/")
	return slices.EqualFunc(
		wanted,
		given,
		func(w, g string) bool { return w == g || strings.HasPrefix(w, "{") && g != "" },
	)
}

// exchange is a request with its answer.
type exchange struct {
	request *http.Request
	sent    []byte
	answer  *http.Response
	body    []byte
}

func (e *exchange) String() string {
	return fmt.Sprintf("%s %s\n%s\n→ %d %s", e.request.Method, e.request.URL, e.sent, e.answer.StatusCode, e.body)
}

// send makes a request, and keeps all that is needed to judge it.
func send(request *http.Request, body []byte) (*exchange, error) {
	request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	received, err := io.ReadAll(answer.Body)
	return &exchange{request: request, sent: body, answer: answer, body: received}, err
}

// judgeAnswer is what is wrong with an answer by the document, and nothing where it is as documented.
func (d *document) judgeAnswer(of *operation, e *exchange) string {
	if e.answer.Request.Method == http.MethodHead {
		return ""
	}
	documented := of.spec.Responses.Codes.GetOrZero(strconv.Itoa(e.answer.StatusCode))
	if documented == nil {
		return fmt.Sprintf("the document has no answer of status %d for %s", e.answer.StatusCode, of)
	}
	if len(e.body) == 0 {
		if e.answer.StatusCode == http.StatusOK {
			return "there is no body"
		}
		return ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e.answer.Body = io.NopCloser(bytes.NewReader(e.body))
	_, mistakes := d.validator.GetResponseBodyValidator().ValidateResponseBodyWithPathItem(
		e.request,
		e.answer,
		of.item,
		of.path,
	)
	return describe(mistakes)
}

// judgeRequest is what is wrong with a request by the document.
func (d *document) judgeRequest(of *operation, e *exchange) string {
	e.request.Body = io.NopCloser(bytes.NewReader(e.sent))
	_, mistakes := d.validator.ValidateHttpRequestSyncWithPathItem(e.request, of.item, of.path)
	return describe(mistakes)
}

func describe(mistakes []*errors.ValidationError) string {
	var texts []string
	for _, mistake := range mistakes {
		texts = append(texts, mistake.Message+": "+mistake.Reason)
		for _, detail := range mistake.SchemaValidationErrors {
			texts = append(texts, "  "+detail.Location+": "+detail.Reason)
		}
	}
	return strings.Join(texts, "\n")
}

// step is one request of a walk through a view, which the references show.
type step struct {
	method, path string
	body         any
	status       int
	// keep remembers a field of the answer, by a path such as data.id, for {braces} in later paths and bodies.
	keep map[string]string
}

// walk makes the requests of a view one after the other, and judges each of them, and each answer, by the document.
func walk(d *document, token, contentType string, values map[string]string, steps ...step) {
	GinkgoHelper()
	for _, s := range steps {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(values)) {
			pairs = append(pairs, "{"+name+"}", values[name])
		}
		fill := strings.NewReplacer(pairs...)
		var body []byte
		if s.body != nil {
			text, ok := s.body.(string)
			if !ok {
				data, err := json.Marshal(s.body)
				Expect(err).NotTo(HaveOccurred())
				text = string(data)
			}
			body = []byte(fill.Replace(text))
		}
		request, err := http.NewRequestWithContext(context.Background(), s.method, world.URL+fill.Replace(s.path), nil)
		Expect(err).NotTo(HaveOccurred())
		request.Header.Set("Authorization", "Bearer "+token)
		if body != nil {
			request.Header.Set("Content-Type", contentType)
		}
		done, err := send(request, body)
		Expect(err).NotTo(HaveOccurred())
		Expect(done.answer.StatusCode).To(Equal(s.status), done.String())
		of := d.find(s.method, request.URL.Path)
		Expect(d.judgeRequest(of, done)).To(BeEmpty(), done.String())
		Expect(d.judgeAnswer(of, done)).To(BeEmpty(), done.String())
		for name, path := range s.keep {
			var answer any
			decoder := json.NewDecoder(bytes.NewReader(done.body))
			decoder.UseNumber()
			Expect(decoder.Decode(&answer)).To(Succeed())
			for field := range strings.SplitSeq(path, ".") {
				if list, ok := answer.([]any); ok {
					Expect(list).NotTo(BeEmpty(), done.String())
					answer = list[0]
				}
				answer = answer.(map[string]any)[field]
			}
			values[name] = fmt.Sprint(answer)
		}
	}
}

var _ = Describe("The OpenAPI document", func() {
	It("is valid", func() {
		answer := world.Call("", http.MethodGet, "/openapi.json", nil)
		parsed, err := libopenapi.NewDocument(answer.Body)
		Expect(err).NotTo(HaveOccurred())
		Expect(parsed.GetVersion()).To(HavePrefix("3.1"))
		checks, failed := validator.NewValidator(parsed)
		Expect(failed).To(BeEmpty())
		valid, mistakes := checks.ValidateDocument()
		Expect(describe(mistakes)).To(BeEmpty())
		Expect(valid).To(BeTrue())
	})

	It("names each operation once and says what it is", func() {
		names := map[string]string{}
		for _, of := range readDocument().operations() {
			Expect(names).NotTo(HaveKey(of.spec.OperationId), of.String())
			names[of.spec.OperationId] = of.String()
			Expect(of.spec.Summary).NotTo(BeEmpty(), of.String())
			Expect(of.spec.Tags).NotTo(BeEmpty(), of.String())
			for _, parameter := range of.spec.Parameters {
				if parameter.In == "path" {
					Expect(of.path).To(ContainSubstring("{"+parameter.Name+"}"), of.String())
				}
			}
		}
		Expect(len(names)).To(BeNumerically(">", 30))
	})

	It("speaks of nothing that is not there", func() {
		s := newShop()
		token := newPerson(s.namespace.Name, "boss", "admin", s.namespace.Name).token
		for _, of := range readDocument().operations() {
			path := strings.NewReplacer(
				"{projectId}",
				s.namespace.Name,
				"{project_id}",
				s.namespace.Name,
				"{orgId}",
				"default",
			).Replace(
				of.path,
			)
			for strings.Contains(path, "{") {
				begin, end := strings.Index(path, "{"), strings.Index(path, "}")
				path = path[:begin] + "none" + path[end+1:]
			}
			answer := world.Call(token, of.method, path, nil)
			if answer.Status == http.StatusMethodNotAllowed || strings.Contains(string(answer.Body), "there is no such path") {
				// Of the two views that share paths it is the other one.
				answer = world.Call(token, of.method, path+"?environment_id="+string(s.staging.UID), nil)
			}
			Expect(answer.Status).NotTo(Equal(http.StatusMethodNotAllowed), of.String())
			Expect(string(answer.Body)).NotTo(ContainSubstring("there is no such path"), of.String())
		}
	})
})
