// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Ledger knows what each namespace uses, as the cache shows it. It is safe for concurrent use. A nil Ledger knows no
// limit.
type Ledger struct {
	limits Limits

	mu         sync.RWMutex
	namespaces map[string]Usage
	objects    map[objectKey]Usage
	notify     func(namespace string)
	// admitted is what was let through and the cache does not show yet, by namespace.
	admitted map[string]map[objectKey]admitted
	now      func() time.Time
}

// admitted is what one object will use once the cache shows it, or used if something else has refused it.
type admitted struct {
	usage Usage
	at    time.Time
}

// admittedFor is how long what was let through counts without being seen: longer than a cache lags behind, and short,
// because another webhook may have refused it.
const admittedFor = 5 * time.Second

type objectKey struct {
	kind string
	types.NamespacedName
}

// NewLedger returns an empty Ledger with those limits.
func NewLedger(limits Limits) *Ledger {
	return &Ledger{
		limits: limits, namespaces: map[string]Usage{}, objects: map[objectKey]Usage{}, notify: func(string) {},
		admitted: map[string]map[objectKey]admitted{}, now: clock.RealClock{}.Now,
	}
}

// Follow makes the ledger count what the cache holds. It is called before the cache starts.
func (l *Ledger) Follow(ctx context.Context, informers cache.Informers) error {
	if l == nil {
		return nil
	}
	for _, object := range []client.Object{
		&v1alpha1.FlagEnvironment{}, &v1alpha1.FeatureFlag{}, &v1alpha1.FlagAudience{}, &v1alpha1.FlagEvent{},
	} {
		informer, err := informers.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("follow %T: %w", object, err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(added any) { l.handle(added, l.record) },
			UpdateFunc: func(before, after any) {
				if !sameSize(before, after) {
					l.handle(after, l.record)
				}
			},
			DeleteFunc: func(deleted any) { l.handle(deleted, l.remove) },
		}); err != nil {
			return fmt.Errorf("follow %T: %w", object, err)
		}
	}
	return nil
}

// sameSize reports whether an update changed nothing that is counted, which the most are: updates of a status.
func sameSize(before, after any) bool {
	old, isOld := before.(client.Object)
	current, isCurrent := after.(client.Object)
	if !isOld || !isCurrent || old.GetUID() != current.GetUID() ||
		old.GetGeneration() != current.GetGeneration() {
		return false
	}
	return metadataSize(old) == metadataSize(current)
}

func (l *Ledger) handle(event any, do func(client.Object)) {
	if unknown, is := event.(toolscache.DeletedFinalStateUnknown); is {
		event = unknown.Obj
	}
	if object, is := event.(client.Object); is {
		do(object)
	}
}

// Subscribe makes the ledger call notify, which must not block, with each namespace that is stopped or no longer so.
func (l *Ledger) Subscribe(notify func(namespace string)) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notify = notify
}

func (l *Ledger) record(object client.Object) { l.set(object, usageOf(object)) }

func (l *Ledger) remove(object client.Object) { l.set(object, Usage{}) }

func (l *Ledger) set(object client.Object, usage Usage) {
	key, namespace := keyOf(object), object.GetNamespace()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unadmit(namespace, key)
	before := l.namespaces[namespace]
	after := before.minus(l.objects[key]).plus(usage)
	if usage == (Usage{}) {
		delete(l.objects, key)
	} else {
		l.objects[key] = usage
	}
	if after == (Usage{}) {
		delete(l.namespaces, namespace)
	} else {
		l.namespaces[namespace] = after
	}
	if (l.limits.Stop(before) == "") != (l.limits.Stop(after) == "") {
		l.notify(namespace)
	}
}

// Refusal says why an object may not be stored, and is empty where it may.
func (l *Ledger) Refusal(object client.Object) string { return l.judge(object, false) }

// Admit does as Refusal. Where the object may be stored it counts from now on, so that many requests at a time do not
// take the same room: only another replica knows nothing of it until its cache shows it.
func (l *Ledger) Admit(object client.Object) string { return l.judge(object, true) }

func (l *Ledger) judge(object client.Object, admits bool) string {
	if l == nil {
		return ""
	}
	usage, key, namespace := usageOf(object), keyOf(object), object.GetNamespace()
	l.mu.Lock()
	defer l.mu.Unlock()
	before, now := l.namespaces[namespace], l.now()
	for other, admitted := range l.admitted[namespace] {
		switch {
		case now.Sub(admitted.at) > admittedFor:
			l.unadmit(namespace, other)
		case other != key:
			before = before.plus(admitted.usage.minus(l.objects[other]).positive())
		}
	}
	refusal := l.limits.Refusal(before, before.minus(l.objects[key]).plus(usage))
	if refusal == "" && admits {
		if l.admitted[namespace] == nil {
			l.admitted[namespace] = map[objectKey]admitted{}
		}
		l.admitted[namespace][key] = admitted{usage, now}
	}
	return refusal
}

// unadmit forgets that an object was let through.
func (l *Ledger) unadmit(namespace string, key objectKey) {
	if delete(l.admitted[namespace], key); len(l.admitted[namespace]) == 0 {
		delete(l.admitted, namespace)
	}
}

// Stop says why a namespace is not published any more, and is empty where it is.
func (l *Ledger) Stop(namespace string) string {
	if l == nil {
		return ""
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.limits.Stop(l.namespaces[namespace])
}

// Bytes is how many bytes a namespace may store, and 0 where there is no limit.
func (l *Ledger) Bytes() int64 {
	if l == nil {
		return 0
	}
	return l.limits.Bytes
}

func keyOf(object client.Object) objectKey {
	return objectKey{kind: fmt.Sprintf("%T", object), NamespacedName: client.ObjectKeyFromObject(object)}
}
