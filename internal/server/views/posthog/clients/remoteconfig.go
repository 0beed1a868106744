// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"encoding/json"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

type remoteConfigInput struct {
	lookup.FlagScope
	Token string `query:"token" maxLength:"256" doc:"An SDK key, in the place of PostHog's project token."`
}

type remoteConfigOutput struct {
	Body json.RawMessage `doc:"The payload as JSON, in a text; or null."`
}

// remoteConfig gives the payload that everybody gets. One from a Secret is read as the caller, and so SDK keys do not
// get it.
func (c *Clients) remoteConfig(ctx context.Context, input *remoteConfigInput) (*remoteConfigOutput, error) {
	of, err := c.admit(ctx, &input.Scope, input.Token)
	if err != nil {
		return nil, err
	}
	if err := of.ofServer(); err != nil {
		return nil, err
	}
	if of.caller != nil {
		ctx = server.WithCaller(ctx, of.caller)
	}
	flag, err := c.findFor(ctx, of, input.ID)
	if err != nil {
		return nil, err
	}
	if flag.Spec.Archived || !filters.IsRemoteConfiguration(flag, of.environment) {
		return nil, server.Errorf(http.StatusNotFound, "flag %q is no remote configuration", flag.Key())
	}
	payload, err := c.payload(ctx, of, flag)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(payload)
	return &remoteConfigOutput{Body: data}, err
}

// payload is what the flag, when on, serves to everybody, and nil where that is nothing. PostHog does not ask whether
// it is on.
func (c *Clients) payload(ctx context.Context, of *access, flag *v1alpha1.FeatureFlag) (*string, error) {
	if of.served == nil {
		return nil, nil
	}
	published, err := c.Published.Of(of.served)
	if err != nil {
		return nil, err
	}
	form := published.Document.Flags[flag.Key()]
	if form == nil {
		return nil, nil
	}
	only, is := compile.OnlyVariation(form)
	if !form.Enabled {
		only, is = compile.OnlyVariation(filters.AsOn(flag, of.environment))
	}
	if !is {
		return nil, nil
	}
	for i := range form.Variations {
		if form.Variations[i].Key == only && len(form.Variations[i].Payload) > 0 {
			return new(filters.AsText(form.Variations[i].Payload)), nil
		}
	}
	for i := range flag.Spec.Variations {
		if from := flag.Spec.Variations[i].PayloadFrom; from != nil && flag.Spec.Variations[i].Key == only && !of.isKey {
			return c.secret(ctx, flag.Namespace, &from.SecretKeyRef)
		}
	}
	return nil, nil
}

// secret reads a payload as the caller.
func (c *Clients) secret(ctx context.Context, namespace string, from *v1alpha1.SecretKeySelector) (*string, error) {
	secret := &corev1.Secret{}
	if err := c.Cluster.AsCaller().Get(ctx, client.ObjectKey{Namespace: namespace, Name: from.Name}, secret); err != nil {
		return nil, server.FromKubernetes(err, filters.RenameField)
	}
	data, found := secret.Data[from.Key]
	if !found {
		return nil, server.Errorf(http.StatusNotFound, "the Secret %s has no key %s", from.Name, from.Key)
	}
	return new(string(data)), nil
}
