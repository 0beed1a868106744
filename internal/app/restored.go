// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// restoreCheckEvery is how often the API server is asked for its resource version. A cluster takes longer to come back
// from a snapshot.
const restoreCheckEvery = 5 * time.Second

// restoreGuard ends the process where the API server's data has gone back in time, because an older snapshot of etcd
// was restored. Caches would stay in a future that never was: they wait for resource versions that name something else
// now, so that edits are admitted and not published while everything says Ready. It is a manager.Runnable.
type restoreGuard struct {
	// current asks for the resource version of the API server's data.
	current func(ctx context.Context) (string, error)
	every   time.Duration
	// highest is the newest resource version that was seen.
	highest string
}

// newRestoreGuard asks by the smallest consistent list that the operator may make.
func newRestoreGuard(live client.Reader, namespaces []string) *restoreGuard {
	options := []client.ListOption{client.Limit(1)}
	if len(namespaces) > 0 {
		options = append(options, client.InNamespace(namespaces[0]))
	}
	return &restoreGuard{every: restoreCheckEvery, current: func(ctx context.Context) (string, error) {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FlagEnvironmentList"))
		err := live.List(ctx, list, options...)
		return list.ResourceVersion, err
	}}
}

// NeedLeaderElection is false: every replica has caches.
func (g *restoreGuard) NeedLeaderElection() bool { return false }

// Start checks until ctx ends, and fails once the data has gone back.
func (g *restoreGuard) Start(ctx context.Context) error {
	ticker := time.NewTicker(g.every)
	defer ticker.Stop()
	for {
		if err := g.check(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// check asks once. While the API server does not answer nothing is known; it may be what is being restored.
func (g *restoreGuard) check(ctx context.Context) error {
	version, err := g.current(ctx)
	if err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("Cannot ask for the resource version", "reason", err.Error())
		return nil
	}
	return g.record(version)
}

// record notes a resource version, and fails where it is older than one that was seen. What cannot be compared, because
// it is not the API server's own, says nothing.
func (g *restoreGuard) record(version string) error {
	if g.highest != "" {
		order, err := resourceversion.CompareResourceVersion(version, g.highest)
		if err != nil || order == 0 {
			return nil //nolint:nilerr // Versions of another kind of storage are not compared.
		}
		if order < 0 {
			return fmt.Errorf("the API server's data went back from resource version %s to %s: an older snapshot of etcd was "+
				"restored; the operator ends, so that it starts with what is stored now", g.highest, version)
		}
	}
	g.highest = version
	return nil
}
