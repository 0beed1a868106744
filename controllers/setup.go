// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers registers the controllers with a manager.
package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers/delivery"
	"github.com/jackstaff-dev/jackstaff/controllers/featureflag"
	"github.com/jackstaff-dev/jackstaff/controllers/flagaudience"
	"github.com/jackstaff-dev/jackstaff/controllers/flagenvironment"
	"github.com/jackstaff-dev/jackstaff/controllers/flagevent"
	"github.com/jackstaff-dev/jackstaff/controllers/history"
	"github.com/jackstaff-dev/jackstaff/controllers/refresh"
	"github.com/jackstaff-dev/jackstaff/controllers/sdkkeys"
	"github.com/jackstaff-dev/jackstaff/internal/budget"
	internalhistory "github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/status"
	"github.com/jackstaff-dev/jackstaff/internal/topics"
)

// Options are what an administrator chooses for the controllers.
type Options struct {
	// StaleAfter is how long a flag must be unchanged to be stale. Zero means 30 days.
	StaleAfter time.Duration

	// RefreshPods lets environments have the pods refreshed that mount their datafile. It needs the rights of
	// config/refresh-pods.
	RefreshPods bool

	// Namespaces are those in which the operator has rights. Empty means all.
	Namespaces []string

	// Seal is what published datafiles and mirrored SDK keys bear. Nil means that none is set, nor asked for: whoever may
	// edit ConfigMaps can then forge them.
	Seal *ownership.Seal

	// Guarded tells whether the API server keeps everybody who may not publish from writing datafiles. What somebody wrote
	// without the operator is believed only then. Nil means never.
	Guarded func(ctx context.Context) (bool, error)

	// Budgets say which namespaces store too much to be published. Nil means that there is no limit.
	Budgets *budget.Ledger

	// WatchProblem says which watches are not alive, and nothing where all are. Nil means that nobody knows.
	WatchProblem func() string

	// SettleStatus is how long the status of an object that somebody has edited is held back, so that whoever edits it
	// twice in a row is not refused for the operator's own write. What is urgent is written sooner; a burst holds a status
	// back for ten times as long at most. Zero means a second. Less than zero holds nothing back.
	SettleStatus time.Duration

	// Clock tells the time. Nil means the system's.
	Clock clock.PassiveClock
}

// CacheOptions keeps of ConfigMaps and FlagChanges only those that the operator wrote.
func CacheOptions() cache.Options {
	configMaps := &metav1.PartialObjectMetadata{}
	configMaps.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	return cache.Options{ByObject: map[client.Object]cache.ByObject{
		configMaps:                 {Label: labels.SelectorFromSet(labels.Set{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy})},
		internalhistory.Metadata(): {Label: labels.SelectorFromSet(labels.Set{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy})},
		&v1alpha1.FlagAudience{}:   {Transform: compactMembers},
	}}
}

// ClientOptions reads whole ConfigMaps, FlagChanges, Secrets and Namespaces live: the cache holds at most their
// metadata.
func ClientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{
		DisableFor: []client.Object{&corev1.ConfigMap{}, &v1alpha1.FlagChange{}, &corev1.Secret{}, &corev1.Namespace{}},
	}}
}

// Setup registers every controller. The manager's cache and client are made with CacheOptions and ClientOptions, and
// its cache has the indexes of package indexes.
func Setup(mgr ctrl.Manager, options Options) error {
	if options.StaleAfter == 0 {
		options.StaleAfter = 30 * 24 * time.Hour
	}
	if options.SettleStatus == 0 {
		options.SettleStatus = status.DefaultSettle
	}
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	// Every replica counts: webhooks run on all of them.
	if err := options.Budgets.Follow(context.Background(), mgr.GetCache()); err != nil {
		return fmt.Errorf("count what namespaces store: %w", err)
	}
	shared, deliveries := topics.New(), topics.NewDeliveries()
	publisher := &publish.Publisher{
		Client:   mgr.GetClient(),
		Metadata: mgr.GetCache(),
		Clock:    options.Clock,
		Seal:     options.Seal,
		Guarded:  options.Guarded,
	}
	patcher := func(controller string) *status.Patcher {
		return &status.Patcher{
			Client: mgr.GetClient(), Recorder: recorderFor(mgr, controller), Settle: options.SettleStatus,
		}
	}
	historian := func(kind v1alpha1.Kind) *history.Reconciler {
		return &history.Reconciler{
			Client: mgr.GetClient(), Metadata: mgr.GetCache(), Live: mgr.GetAPIReader(), Clock: options.Clock, Kind: kind,
			Quiet: history.DefaultQuiet, Recorder: recorderFor(mgr, "history-controller"),
		}
	}
	controllers := map[string]registrable{
		"flagenvironment": &flagenvironment.Reconciler{
			Client: mgr.GetClient(), Metadata: mgr.GetCache(), Live: mgr.GetAPIReader(), Publisher: publisher, Ledger: shared,
			Deliveries: deliveries,
			Status:     patcher("flagenvironment-controller"), Clock: options.Clock, Budgets: options.Budgets,
			WatchProblem: options.WatchProblem,
		},
		"delivery": &delivery.Reconciler{
			Client:     mgr.GetClient(),
			Metadata:   mgr.GetCache(),
			Live:       mgr.GetAPIReader(),
			Publisher:  publisher,
			Deliveries: deliveries,
			Clock:      options.Clock,
		},
		"refresh": refresher(mgr, options),
		"featureflag": &featureflag.Reconciler{
			Client:     mgr.GetClient(),
			Ledger:     shared,
			Status:     patcher("featureflag-controller"),
			Clock:      options.Clock,
			StaleAfter: options.StaleAfter,
		},
		"sdkkeys": &sdkkeys.Reconciler{
			Client:   mgr.GetClient(),
			Live:     mgr.GetAPIReader(),
			Recorder: recorderFor(mgr, "sdkkeys-controller"),
			Clock:    options.Clock,
			Seal:     options.Seal,
		},
		"flagaudience": &flagaudience.Reconciler{
			Client: mgr.GetClient(), Status: patcher("flagaudience-controller"), Clock: options.Clock,
		},
		"flagevent": &flagevent.Reconciler{
			Client: mgr.GetClient(), Status: patcher("flagevent-controller"), Clock: options.Clock,
		},

		"history of old releases": &history.Migration{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Namespaces: options.Namespaces,
		},
	}
	for _, kind := range v1alpha1.Kinds {
		controllers["history of "+kind.Words] = historian(kind)
	}
	for name, controller := range controllers {
		if err := controller.SetupWithManager(mgr); err != nil {
			return fmt.Errorf("set up the %s controller: %w", name, err)
		}
	}
	return nil
}

// registrable is a controller that registers itself.
type registrable interface {
	SetupWithManager(mgr ctrl.Manager) error
}

func refresher(mgr ctrl.Manager, options Options) registrable {
	recorder := recorderFor(mgr, "refresh-controller")
	if !options.RefreshPods {
		return &refresh.Off{Client: mgr.GetClient(), Recorder: recorder}
	}
	return &refresh.Reconciler{
		Client:     mgr.GetClient(),
		Metadata:   mgr.GetCache(),
		Recorder:   recorder,
		Namespaces: options.Namespaces,
	}
}
