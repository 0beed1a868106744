// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

func TestREST(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "REST")
}

var world *servertest.World

var _ = BeforeSuite(func() {
	world = servertest.Start(server.Options{}, mountExample)
})

type failure struct {
	Error  string              `json:"error"`
	Fields []server.FieldError `json:"fields,omitempty"`
}

type toggleInput struct {
	Project     string `path:"project"`
	Flag        string `path:"flag"`
	Environment string `path:"environment"`
	IfMatch     string `header:"If-Match"`
	Body        struct {
		Enabled bool `json:"enabled"`
	}
}

type toggleOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Enabled bool `json:"enabled"`
	}
}

// mountExample adds a view with one operation, on which the tests look at what all views have in common.
func mountExample(_ ctrl.Manager, srv *server.Server) error {
	view := server.NewView(srv, "example", "An example.", "application/json", func(e *server.Error) failure {
		return failure{Error: e.Message, Fields: e.Fields}
	})
	server.Register(view, huma.Operation{
		OperationID: "toggle",
		Method:      http.MethodPut,
		Path:        "/example/{project}/flags/{flag}/{environment}",
		Summary:     "Toggle",
	}, func(ctx context.Context, input *toggleInput) (*toggleOutput, error) {
		project, err := srv.Cluster.Project(ctx, input.Project)
		if err != nil {
			return nil, err
		}
		flag, err := srv.Cluster.Flag(ctx, project, input.Flag)
		if err != nil {
			return nil, err
		}
		flag, err = server.Toggle(ctx, srv.Cluster, flag, server.Switch{
			Environment: input.Environment, Enabled: input.Body.Enabled,
			Rename: func(path string) string { return path }, IfMatch: input.IfMatch,
		})
		if err != nil {
			return nil, err
		}
		output := &toggleOutput{ETag: server.ETag(flag)}
		output.Body.Enabled = flag.EnabledIn(input.Environment)
		return output, nil
	})
	view.Serve("/example/")
	srv.Mount(view)
	return nil
}

