// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ofrep_test

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

const (
	bulk = ofrep.BulkPath
	// alice is a body.
	alice = `{"context":{"targetingKey":"alice"}}`
)

// shop is a project with an environment that serves flags.
type shop struct {
	name           string
	environment    *v1alpha1.FlagEnvironment
	server, client string
}

// newShop publishes four flags of the four types and one that is for servers only.
func newShop() *shop {
	GinkgoHelper()
	s := &shop{name: world.Project().Name}
	s.environment = builders.MakeEnvironment("production", s.name).Production().Obj()
	object := func(name string, flagType v1alpha1.FlagType, on, off string) *builders.FlagBuilder {
		return builders.MakeFlag(
			name,
			s.name,
		).Type(
			flagType,
		).Variation(
			"on",
			on,
		).Variation(
			"off",
			off,
		).DefaultVariation(
			"off",
		).Environment(
			"production",
		).Fallthrough(
			"on",
		)
	}
	world.Create(s.environment,
		builders.MakeFlag("dark-mode", s.name).Key("ui/dark-mode").Boolean().Environment("production").
			Rule(builders.MakeRule("beta").Condition("plan", v1alpha1.OperatorIn, "beta").Serve("on")).Obj(),
		object("colour", v1alpha1.FlagTypeString, `"blue"`, `"grey"`).Key("a//b/../c").Obj(),
		object("size", v1alpha1.FlagTypeNumber, `2.5`, `1`).Obj(),
		object("options", v1alpha1.FlagTypeJSON, `{"deep":[1,"x"]}`, `{}`).Obj(),
		object("secret", v1alpha1.FlagTypeString, `"s"`, `""`).Spec(func(spec *v1alpha1.FeatureFlagSpec) {
			spec.Runtime, spec.Metadata = v1alpha1.RuntimeServer, map[string]string{"team": "payments"}
		}).Obj(),
		object("shown", v1alpha1.FlagTypeString, `"s"`, `""`).Spec(func(spec *v1alpha1.FeatureFlagSpec) {
			spec.Metadata = map[string]string{"team": "payments"}
		}).Obj(),
	)
	s.server, s.client = s.keys()
	s.awaitFlags(6)
	return s
}

// keys are those of the Secret that the operator made.
func (s *shop) keys() (server, public string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(
			world.Admin.Get(context.Background(), client.ObjectKeyFromObject(s.environment), s.environment),
		).To(
			Succeed(),
		)
		g.Expect(s.environment.Status.SDKKeys).NotTo(BeEmpty())
		secret := &corev1.Secret{}
		g.Expect(
			world.Admin.Get(
				context.Background(),
				types.NamespacedName{Namespace: s.name, Name: s.environment.Status.SDKKeys[0].SecretName},
				secret,
			),
		).To(
			Succeed(),
		)
		server, public = string(secret.Data["server"]), string(secret.Data["client"])
		_, _, known := datafiles.ByKey(server)
		g.Expect(known).To(BeTrue())
	}).Should(Succeed())
	return server, public
}

// awaitFlags waits until the environment serves so many flags.
func (s *shop) awaitFlags(count int) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		served, known := datafiles.Environment(s.name, "production")
		g.Expect(known).To(BeTrue())
		g.Expect(served.Engine().Len()).To(Equal(count))
	}).Should(Succeed())
}

// switchOff publishes another revision, and waits until it is served.
func (s *shop) switchOff(name string) {
	GinkgoHelper()
	served, _ := datafiles.Environment(s.name, "production")
	before := served.Revision().Number
	flag := &v1alpha1.FeatureFlag{}
	Eventually(func() error {
		Expect(world.Admin.Get(context.Background(), types.NamespacedName{Namespace: s.name, Name: name}, flag)).To(Succeed())
		flag.Spec.Environments[0].Enabled = false
		return world.Admin.Update(context.Background(), flag)
	}).Should(Succeed())
	Eventually(func() int64 { return served.Revision().Number }).Should(BeNumerically(">", before))
}

