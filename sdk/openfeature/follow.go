// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/open-feature/go-sdk/openfeature"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

const (
	// lookInterval is how often the files are looked at although no watch has told of a change. kubelet takes longer than
	// that to bring a revision, and reading a ConfigMap takes about a millisecond.
	lookInterval = 5 * time.Second

	// settleTime is how long files that cannot be used may be there before they are refused: an editor that writes in
	// place, and one that replaces two files, leave something incomplete for a moment.
	settleTime = 100 * time.Millisecond

	// bindTime is how long no event is sent after Init has returned. The SDK sets the state that follows from Init's
	// result a little later, on another goroutine, and would overwrite that of an event that came at once.
	bindTime = 100 * time.Millisecond
)

// watcher tells of changes in a directory. It tells of too many rather than of too few.
type watcher struct {
	fs *fsnotify.Watcher
}

// newWatcher fails where the kernel grants no more watchers, of which it has few for each user.
func newWatcher() (*watcher, error) {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &watcher{fs: fs}, nil
}

// add watches the directory, which may be another one at the same path by now, and its parent, in which the directory
// may be made, renamed or replaced by a link. An error needs no care: what the watch does not tell is found by looking.
func (w *watcher) add(dir string) {
	_ = w.fs.Add(dir)
	if parent := filepath.Dir(dir); parent != dir {
		_ = w.fs.Add(parent)
	}
}

// concerns reports whether an event may mean another datafile in the directory.
func concerns(event fsnotify.Event, dir string) bool {
	if event.Op == fsnotify.Chmod {
		return false
	}
	switch name := filepath.Clean(event.Name); filepath.Base(name) { // Right under the root it is "//name".
	case dataLink, datafile.FileName, datafile.CompressedFileName:
		return true
	default:
		return name == dir
	}
}

// follower keeps a provider's snapshot what the files say. All but what is marked so belongs to its goroutine.
type follower struct {
	provider *Provider
	// watcher is nil where there is none.
	watcher *watcher
	// heart is nil where no heartbeats are sent.
	heart *heart
	// seen is what the last look found.
	seen digest
	// state is the provider's, and announced what the SDK takes it to be.
	state, announced openfeature.State
	// changes are the flag keys of changes that were not sent yet.
	changes map[string]struct{}
	// unsettled fires once something unusable has been there long enough. It is nil while there is none.
	unsettled <-chan time.Time

	// problem is why the last datafile was refused, and nil where it was not. It may be read by anyone.
	problem atomic.Pointer[error]
	// bound receives a value when the SDK has initialized the provider once more.
	bound chan struct{}
	// cancel ends the goroutine, which closes ended.
	cancel context.CancelFunc
	ended  chan struct{}
}

// follow looks at the provider's directory and begins to follow it.
func follow(p *Provider) *follower {
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{
		provider: p, changes: map[string]struct{}{}, state: openfeature.ErrorState,
		bound: make(chan struct{}, 1), cancel: cancel, ended: make(chan struct{}),
	}
	if p.heartbeat != nil {
		f.heart = beat(p.heartbeat)
	}
	f.look(true)
	if current := p.current.Load(); f.heart != nil && current != nil && f.problem.Load() != nil {
		f.heart.loaded(current.header.Revision) // Before an earlier Shutdown, and it is served on.
	}
	f.announced = f.bindState()
	go f.run(ctx)
	return f
}

// bindState is the state that the SDK takes from the result of Init.
func (f *follower) bindState() openfeature.State {
	if f.provider.current.Load() == nil {
		return openfeature.ErrorState
	}
	return openfeature.ReadyState
}

func (f *follower) stop() {
	f.cancel()
	<-f.ended
	if f.heart != nil {
		f.heart.stop()
	}
}

// failure is why there is no snapshot.
func (f *follower) failure() error {
	if problem := f.problem.Load(); problem != nil {
		return fmt.Errorf("%w: %w", ErrNoDatafile, *problem)
	}
	return ErrNoDatafile
}

// boundAgain tells the follower that the SDK takes the state from Init once more.
func (f *follower) boundAgain() {
	select {
	case f.bound <- struct{}{}:
	default: // It is told already.
	}
}

