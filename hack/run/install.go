// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	flagsv1alpha1 "github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// administrator is the service account whose token the env file holds.
const administrator = "administrator"

// install applies config/default, but for what only makes sense where pods run, and with the webhooks called on this
// machine.
func (s *session) install(ctx context.Context, webhookPort int) error {
	manifests, err := s.kustomize(ctx, "config/default")
	if err != nil {
		return err
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), len(manifests))
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("read it: %w", err)
		}
		if slices.Contains([]string{"Deployment", "PodDisruptionBudget", "Service"}, object.GetKind()) {
			continue
		}
		if err := callHere(object, webhookPort); err != nil {
			return err
		}
		if err := s.apply(ctx, object); err != nil {
			return err
		}
	}
	if err := s.applyAdministrator(ctx); err != nil {
		return err
	}
	return s.wait(ctx, "the Kinds to be served", func(ctx context.Context) error {
		for _, kind := range flagsv1alpha1.Kinds {
			if err := s.client.List(ctx, kind.NewList(), client.Limit(1)); err != nil {
				return err
			}
		}
		return nil
	})
}

// callHere has the API server call the webhooks of a configuration on this machine. The certificate is the manager's
// business, as on any cluster: it makes one for the address that the configuration names.
func callHere(object *unstructured.Unstructured, port int) error {
	webhooks, found, err := unstructured.NestedSlice(object.Object, "webhooks")
	if err != nil || !found {
		return err
	}
	for _, webhook := range webhooks {
		fields, _ := webhook.(map[string]any)
		path, _, err := unstructured.NestedString(fields, "clientConfig", "service", "path")
		if err != nil {
			return fmt.Errorf("read the webhooks of %s: %w", object.GetName(), err)
		}
		fields["clientConfig"] = map[string]any{"url": fmt.Sprintf("https://127.0.0.1:%d%s", port, path)}
	}
	return unstructured.SetNestedSlice(object.Object, webhooks, "webhooks")
}

// applyAdministrator makes the service account that may do everything.
func (s *session) applyAdministrator(ctx context.Context) error {
	account := object("v1", "ServiceAccount", administrator)
	account.SetNamespace(namespace)
	binding := object(rbacv1.SchemeGroupVersion.String(), "ClusterRoleBinding", "jackstaff-"+administrator)
	binding.Object["roleRef"] = map[string]any{
		"apiGroup": rbacv1.GroupName,
		"kind":     "ClusterRole",
		"name":     "cluster-admin",
	}
	binding.Object["subjects"] = []any{
		map[string]any{"kind": rbacv1.ServiceAccountKind, "namespace": namespace, "name": administrator},
	}
	for _, o := range []*unstructured.Unstructured{account, binding} {
		if err := s.apply(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

func object(apiVersion, kind, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{}}
	o.SetAPIVersion(apiVersion)
	o.SetKind(kind)
	o.SetName(name)
	return o
}

func (s *session) apply(ctx context.Context, o *unstructured.Unstructured) error {
	err := s.client.Apply(
		ctx,
		client.ApplyConfigurationFromUnstructured(o),
		client.FieldOwner("make-run"),
		client.ForceOwnership,
	)
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}