var _ = Describe("What all views have in common", func() {
	It("changes a flag as its caller, by name or UID, and only where the caller may", func() {
		project := world.Project()
		world.Create(builders.MakeEnvironment("staging", project.Name).Obj())
		flag := builders.MakeFlag("checkout", project.Name).Boolean().Obj()
		world.Create(flag)
		editor, viewer, stranger := world.Editor(
			project.Name,
		), world.Token(
			project.Name,
			"viewer",
			servertest.Read...), world.Token(
			project.Name,
			"stranger",
		)

		path := "/example/" + project.Name + "/flags/checkout/staging"
		on := `{"enabled": true}`
		Expect(world.Call("", http.MethodPut, path, on).Status).To(Equal(http.StatusUnauthorized))
		Expect(world.Call("nonsense", http.MethodPut, path, on).Status).To(Equal(http.StatusUnauthorized))
		Expect(world.Call(stranger, http.MethodPut, path, on).Status).To(Equal(http.StatusForbidden))
		Expect(
			world.Call(stranger, http.MethodPut, "/example/nowhere/flags/checkout/staging", on).Status,
		).To(
			Equal(http.StatusForbidden),
		)
		Expect(world.Call(viewer, http.MethodPut, path, on).Status).To(Equal(http.StatusForbidden))
		Expect(
			world.Call(editor, http.MethodPut, "/example/"+project.Name+"/flags/nothing/staging", on).Status,
		).To(
			Equal(http.StatusNotFound),
		)

		answer := world.Call(
			editor,
			http.MethodPut,
			"/example/"+string(project.UID)+"/flags/"+string(flag.UID)+"/staging",
			on,
		)
		Expect(answer.Status).To(Equal(http.StatusOK), string(answer.Body))
		Expect(answer.JSON).To(HaveKeyWithValue("enabled", true))
		Expect(
			world.Call(editor, http.MethodPut, path, `{"enabled": false}`, "If-Match", `"older"`).Status,
		).To(
			Equal(http.StatusPreconditionFailed),
		)
		etag := answer.Header.Get("ETag")
		Expect(etag).To(HavePrefix(`W/"`), "the bytes differ with the time, and caches take a strong ETag for the bytes")
		for _, tag := range []string{etag, strings.TrimPrefix(etag, "W/"), `"older", ` + etag} {
			answer = world.Call(editor, http.MethodPut, path, on, "If-Match", tag)
			Expect(answer.Status).To(Equal(http.StatusOK), "%s: %s", tag, answer.Body)
		}
	})

	It("refuses what is malformed, in the envelope of the view", func() {
		project := world.Project()
		editor := world.Editor(project.Name)
		path := "/example/" + project.Name + "/flags/checkout/staging"
		for body, status := range map[string]int{
			`{"enabled": `:                         http.StatusBadRequest,
			`{"enabled": "yes"}`:                   http.StatusUnprocessableEntity,
			`{"enabled": true, "unexpected": "x"}`: http.StatusUnprocessableEntity,
			`{}`:                                   http.StatusUnprocessableEntity,
			`{"enabled": true, "enabled": false}`:  http.StatusUnprocessableEntity,
		} {
			answer := world.Call(editor, http.MethodPut, path, body)
			Expect(answer.Status).To(Equal(status), body+": "+string(answer.Body))
			Expect(answer.JSON).To(HaveKey("error"))
		}
		Expect(world.Call(editor, http.MethodPost, path, nil).Status).To(Equal(http.StatusMethodNotAllowed))
		Expect(world.Call(editor, http.MethodGet, "/example/else", nil).Status).To(Equal(http.StatusNotFound))
	})

	It("documents itself without anything from elsewhere", func() {
		document := world.Call("", http.MethodGet, "/openapi.json", nil)
		Expect(document.JSON).To(HaveKeyWithValue("paths", HaveKey("/example/{project}/flags/{flag}/{environment}")))
		own := world.Call("", http.MethodGet, "/openapi/example.json", nil)
		Expect(own.Status).To(Equal(http.StatusOK))
		Expect(own.JSON).To(And(
			HaveKeyWithValue("servers", ConsistOf(HaveKeyWithValue("url", "/"))),
			HaveKeyWithValue("paths", And(
				HaveKey("/example/{project}/flags/{flag}/{environment}"), Not(HaveKey("/api/session")),
			)),
		))
		Expect(world.Call("", http.MethodGet, "/openapi/nothing.json", nil).Status).To(Equal(http.StatusNotFound))
		page := world.Call("", http.MethodGet, "/docs/", nil)
		Expect(page.Status).To(Equal(http.StatusOK))
		Expect(string(page.Body)).To(ContainSubstring("/openapi.json"))
		Expect(string(page.Body)).NotTo(MatchRegexp(`(src|href)="https?://`))
		Expect(world.Call("", http.MethodOptions, "/api/session", nil).Header.Get("Allow")).To(Equal("POST, DELETE, OPTIONS"))
	})

	It("gives a browser a session for a token, with which a write needs the CSRF token", func() {
		project := world.Project()
		world.Create(
			builders.MakeEnvironment("staging", project.Name).Obj(),
			builders.MakeFlag("checkout", project.Name).Boolean().Obj(),
		)
		Expect(world.Call("nonsense", http.MethodPost, "/api/session", nil).Status).To(Equal(http.StatusUnauthorized))
		Expect(
			world.Call("", http.MethodPost, "/api/session", nil, "Authorization", "Basic YTpi").Status,
		).To(
			Equal(http.StatusUnauthorized),
		)
		begun := world.Call(world.Editor(project.Name), http.MethodPost, "/api/session", nil)
		Expect(begun.Status).To(Equal(http.StatusCreated))
		Expect(
			begun.Header.Get("Set-Cookie"),
		).To(
			And(ContainSubstring("HttpOnly"), ContainSubstring("Secure"), ContainSubstring("SameSite=Strict")),
		)
		cookie, _, _ := strings.Cut(begun.Header.Get("Set-Cookie"), ";")
		csrf, _ := begun.JSON.(map[string]any)["csrfToken"].(string)

		path, on := "/example/"+project.Name+"/flags/checkout/staging", `{"enabled": true}`
		Expect(world.Call("", http.MethodPut, path, on, "Cookie", cookie).Status).To(Equal(http.StatusForbidden))
		Expect(
			world.Call("", http.MethodPut, path, on, "Cookie", cookie, server.CSRFHeader, "guess").Status,
		).To(
			Equal(http.StatusForbidden),
		)
		Expect(
			world.Call("", http.MethodPut, path, on, "Cookie", cookie, server.CSRFHeader, csrf).Status,
		).To(
			Equal(http.StatusOK),
		)
		forged := cookie[:len(cookie)-4] + "AAAA"
		Expect(
			world.Call("", http.MethodPut, path, on, "Cookie", forged, server.CSRFHeader, csrf).Status,
		).To(
			Equal(http.StatusUnauthorized),
		)
		Expect(
			world.Call("", http.MethodDelete, "/api/session", nil).Header.Get("Set-Cookie"),
		).To(
			ContainSubstring("Max-Age=0"),
		)
	})

	It("switches a flag off that a GitOps tool owns, and changes nothing else of it", func() {
		project := world.Project()
		flag := builders.MakeFlag(
			"checkout",
			project.Name,
		).Boolean().Environment(
			"staging",
		).Annotation(
			"argocd.argoproj.io/tracking-id",
			"shop:flags.jackstaff.dev/FeatureFlag:x/checkout",
		).Obj()
		world.Create(builders.MakeEnvironment("staging", project.Name).Obj(), flag)
		path, editor := "/example/"+project.Name+"/flags/checkout/staging", world.Editor(project.Name)
		Expect(world.Call(editor, http.MethodPut, path, `{"enabled": false}`).JSON).To(HaveKeyWithValue("enabled", false))
		Expect(world.Admin.Get(context.Background(), client.ObjectKeyFromObject(flag), flag)).To(Succeed())
		Expect(flag.Annotations).To(HaveKeyWithValue(v1alpha1.ForceDisabledAnnotation, "staging"))
		Expect(flag.Spec.Environments[0].Enabled).To(BeTrue())
		Expect(world.Call(editor, http.MethodPut, path, `{"enabled": true}`).JSON).To(HaveKeyWithValue("enabled", true))
		Expect(world.Admin.Get(context.Background(), client.ObjectKeyFromObject(flag), flag)).To(Succeed())
		Expect(flag.Annotations).To(HaveKeyWithValue(v1alpha1.ForceDisabledAnnotation, ""))

		off := builders.MakeFlag(
			"search",
			project.Name,
		).Boolean().Environment(
			"staging",
		).Disabled().Annotation(
			"argocd.argoproj.io/tracking-id",
			"shop:x",
		).Obj()
		world.Create(off)
		answer := world.Call(editor, http.MethodPut, "/example/"+project.Name+"/flags/search/staging", `{"enabled": true}`)
		Expect(answer.Status).To(Equal(http.StatusConflict))
		Expect(string(answer.Body)).To(ContainSubstring("Argo CD (shop)"))
	})
})
