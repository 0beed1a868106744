// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"context"
	"mime"
	"net/http"

	"github.com/jackstaff-dev/jackstaff/internal/replica/heartbeat"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

const heartbeatPath = "/api/sdk/heartbeat"

type heartbeatInput struct {
	Body struct {
		// SDKs may be newer than this server.
		_ struct{} `additionalProperties:"true"`

		SDKKey     string `json:"sdkKey" minLength:"1" maxLength:"256" doc:"The SDK key, which names the environment."`
		SDKType    string `json:"sdkType" minLength:"1" maxLength:"128" doc:"The name of the SDK."`
		SDKVersion string `json:"sdkVersion" minLength:"1" maxLength:"64" doc:"Its version."`
		Revision   int64  `json:"revision,omitempty" minimum:"1" doc:"The revision that the SDK has loaded."`
		Instance   string `json:"instance,omitempty" maxLength:"253" doc:"What the workload calls itself, such as the name of its pod. It counts with a server key only."`
	}
}

// Success is the answer to a heartbeat.
type Success struct {
	Success bool `json:"success"`
}

type heartbeatOutput struct {
	Body Success
}

func (v *view) registerHeartbeat(api *server.View) {
	described := server.Public(operation("heartbeat", http.MethodPost, heartbeatPath, "Send a heartbeat"))
	described.Description = "SDKs send it after each successful fetch of a datafile. Which SDKs were seen is in the " +
		"environment's status within a minute."
	server.Register(api, described, v.heartbeat)
}

func (v *view) heartbeat(_ context.Context, input *heartbeatInput) (*heartbeatOutput, error) {
	body := &input.Body
	environment, kind, found := v.store.ByKey(body.SDKKey)
	if !found {
		return nil, server.Errorf(http.StatusNotFound, "no environment has this SDK key")
	}
	v.heartbeats.Seen(environment, kind, heartbeat.Heartbeat{
		SDKType: body.SDKType, SDKVersion: body.SDKVersion, Instance: body.Instance, Revision: body.Revision,
	})
	return &heartbeatOutput{Body: Success{Success: true}}, nil
}

// anyOrigin lets the pages of any origin send heartbeats: what they need is a key, and no cookie is looked at.
func anyOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Access-Control-Allow-Origin", "*")
		if r.Method == http.MethodOptions {
			header.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
			header.Set("Access-Control-Allow-Headers", "Content-Type, traceparent, tracestate, baggage")
			header.Set("Access-Control-Max-Age", "86400")
		}
		// What navigator.sendBeacon sends is text, for which browsers ask no other origin for leave.
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "text/plain" {
			r = r.Clone(r.Context())
			r.Header.Set("Content-Type", "application/json")
		}
		next.ServeHTTP(w, r)
	})
}