func (f *follower) run(ctx context.Context) {
	defer close(f.ended)
	defer func() {
		if f.watcher != nil {
			_ = f.watcher.fs.Close()
		}
	}()
	looks := time.NewTicker(lookInterval)
	defer looks.Stop()
	binding := time.After(bindTime)
	for {
		var changed <-chan fsnotify.Event
		var lost <-chan error
		if f.watcher != nil {
			changed, lost = f.watcher.fs.Events, f.watcher.fs.Errors
		}
		var events chan<- openfeature.Event
		event, pending := f.next()
		if pending && binding == nil {
			events = f.provider.events
		}
		select {
		case <-ctx.Done():
			return
		case event, open := <-changed:
			if !open {
				f.watcher = nil // The next look makes another.
			} else if concerns(event, f.provider.dir) {
				f.look(false)
			}
		case _, open := <-lost:
			if open {
				f.look(false) // The kernel drops events that are too many.
			}
		case <-looks.C:
			f.look(false)
		case <-f.unsettled:
			f.look(true)
		case events <- event:
			f.sent(event)
		case <-binding:
			binding = nil
		case <-f.bound:
			// Whether Init ended before or after the last look is not known, so the SDK is told, but for what it cannot be told.
			f.announced = openfeature.NotReadyState
			if f.state == openfeature.ErrorState {
				f.announced = f.state
			}
			binding = time.After(bindTime)
		}
	}
}

// look reads the files and serves what they say, where it is something else than last time. What cannot be used is
// refused only where it has settled; otherwise it is looked at again.
func (f *follower) look(settled bool) {
	// Watching comes first, so that whatever changes after reading is told.
	f.watchAgain()
	begin := f.provider.now()
	found, err := readFiles(f.provider.dir)
	digest := found.digest(err)
	if digest == f.seen {
		f.unsettled = nil
		return
	}
	var next *snapshot
	if err == nil {
		next, err = found.snapshot(f.provider.current.Load())
	}
	switch {
	case err == nil:
		f.serve(next)
	case !settled:
		if f.unsettled == nil {
			f.unsettled = time.After(settleTime)
		}
		return
	default:
		f.refuse(err)
	}
	f.seen, f.unsettled = digest, nil
	load := Load{Duration: f.provider.now().Sub(begin), Err: err}
	if current := f.provider.current.Load(); current != nil {
		load.Revision, load.Flags = current.header.Revision, len(current.flags)
	}
	f.provider.onLoad(load)
}

func (f *follower) watchAgain() {
	if f.watcher == nil {
		watcher, err := f.provider.watch()
		if err != nil {
			return // The next look tries again.
		}
		f.watcher = watcher
	}
	f.watcher.add(f.provider.dir)
}

func (f *follower) serve(next *snapshot) {
	if f.provider.describe {
		next.describe()
	}
	previous := f.provider.current.Swap(next)
	if f.heart != nil {
		f.heart.loaded(next.header.Revision)
	}
	f.state = openfeature.ReadyState
	f.problem.Store(nil)
	if previous == nil {
		return
	}
	for _, key := range next.changedSince(previous) {
		f.changes[key] = struct{}{}
	}
}

func (f *follower) refuse(err error) {
	f.problem.Store(&err)
	f.state = openfeature.StaleState
	if f.provider.current.Load() == nil {
		f.state = openfeature.ErrorState
	}
}

// next returns the event that is to be sent, and whether there is one: the state first, then the changes.
func (f *follower) next() (openfeature.Event, bool) {
	event := openfeature.Event{ProviderName: providerName}
	if snapshot := f.provider.current.Load(); snapshot != nil {
		event.EventMetadata = map[string]any{MetadataRevision: snapshot.header.Revision}
	}
	switch {
	case f.announced != f.state:
		event.EventType = openfeature.ProviderReady
		event.Message = "the datafile is served"
		if problem := f.problem.Load(); problem != nil {
			// Without any document the state is what Init has made it, and there is nothing to send.
			event.EventType = openfeature.ProviderStale
			event.Message = (*problem).Error()
		}
	case len(f.changes) > 0:
		event.EventType = openfeature.ProviderConfigChange
		event.Message = "another datafile is served"
		event.FlagChanges = slices.Sorted(maps.Keys(f.changes))
	default:
		return event, false
	}
	return event, true
}

// sent notes that the SDK has received the event that is due.
func (f *follower) sent(event openfeature.Event) {
	if event.EventType == openfeature.ProviderConfigChange {
		clear(f.changes)
		return
	}
	f.announced = f.state
}
