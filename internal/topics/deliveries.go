// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package topics

import (
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Delivery is what the delivery controller knows of the copies of one environment's datafile.
type Delivery struct {
	// Selector is the one that the delivery followed, and nil where none is set.
	Selector *metav1.LabelSelector
	// Delivered, Reason and Message are those of the condition Delivered.
	Delivered       bool
	Reason, Message string
	// Copies are the namespaces that have a copy, by name.
	Copies []v1alpha1.NamespaceDelivery
}

// Deliveries is how the delivery controller reports to the FlagEnvironment controller, which alone writes the
// conditions of an environment. It is safe for concurrent use.
type Deliveries struct {
	mu         sync.RWMutex
	deliveries map[types.NamespacedName]Delivery
	notify     func(environment types.NamespacedName)
}

// NewDeliveries returns empty Deliveries.
func NewDeliveries() *Deliveries {
	return &Deliveries{deliveries: map[types.NamespacedName]Delivery{}, notify: func(types.NamespacedName) {}}
}

// Subscribe makes the ledger call notify, which must not block, with each environment whose delivery changed.
func (d *Deliveries) Subscribe(notify func(environment types.NamespacedName)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notify = notify
}

// Write sets what is known of an environment's copies.
func (d *Deliveries) Write(environment types.NamespacedName, delivery Delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if known, ok := d.deliveries[environment]; ok && equality.Semantic.DeepEqual(known, delivery) {
		return
	}
	d.deliveries[environment] = delivery
	d.notify(environment)
}

// Read returns what is known of an environment's copies. Known is false where the delivery controller has not looked
// yet.
func (d *Deliveries) Read(environment types.NamespacedName) (delivery Delivery, known bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	delivery, known = d.deliveries[environment]
	return delivery, known
}

// Forget removes an environment that is gone.
func (d *Deliveries) Forget(environment types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.deliveries, environment)
}
