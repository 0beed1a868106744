// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/swaggest/swgui/v5emb"
)

// plainError is the envelope of the paths that belong to no documented API.
type plainError struct {
	Error  string       `json:"error" doc:"What is wrong, and what to do."`
	Fields []FieldError `json:"fields,omitempty" doc:"The fields that are wrong."`
}

// mountMeta adds the paths that speak of the server itself.
func (s *Server) mountMeta() {
	view := NewView(s, "session", "Sessions for browsers.", "application/json", func(e *Error) *plainError {
		return &plainError{Error: e.Message, Fields: e.Fields}
	})
	s.registerSessions(view)
	view.Serve("/api/session", "/")
	s.Mount(view)
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	// The page brings its own scripts and styles: it works where nothing beyond the cluster can be reached.
	s.mux.Handle("GET /docs/", v5emb.New("Jackstaff", "/openapi.json", "/docs/"))
	documents := sync.OnceValues(s.documents)
	serve := func(w http.ResponseWriter, r *http.Request) {
		all, err := documents()
		if err != nil {
			view.write(w, refusal(r.Context(), err))
			return
		}
		data, found := all[r.URL.Path]
		if !found {
			names := slices.Sorted(maps.Keys(all))
			view.write(w, Errorf(http.StatusNotFound, "there is no such document; there are %s", strings.Join(names, ", ")))
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(data) // The caller has gone where this fails.
	}
	s.mux.HandleFunc("GET /openapi.json", serve)
	s.mux.HandleFunc("GET /openapi/{document}", serve)
}

// documents are the OpenAPI documents by their paths: one of all views, and one of each, which a client is generated
// from where two views share a path.
func (s *Server) documents() (map[string][]byte, error) {
	joined, err := openAPI("Jackstaff", s.views)
	if err != nil {
		return nil, err
	}
	documents := map[string][]byte{"/openapi.json": joined}
	for _, view := range s.views {
		own, err := openAPI("Jackstaff: "+view.Name, []*View{view})
		if err != nil {
			return nil, err
		}
		documents["/openapi/"+view.Name+".json"] = own
	}
	return documents, nil
}

// openAPI is the document of views. Where two of them share a path and method, which only content types and parameters
// tell apart, the operation has those of both.
func openAPI(title string, views []*View) ([]byte, error) {
	all := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:       title,
			Description: "Feature flags as Kubernetes resources, through documented APIs.",
			Version:     "v1",
		},
		// A document is of the server that it comes from.
		Servers: []*huma.Server{{URL: "/", Description: "This server."}},
		Components: &huma.Components{SecuritySchemes: map[string]*huma.SecurityScheme{
			"token":   {Type: "http", Scheme: "bearer", Description: "A Kubernetes token."},
			"session": {Type: "apiKey", In: "cookie", Name: sessionCookie, Description: "What POST /api/session sets."},
		}},
		Paths: map[string]*huma.PathItem{},
	}
	schemas := map[string]*huma.Schema{}
	for _, view := range views {
		document := view.api.OpenAPI()
		all.Tags = append(all.Tags, document.Tags...)
		maps.Copy(schemas, document.Components.Schemas.Map())
		for path, item := range document.Paths {
			all.Paths[path] = mergeItems(all.Paths[path], item)
		}
	}
	return encodeOpenAPI(all, schemas)
}

// encodeOpenAPI writes a document with the schemas of several registries, of which huma's type holds only one.
func encodeOpenAPI(document *huma.OpenAPI, schemas map[string]*huma.Schema) ([]byte, error) {
	data, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("encode OpenAPI document: %w", err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("encode OpenAPI document: %w", err)
	}
	components, ok := fields["components"].(map[string]any)
	if !ok {
		components = map[string]any{}
		fields["components"] = components
	}
	components["schemas"] = schemas
	return json.MarshalIndent(fields, "", "  ")
}

// mergeItems joins the operations of one path.
func mergeItems(a, b *huma.PathItem) *huma.PathItem {
	if a == nil {
		return b
	}
	joined := *a
	joined.Get = mergeOperations(a.Get, b.Get)
	joined.Post = mergeOperations(a.Post, b.Post)
	joined.Put = mergeOperations(a.Put, b.Put)
	joined.Patch = mergeOperations(a.Patch, b.Patch)
	joined.Delete = mergeOperations(a.Delete, b.Delete)
	return &joined
}

// mergeOperations joins what two views do at one path and method. A parameter is required where both require it.
func mergeOperations(a, b *huma.Operation) *huma.Operation {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	joined := *a
	joined.Tags = append(slices.Clone(a.Tags), b.Tags...)
	joined.Summary = a.Summary
	if b.Summary != a.Summary {
		joined.Summary += "; " + b.Summary
	}
	joined.Description = describeShared(a, b)
	joined.Parameters = mergeParameters(a.Parameters, b.Parameters)
	if a.RequestBody != nil && b.RequestBody != nil {
		body := *a.RequestBody
		body.Content = maps.Clone(body.Content)
		maps.Copy(body.Content, b.RequestBody.Content)
		joined.RequestBody = &body
	} else if a.RequestBody == nil {
		joined.RequestBody = b.RequestBody
	}
	joined.Responses = maps.Clone(a.Responses)
	for status, response := range b.Responses {
		if shared := joined.Responses[status]; shared != nil {
			both := *shared
			both.Content = maps.Clone(shared.Content)
			if both.Content == nil {
				both.Content = map[string]*huma.MediaType{}
			}
			maps.Copy(both.Content, response.Content)
			response = &both
		}
		joined.Responses[status] = response
	}
	return &joined
}

// describeShared says which of two views a request is for, and what each of them does with it.
func describeShared(a, b *huma.Operation) string {
	required := func(of, other *huma.Operation) string {
		for _, parameter := range of.Parameters {
			if parameter.In == "query" && parameter.Required && !slices.ContainsFunc(other.Parameters,
				func(p *huma.Param) bool { return p.Name == parameter.Name && p.In == parameter.In }) {
				return parameter.Name
			}
		}
		return ""
	}
	var texts []string
	for _, pair := range [][2]*huma.Operation{{a, b}, {b, a}} {
		of, other := pair[0], pair[1]
		view := strings.Join(of.Tags, ", ")
		text := fmt.Sprintf("**%s**", view)
		if name := required(of, other); name != "" {
			text += fmt.Sprintf(", with the query parameter `%s`", name)
		} else if name := required(other, of); name != "" {
			text += fmt.Sprintf(", without the query parameter `%s`", name)
		}
		text += ": " + strings.TrimSuffix(of.Summary, ".") + "."
		if of.Description != "" {
			text += " " + of.Description
		}
		texts = append(texts, text+fmt.Sprintf(" Its own document is `/openapi/%s.json`.", view))
	}
	return "Two APIs share this path.\n\n" + strings.Join(texts, "\n\n")
}

func mergeParameters(a, b []*huma.Param) []*huma.Param {
	var joined []*huma.Param
	has := func(list []*huma.Param, wanted *huma.Param) bool {
		return slices.ContainsFunc(list, func(p *huma.Param) bool { return p.Name == wanted.Name && p.In == wanted.In })
	}
	for _, parameter := range slices.Concat(a, b) {
		if has(joined, parameter) {
			continue
		}
		merged := *parameter
		merged.Required = parameter.Required && has(a, parameter) && has(b, parameter)
		joined = append(joined, &merged)
	}
	return joined
}