// evaluate asks for one flag with a body.
func (s *shop) evaluate(key, body string, headers ...string) *servertest.Answer {
	GinkgoHelper()
	return world.Call(s.server, http.MethodPost, ofrep.SinglePath+key, body, headers...)
}

// answered are metadata with those of what answers.
func (s *shop) answered(metadata map[string]any) map[string]any {
	GinkgoHelper()
	served, found := datafiles.Environment(s.name, "production")
	Expect(found).To(BeTrue())
	all := map[string]any{
		"flagSetId": s.name + ".production", "version": strconv.FormatInt(served.Revision().Number, 10),
	}
	maps.Copy(all, metadata)
	return all
}

// failure is the body of an error.
func failure(key, code, details string) any {
	body := map[string]any{"errorCode": code, "errorDetails": details}
	if key != "" {
		body["key"] = key
	}
	return body
}

var _ = Describe("A single evaluation", Ordered, func() {
	var s *shop
	BeforeAll(func() { s = newShop() })

	It("answers with values of all types", func() {
		for key, want := range map[string]map[string]any{
			"ui/dark-mode":         {"key": "ui/dark-mode", "reason": "DEFAULT", "variant": "off", "value": false},
			"ui%2Fdark-mode":       {"key": "ui/dark-mode", "reason": "DEFAULT", "variant": "off", "value": false},
			"a//b/../c":            {"key": "a//b/../c", "reason": "STATIC", "variant": "on", "value": "blue"},
			"a%2F%2Fb%2F..%2Fc":    {"key": "a//b/../c", "reason": "STATIC", "variant": "on", "value": "blue"},
			"size":                 {"key": "size", "reason": "STATIC", "variant": "on", "value": 2.5},
			"%73ize?and=something": {"key": "size", "reason": "STATIC", "variant": "on", "value": 2.5},
			"options":              {"key": "options", "reason": "STATIC", "variant": "on", "value": map[string]any{"deep": []any{1.0, "x"}}},
			"secret":               {"key": "secret", "reason": "STATIC", "variant": "on", "value": "s", "metadata": map[string]any{"team": "payments"}},
		} {
			answer := s.evaluate(key, alice)
			Expect(answer.Status).To(Equal(http.StatusOK), key)
			metadata, _ := want["metadata"].(map[string]any)
			want["metadata"] = s.answered(metadata)
			Expect(answer.JSON).To(BeEquivalentTo(want), key)
			Expect(answer.Header.Get("Content-Type")).To(Equal("application/json"))
			Expect(answer.Header.Get("Access-Control-Allow-Origin")).To(Equal("*"))
			Expect(answer.Header.Get(server.RequestIDHeader)).NotTo(BeEmpty())
		}
	})

	It("evaluates the context, and counts", func() {
		answer := s.evaluate("ui/dark-mode", `{"context":{"targetingKey":"bob","plan":"beta"}}`)
		Expect(answer.JSON).To(HaveKeyWithValue("reason", "TARGETING_MATCH"))
		Expect(answer.JSON).To(HaveKeyWithValue("value", true))
		Expect(
			counted.of(s.name),
		).To(
			ContainElement(evaluation{s.name, "ui/dark-mode", map[string]any{"targetingKey": "bob", "plan": "beta"}}),
		)
		s.evaluate("made-up", alice)
		Expect(counted.of(s.name)).To(ContainElement(evaluation{s.name, "", map[string]any{"targetingKey": "alice"}}))
	})

	DescribeTable("needs no context", func(body string) {
		Expect(s.evaluate("size", body).Status).To(Equal(http.StatusOK))
	},
		Entry("that is empty", `{"context":{}}`),
		Entry("that is null", `{"context":null}`),
		Entry("at all", `{}`),
		Entry("and passes over what it does not know", `{"further":{"a":[1]},"context":{"targetingKey":"alice"}}`),
	)

	DescribeTable("of a key that no flag has", func(path, key string) {
		answer := s.evaluate(path, alice)
		Expect(answer.Status).To(Equal(http.StatusNotFound))
		Expect(answer.JSON).To(Equal(failure(key, "FLAG_NOT_FOUND", "the environment has no flag of that key")))
	},
		Entry("usual", "made-up", "made-up"),
		Entry("with spaces", "made%20up", "made up"),
		Entry("with a percent sign", "50%25%20off", "50% off"),
		Entry("with a percent sign that is no escape twice", "50%2525", "50%25"),
		Entry("with a plus", "a+b", "a+b"),
		Entry("with a slash at its end", "size/", "size/"),
		Entry("with quotes and letters", "%22%C3%BC%22", `"ü"`),
		Entry("that is not UTF-8", "%FF", "\ufffd"),
	)

	DescribeTable(
		"refuses",
		func(status int, code, details, body string, headers ...string) {
			answer := s.evaluate("size", body, headers...)
			Expect(answer.Status).To(Equal(status))
			Expect(answer.JSON).To(HaveKeyWithValue("key", "size"))
			Expect(answer.JSON).To(HaveKeyWithValue("errorCode", code))
			Expect(answer.JSON).To(HaveKeyWithValue("errorDetails", ContainSubstring(details)))
			Expect(answer.JSON).To(HaveLen(3))
			Expect(answer.Header.Get("Access-Control-Allow-Origin")).To(Equal("*"))
		},
		Entry("nothing", 400, "PARSE_ERROR", "the body is not JSON", ""),
		Entry("what is no JSON", 400, "PARSE_ERROR", "the body is not JSON", "{context}"),
		Entry("what is cut off", 400, "PARSE_ERROR", "the body is not JSON", `{"context":{`),
		Entry("a list", 400, "PARSE_ERROR", "it is not an object", `[]`),
		Entry("two bodies", 400, "PARSE_ERROR", "something comes after it", `{}{}`),
		Entry("what is not UTF-8", 400, "PARSE_ERROR", "UTF-8", "{\"context\":{\"a\":\"\xff\"}}"),
		Entry("a context that is a string", 400, "INVALID_CONTEXT", "not an object", `{"context":"alice"}`),
		Entry("a targeting key that is a number", 400, "INVALID_CONTEXT", "not a string", `{"context":{"targetingKey":1}}`),
		Entry("a huge number", 400, "INVALID_CONTEXT", "float64", `{"context":{"n":1e400}}`),
		Entry(
			"deep nesting",
			400,
			"INVALID_CONTEXT",
			"32 levels",
			`{"context":{"a":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+`}}`,
		),
		Entry("endless nesting", 400, "PARSE_ERROR", "the body is not JSON", `{"a":`+strings.Repeat("[", 1<<19)),
		Entry("a megabyte", 400, "INVALID_CONTEXT", "1 MiB", `{"context":{"a":"`+strings.Repeat("a", 1<<20)+`"}}`),
		Entry("another content type", 415, "PARSE_ERROR", "Content-Type", alice, "Content-Type", "text/plain"),
		Entry("a content type that is none", 415, "PARSE_ERROR", "Content-Type", alice, "Content-Type", ";"),
	)

	It("takes JSON with a charset", func() {
		Expect(s.evaluate("size", alice, "Content-Type", "application/json; charset=utf-8").Status).To(Equal(http.StatusOK))
	})

	It("refuses a megabyte that does not say how long it is", func() {
		body := struct{ *bytes.Reader }{bytes.NewReader(bytes.Repeat([]byte(" "), 2<<20))}
		request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, ofrep.SinglePath+"size", body)
		request.Header.Set("X-API-Key", s.server)
		request.Header.Set("Content-Type", "application/json")
		Expect(request.ContentLength).To(Equal(int64(-1)))
		recorder := httptest.NewRecorder()
		world.Server.ServeHTTP(recorder, request)
		Expect(recorder.Code).To(Equal(http.StatusBadRequest))
		Expect(recorder.Body.String()).To(ContainSubstring("1 MiB"))
	})

	It("is asked for by POST, of a flag", func() {
		answer := world.Call(s.server, http.MethodGet, ofrep.SinglePath+"size", nil)
		Expect(answer.Status).To(Equal(http.StatusMethodNotAllowed))
		Expect(answer.Header.Get("Allow")).To(Equal("POST, OPTIONS"))
		Expect(answer.JSON).To(HaveKeyWithValue("errorCode", "GENERAL"))
		Expect(world.Call(s.server, http.MethodDelete, bulk, nil).Status).To(Equal(http.StatusMethodNotAllowed))
		Expect(s.evaluate("", alice).Status).To(Equal(http.StatusBadRequest))
	})

	It("lets pages of any origin ask", func() {
		for _, path := range []string{bulk, ofrep.SinglePath + "a/b", ofrep.StreamPath} {
			answer := world.Call(
				"",
				http.MethodOptions,
				path,
				nil,
				"Origin",
				"https://shop.example",
				"Access-Control-Request-Method",
				"POST",
				"Access-Control-Request-Headers",
				"content-type,authorization,x-api-key,if-none-match",
			)
			Expect(answer.Status).To(Equal(http.StatusNoContent))
			Expect(answer.Header.Get("Access-Control-Allow-Origin")).To(Equal("*"))
			Expect(answer.Header.Get("Access-Control-Allow-Methods")).To(ContainSubstring("POST"))
			allowed := strings.ToLower(answer.Header.Get("Access-Control-Allow-Headers"))
			for _, header := range []string{"content-type", "authorization", "x-api-key", "if-none-match", "traceparent", "tracestate", "baggage"} {
				Expect(allowed).To(ContainSubstring(header))
			}
		}
		exposed := s.evaluate("size", alice).Header.Get("Access-Control-Expose-Headers")
		Expect(exposed).To(And(ContainSubstring("ETag"), ContainSubstring("Retry-After")))
	})
})

var _ = Describe("Whoever evaluates", Ordered, func() {
	var s *shop
	BeforeAll(func() { s = newShop() })

	// as asks for one flag with what a request shows.
	as := func(key string, headers ...string) *servertest.Answer {
		GinkgoHelper()
		return world.Call("", http.MethodPost, ofrep.SinglePath+key, alice, headers...)
	}

	It("shows an SDK key in either header", func() {
		Expect(as("size", "X-API-Key", s.server).Status).To(Equal(http.StatusOK))
		Expect(as("size", "Authorization", "Bearer "+s.server).Status).To(Equal(http.StatusOK))
		Expect(as("size", "Authorization", "bearer "+s.client).Status).To(Equal(http.StatusOK))
	})

	It("is told 401 as JSON without a valid credential", func() {
		for _, headers := range [][]string{
			nil, {"X-API-Key", "sdk_" + strings.Repeat("0", 64)}, {"X-API-Key", "cli_x"}, {"X-API-Key", "nonsense"}, {"Authorization", "Bearer nonsense"}, {"Authorization", "Basic YTpi"},
		} {
			answer := as("size", headers...)
			Expect(answer.Status).To(Equal(http.StatusUnauthorized), strings.Join(headers, ": "))
			Expect(answer.JSON).To(And(HaveKeyWithValue("errorCode", "GENERAL"), HaveKey("errorDetails")))
			Expect(answer.Header.Get("Access-Control-Allow-Origin")).To(Equal("*"))
		}
	})

	It("sees with a client key what is for clients", func() {
		Expect(as("secret", "X-API-Key", s.client).Status).To(Equal(http.StatusNotFound))
		Expect(
			as("shown", "X-API-Key", s.client).JSON,
		).To(
			Equal(map[string]any{
				"key": "shown", "reason": "STATIC", "variant": "on", "value": "s", "metadata": s.answered(nil),
			}),
		)
		all := world.Call(s.client, http.MethodPost, bulk, alice)
		Expect(all.JSON).To(HaveKeyWithValue("flags", HaveLen(5)))
		Expect(string(all.Body)).NotTo(Or(ContainSubstring("secret"), ContainSubstring("payments")))
	})

	It("may be somebody of Kubernetes who can read the environment", func() {
		token := world.Token(s.name, "reader", servertest.Read...)
		Expect(
			as("size", "Authorization", "Bearer "+token).Status,
		).To(
			Equal(http.StatusOK),
			"with the only production environment of the account's namespace",
		)
		Expect(as("size", "X-API-Key", token).Status).To(Equal(http.StatusOK))
		Expect(as("secret", "X-API-Key", token).JSON).To(
			HaveKeyWithValue("metadata", s.answered(map[string]any{"team": "payments"})),
		)
		world.Create(builders.MakeEnvironment("staging", s.name).Obj())
		Eventually(func() *servertest.Answer {
			return as("ui/dark-mode", "X-API-Key", token, server.ProjectHeader, s.name, server.EnvironmentHeader, "staging")
		}).Should(HaveField("JSON", HaveKeyWithValue("reason", "DISABLED")))
		missing := as("size", "X-API-Key", token, server.EnvironmentHeader, "made-up")
		Expect(missing.Status).To(Equal(http.StatusNotFound))
		Expect(
			missing.JSON,
		).To(
			Equal(failure("size", "GENERAL", `there is no environment "made-up"; there are "production", "staging"`)),
		)
	})

	It("is told 403 as JSON of projects of others", func() {
		other := world.Token(world.Project().Name, "reader", servertest.Read...)
		for _, environment := range []string{"production", "made-up"} {
			answer := as("size", "X-API-Key", other, server.ProjectHeader, s.name, server.EnvironmentHeader, environment)
			Expect(answer.Status).To(Equal(http.StatusForbidden))
			Expect(answer.JSON).To(And(HaveKeyWithValue("key", "size"), HaveKeyWithValue("errorCode", "GENERAL")))
		}
	})

	It("is asked to choose where there is no default", func() {
		project := world.Project().Name
		world.Create(
			builders.MakeEnvironment("one", project).Production().Obj(),
			builders.MakeEnvironment("two", project).Production().Obj(),
		)
		answer := as("size", "X-API-Key", world.Token(project, "reader", servertest.Read...))
		Expect(answer.Status).To(Equal(http.StatusBadRequest))
		Expect(answer.JSON).To(HaveKeyWithValue("errorDetails", ContainSubstring("2 production environments")))
	})

	It("is limited by address with a client key or a wrong one", func() {
		server := newServer(
			server.Options{RequestsPerSecond: 1, Clock: clocktesting.NewFakePassiveClock(time.Now())},
			clock.RealClock{},
		)
		ask := func(key string) *httptest.ResponseRecorder {
			return to(server, http.MethodPost, ofrep.SinglePath+"size", alice, "X-API-Key", key)
		}
		Expect(ask(s.client).Code).To(Equal(http.StatusOK))
		Expect(ask("sdk_wrong").Code).To(Equal(http.StatusUnauthorized))
		refused := ask(s.client)
		Expect(refused.Code).To(Equal(http.StatusTooManyRequests))
		Expect(refused.Header().Get("Retry-After")).To(Equal("1"))
		Expect(refused.Body.String()).To(ContainSubstring(`"errorDetails":"too many requests"`))
		Expect(ask("sdk_wrong").Code).To(Equal(http.StatusTooManyRequests))
		for range 5 {
			Expect(ask(s.server).Code).To(Equal(http.StatusOK), "servers are not limited")
		}
		token := world.Token(s.name, "proxied", servertest.Read...)
		Expect(to(server, http.MethodPost, bulk, alice, "Authorization", "Bearer "+token).Code).To(Equal(http.StatusOK),
			"pages behind the same proxy keep out nobody of Kubernetes")
	})

	It("is limited by address when opening streams, too", func() {
		server := newServer(
			server.Options{RequestsPerSecond: 1, Clock: clocktesting.NewFakePassiveClock(time.Now())},
			clock.RealClock{},
		)
		stream, err := url.Parse(streamOf(to(server, http.MethodPost, bulk, alice, "X-API-Key", s.client).Body.Bytes()))
		Expect(err).NotTo(HaveOccurred())
		Expect(to(server, http.MethodHead, stream.RequestURI(), "").Code).To(Equal(http.StatusOK))
		Expect(to(server, http.MethodHead, stream.RequestURI(), "").Code).To(Equal(http.StatusTooManyRequests))
		Expect(to(server, http.MethodHead, ofrep.StreamPath+"?token=wrong", "").Code).To(Equal(http.StatusTooManyRequests))
	})

	It("learns for how long it is limited", func() {
		passive := clocktesting.NewFakePassiveClock(time.Now())
		server := newServer(server.Options{RequestsPerSecond: 0.1, Clock: passive}, clock.RealClock{})
		ask := func() *httptest.ResponseRecorder {
			return to(server, http.MethodPost, bulk, alice, "X-API-Key", s.client)
		}
		Expect(ask().Code).To(Equal(http.StatusOK))
		passive.SetTime(passive.Now().Add(time.Second))
		Expect(ask().Header().Get("Retry-After")).To(Equal("9"))
		passive.SetTime(passive.Now().Add(9 * time.Second))
		Expect(ask().Code).To(Equal(http.StatusOK))
	})

	It("is not told that a key is wrong before all keys are known", func() {
		srv, err := server.New(
			world.Manager,
			server.Options{SessionKey: bytes.Repeat([]byte("k"), 32), Clock: clock.RealClock{}},
		)
		Expect(err).NotTo(HaveOccurred())
		ofrep.Mount(srv, store.NewStore(), counted, clock.RealClock{})
		recorder := to(srv, http.MethodPost, bulk, alice, "X-API-Key", s.server)
		Expect(recorder.Code).To(Equal(http.StatusServiceUnavailable))
		Expect(recorder.Header().Get("Retry-After")).To(Equal("1"))
	})
})

// to asks a server that does not listen.
func to(handler http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	GinkgoHelper()
	request := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}

// newServer is another server of the same world.
func newServer(options server.Options, passive clock.WithTicker) *server.Server {
	GinkgoHelper()
	options.SessionKey, options.Address = bytes.Repeat([]byte("k"), 32), "127.0.0.1:0"
	srv, err := server.New(world.Manager, options)
	Expect(err).NotTo(HaveOccurred())
	ofrep.Mount(srv, datafiles, counted, passive)
	return srv
}

var _ = Describe("The document", func() {
	It("has examples that work", func() {
		token := world.Shop()
		world.Create(builders.MakeFlag("new-checkout", "shop").Key("new_checkout").Boolean().Environment("production").
			Rule(builders.MakeRule("beta").Condition("plan", v1alpha1.OperatorIn, "beta").Serve("on")).Obj())
		s := &shop{name: "shop"}
		s.awaitFlags(1)
		printed := world.RunExamples("docs/ofrep.md", token)
		Expect(printed).To(HaveLen(2))
		Expect(printed[0]).To(MatchRegexp(`^{"key":"new_checkout","reason":"TARGETING_MATCH","variant":"on","value":true,` +
			`"metadata":{"flagSetId":"shop.production","version":"[0-9]+"}}$`))
		Expect(printed[1]).To(And(ContainSubstring("Etag: "), ContainSubstring(`{"flags":[{"key":"new_checkout"`)))
		printed = world.RunExamples("docs/flagd.md", token)
		Expect(printed).To(HaveLen(2))
		Expect(printed[0]).To(ContainSubstring(`\"new_checkout\":{`))
		Expect(printed[1]).To(ContainSubstring(`"variant":"on"`))
	})
})
