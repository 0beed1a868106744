// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// turns lets writers of the same object take turns on this replica, so that many at once do not make each other try
// again until they give up. Writers of different objects do not wait for each other. The zero value is ready.
type turns struct {
	mutex   sync.Mutex
	objects map[types.UID]*turn
}

// turn is the turn to write one object.
type turn struct {
	// free holds a token while nobody writes.
	free chan struct{}
	// writers are those that write or wait.
	writers int
}

// take waits for the turn to write an object. Release ends it. It fails where ctx ends first.
func (t *turns) take(ctx context.Context, uid types.UID) (release func(), err error) {
	t.mutex.Lock()
	own := t.objects[uid]
	if own == nil {
		own = &turn{free: make(chan struct{}, 1)}
		own.free <- struct{}{}
		if t.objects == nil {
			t.objects = map[types.UID]*turn{}
		}
		t.objects[uid] = own
	}
	own.writers++
	t.mutex.Unlock()
	leave := func() {
		t.mutex.Lock()
		defer t.mutex.Unlock()
		if own.writers--; own.writers == 0 {
			delete(t.objects, uid)
		}
	}
	select {
	case <-own.free:
		return func() { own.free <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
