// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"context"
	"errors"
	"fmt"

	"github.com/open-feature/go-sdk/openfeature"
)

// ErrUnknownEvent says that the datafile holds no event of the key that was tracked.
var ErrUnknownEvent = errors.New("unknown event")

// EventType says how an event is measured.
type EventType string

// The types of an event.
const (
	// Conversion: what counts is who did it. The value means nothing.
	Conversion EventType = "Conversion"
	// Numeric: what counts is the mean of the value.
	Numeric EventType = "Numeric"
)

// TrackedEvent is what a program tracked, and what the datafile says of it.
type TrackedEvent struct {
	// Key is what the program named, which is the key of a FlagEvent.
	Key string
	// Type is the type of the FlagEvent.
	Type EventType
	// Unit is the unit of a Numeric event's value, such as EUR. It may be empty.
	Unit string
	// Revision is the number of the datafile that is served, 0 where there has been none yet.
	Revision int64
	// Context is the merged evaluation context.
	Context openfeature.EvaluationContext
	// Details are the value and the attributes that the program gave.
	Details openfeature.TrackingEventDetails
	// Err is ErrUnknownEvent or ErrNoDatafile where nothing is known of the key; then Type and Unit are empty. It is nil
	// otherwise.
	Err error
}

// OnTrack has track called for every event that the program tracks, by the goroutine that tracks it. It is where events
// are handed to whatever counts them: the provider sends nothing anywhere. Events that the datafile does not know are
// handed over with an Err rather than dropped, because most of them are a misspelt key or a FlagEvent that is not
// published yet.
func OnTrack(track func(context.Context, TrackedEvent)) Option {
	return func(p *Provider) { p.onTrack = track }
}

// Track hands an event to the callback of OnTrack. Without one it does nothing.
func (p *Provider) Track(
	ctx context.Context,
	key string,
	evaluation openfeature.EvaluationContext,
	details openfeature.TrackingEventDetails,
) {
	tracked := TrackedEvent{Key: key, Context: evaluation, Details: details}
	if snapshot := p.current.Load(); snapshot == nil {
		tracked.Err = fmt.Errorf("event %q: %w", key, ErrNoDatafile)
	} else {
		tracked.Revision = snapshot.header.Revision
		if event, known := snapshot.parts.events[key]; known {
			tracked.Type, tracked.Unit = EventType(event.value.Type), event.value.Unit
		} else {
			tracked.Err = fmt.Errorf("%w %q", ErrUnknownEvent, key)
		}
	}
	p.onTrack(ctx, tracked)
}
