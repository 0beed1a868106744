// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// +kubebuilder:rbac:groups=apps,resources=controllerrevisions,verbs=list;delete

const (
	// migrateAgain is how long a migration that failed waits before it goes on.
	migrateAgain = 30 * time.Second

	migrationPage = 100
)

// Migration turns the ControllerRevisions in which releases up to 0.1 kept the history into FlagChanges, once, when the
// operator starts.
type Migration struct {
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Namespaces are those in which the operator has rights. Empty means all.
	Namespaces []string
}

// SetupWithManager registers the migration.
func (m *Migration) SetupWithManager(mgr ctrl.Manager) error { return mgr.Add(m) }

// NeedLeaderElection lets one replica alone migrate.
func (*Migration) NeedLeaderElection() bool { return true }

// Start migrates until nothing is left that can be read. It fails never: a history of an older release stops nobody.
func (m *Migration) Start(ctx context.Context) error {
	logger := log.FromContext(ctx).WithName("history-migration")
	return ignoreCanceled(wait.PollUntilContextCancel(ctx, migrateAgain, true, func(ctx context.Context) (bool, error) {
		for _, namespace := range m.namespaces() {
			if err := m.migrate(log.IntoContext(ctx, logger), namespace); err != nil {
				logger.Error(err, "Migrating the history again later", "in", migrateAgain.String())
				return false, nil
			}
		}
		return true, nil
	}))
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (m *Migration) namespaces() []string {
	if len(m.Namespaces) == 0 {
		return []string{""}
	}
	return m.Namespaces
}

// migrate migrates a namespace, or all where it is empty.
func (m *Migration) migrate(ctx context.Context, namespace string) error {
	page := &appsv1.ControllerRevisionList{}
	for {
		if err := m.Live.List(ctx, page, client.InNamespace(namespace), client.Limit(migrationPage),
			client.Continue(page.Continue),
			client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}); err != nil {
			return fmt.Errorf("list the history of an older release: %w", err)
		}
		for i := range page.Items {
			if err := m.migrateOne(ctx, &page.Items[i]); err != nil {
				return err
			}
		}
		if page.Continue == "" {
			return nil
		}
	}
}

func (m *Migration) migrateOne(ctx context.Context, revision *appsv1.ControllerRevision) error {
	changes, err := history.FromControllerRevision(revision)
	if err != nil {
		// It stays where it is: somebody may want to look at it.
		log.FromContext(ctx).Error(err, "Leaving a part of the history as it is", "controllerRevision", klog.KObj(revision))
		return nil
	}
	if len(changes) == 0 {
		return nil
	}
	for _, change := range changes {
		err := m.Client.Create(ctx, change)
		if ignoreTerminating(err) == nil && err != nil {
			return nil //nolint:nilerr // The namespace goes, with its history.
		}
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("migrate ControllerRevision %q: %w", revision.Name, err)
		}
	}
	if err := m.Client.Delete(ctx, revision, client.Preconditions{UID: &revision.UID}); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("remove ControllerRevision %q: %w", revision.Name, err))
	}
	return nil
}
