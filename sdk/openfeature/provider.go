// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package jackstaff is an OpenFeature provider for workloads that mount the ConfigMap of a Jackstaff environment. It
// evaluates in process, without a network, and follows every revision that kubelet brings.
//
//	provider, err := jackstaff.NewProvider("/etc/flags")
//	err = openfeature.SetProviderAndWait(provider)
//	client := openfeature.NewDefaultClient()
//
// The package lies in a folder named openfeature and is not named so, because every program that uses it imports the
// SDK's package openfeature too.
//
// # Files
//
// The directory holds datafile.json, which is the whole document or, where the document is compressed, a header that
// names datafile.json.gz beside it. A changed file is noticed by a watch, and by a look at the files every 5 seconds,
// which catches what a watch cannot see and works where the kernel grants none. An evaluation never waits for a file.
//
// A document that cannot be used (missing, truncated, malformed, of an unknown major version, hostile) is refused whole
// once it has been there for 100 ms, and the last good one serves on.
//
// # State and events
//
//   - PROVIDER_READY: a document is served, and it is what the files say.
//   - PROVIDER_CONFIGURATION_CHANGED: another document is served. FlagChanges are the keys of flags that came, went or changed,
//     and of those that changed because an audience or a prerequisite of theirs did. A schedule that sets in raises no event.
//   - PROVIDER_STALE: the files hold something that cannot be used, and the last good document serves on.
//   - PROVIDER_ERROR: there has been no document yet. Initialization fails; PROVIDER_READY follows as soon as there is one.
//
// Events that nobody has received yet are merged, so a slow receiver sees fewer, and always the last state.
//
// # Stability
//
// The module is at v0: a name may change with a minor version, and the changelog says so. What a document means does
// not change without a new major version of the document: every later version of this package gives the same variation
// for it and the same context.
package jackstaff

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// ReasonPrerequisiteFailed is the reason of an evaluation in which another flag did not serve what this one requires.
// All other reasons are the SDK's own.
const ReasonPrerequisiteFailed openfeature.Reason = "PREREQUISITE_FAILED"

// The keys that WithAnswerMetadata adds to the flag metadata of every evaluation. They replace metadata of the same
// keys that the flag's author published.
const (
	// MetadataRevision is the number of the datafile that answered, an int64.
	MetadataRevision = "revision"
	// MetadataRule is the name of the rule that decided. It is absent where none did.
	MetadataRule = "rule"
	// MetadataFlagSetID is "project.environment", under the key that OpenFeature's telemetry reads as feature_flag.set.id.
	MetadataFlagSetID = "flagSetId"
	// MetadataVersion is the revision as a string, under the key that OpenFeature's telemetry reads as
	// feature_flag.version.
	MetadataVersion = "version"
)

// ErrNoDatafile says that there has been no usable datafile yet.
var ErrNoDatafile = errors.New("no datafile yet")

const providerName = "jackstaff"

// Provider answers from the datafile in a mounted directory. It is safe for concurrent use.
type Provider struct {
	dir      string
	onLoad   func(Load)
	onTrack  func(context.Context, TrackedEvent)
	describe bool
	now      func() time.Time
	watch    func() (*watcher, error)
	// heartbeat is nil where none is sent.
	heartbeat *Heartbeat

	current atomic.Pointer[snapshot]
	events  chan openfeature.Event

	// lifecycle guards what follows.
	lifecycle sync.Mutex
	follower  *follower // Nil while nothing is followed.
}

// The SDK finds out by assertion what a provider can do.
var (
	_ openfeature.FeatureProvider = (*Provider)(nil)
	_ openfeature.StateHandler    = (*Provider)(nil)
	_ openfeature.EventHandler    = (*Provider)(nil)
	_ openfeature.Tracker         = (*Provider)(nil)
)

// Option changes how a Provider works.
type Option func(*Provider)

// WithAnswerMetadata adds to the flag metadata of every evaluation what answered: revision, rule, flag set and version.
// Telemetry hooks and logs use it. Without it the metadata is what the flag's author published. It is not the default
// because the SDK copies the metadata of every evaluation, which makes an evaluation take about a quarter longer.
func WithAnswerMetadata() Option {
	return func(p *Provider) { p.describe = true }
}

// Load is what became of a datafile that was found.
type Load struct {
	// Revision is the number of the datafile that is served now, 0 where there has been none yet.
	Revision int64
	// Flags is how many flags are served now.
	Flags int
	// Duration is how long it took to read and prepare what was found.
	Duration time.Duration
	// Err says why what was found is not served. It is nil where it is.
	Err error
}

// OnLoad has load called for every datafile that is found, whether it is served or refused, and not again for the same
// bytes. It is meant for metrics and logs. It is called by Init and by the goroutine that follows the directory, never
// by two at once. It must return soon, and must not call Init, Shutdown or the SDK: the SDK keeps everybody waiting
// while it shuts a provider down, which waits for load. A handler of PROVIDER_CONFIGURATION_CHANGED may evaluate flags.
func OnLoad(load func(Load)) Option {
	return func(p *Provider) { p.onLoad = load }
}

// NewProvider makes a provider for the directory at which a workload mounts the ConfigMap. It touches no file until the
// SDK initializes it. It fails where dir is empty, and where a heartbeat's settings are wrong.
func NewProvider(dir string, options ...Option) (*Provider, error) {
	if dir == "" {
		return nil, errors.New("no directory: name the one at which the ConfigMap is mounted")
	}
	// A program may change its working directory later.
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("directory %q: %w", dir, err)
	}
	p := &Provider{
		dir:     absolute,
		onLoad:  func(Load) {},
		onTrack: func(context.Context, TrackedEvent) {},
		now:     time.Now, //nolint:forbidigo // It is the clock that is taken.
		watch:   newWatcher,
		events:  make(chan openfeature.Event),
	}
	for _, option := range options {
		option(p)
	}
	if p.heartbeat != nil {
		if err := p.heartbeat.check(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Init reads the datafile and begins to follow the directory. It fails where there is no usable datafile; the provider
// then becomes ready by itself as soon as there is one. The SDK calls it, once for each domain that the provider is set
// for.
func (p *Provider) Init(openfeature.EvaluationContext) error {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	if p.follower == nil {
		p.follower = follow(p)
	} else {
		p.follower.boundAgain()
	}
	if p.current.Load() == nil {
		return p.follower.failure()
	}
	return nil
}

// Shutdown stops following the directory and returns when everything has ended. The last datafile goes on being
// evaluated. Init begins anew.
func (p *Provider) Shutdown() {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	if p.follower != nil {
		p.follower.stop()
		p.follower = nil
	}
}

// Metadata names the provider.
func (p *Provider) Metadata() openfeature.Metadata { return openfeature.Metadata{Name: providerName} }

// Hooks returns none: what hooks of the SDK need is in the details of every evaluation.
func (p *Provider) Hooks() []openfeature.Hook { return nil }

// EventChannel returns the channel of the provider's events, always the same one, which is never closed.
func (p *Provider) EventChannel() <-chan openfeature.Event { return p.events }

// BooleanEvaluation evaluates a flag of type Boolean.
func (p *Provider) BooleanEvaluation(
	_ context.Context,
	key string,
	fallback bool,
	attributes openfeature.FlattenedContext,
) openfeature.BoolResolutionDetail {
	return evaluateAs(p, key, datafile.Boolean, fallback, attributes)
}

// StringEvaluation evaluates a flag of type String.
func (p *Provider) StringEvaluation(
	_ context.Context,
	key, fallback string,
	attributes openfeature.FlattenedContext,
) openfeature.StringResolutionDetail {
	return evaluateAs(p, key, datafile.String, fallback, attributes)
}

// FloatEvaluation evaluates a flag of type Number.
func (p *Provider) FloatEvaluation(
	_ context.Context,
	key string,
	fallback float64,
	attributes openfeature.FlattenedContext,
) openfeature.FloatResolutionDetail {
	return evaluateAs(p, key, datafile.Number, fallback, attributes)
}

// IntEvaluation evaluates a flag of type Number. It is a type mismatch where the number is not integral or does not fit
// an int64: a rounded number would be another value than the one that was published.
func (p *Provider) IntEvaluation(
	_ context.Context,
	key string,
	fallback int64,
	attributes openfeature.FlattenedContext,
) openfeature.IntResolutionDetail {
	number := evaluateAs(p, key, datafile.Number, 0.0, attributes)
	detail := openfeature.IntResolutionDetail{Value: fallback, ProviderResolutionDetail: number.ProviderResolutionDetail}
	switch value := number.Value; {
	case number.Reason == openfeature.ErrorReason:
	case value != math.Trunc(value) || value < math.MinInt64 || value >= math.MaxInt64: // As a float64, MaxInt64 is one more.
		detail.ProviderResolutionDetail = failed(openfeature.NewTypeMismatchResolutionError(
			fmt.Sprintf("flag %q has the value %v, which is no 64-bit integer", key, value)))
	default:
		detail.Value = int64(value)
	}
	return detail
}

// ObjectEvaluation evaluates a flag of type JSON. The value is a map[string]any or a []any of what encoding/json
// decodes, and the caller's own.
func (p *Provider) ObjectEvaluation(
	_ context.Context,
	key string,
	fallback any,
	attributes openfeature.FlattenedContext,
) openfeature.InterfaceResolutionDetail {
	detail := evaluateAs(p, key, datafile.JSON, fallback, attributes)
	if detail.Reason != openfeature.ErrorReason {
		detail.Value = clone(detail.Value)
	}
	return detail
}

// evaluateAs evaluates the flag of that key, which must have that type. T is the type that the engine gives values of
// it.
func evaluateAs[T any](
	p *Provider, key string, flagType datafile.FlagType, fallback T, attributes openfeature.FlattenedContext,
) (detail openfeature.GenericResolutionDetail[T]) {
	detail.Value = fallback
	snapshot := p.current.Load()
	if snapshot == nil {
		detail.ProviderResolutionDetail = failed(openfeature.NewProviderNotReadyResolutionError(ErrNoDatafile.Error()))
		return detail
	}
	flag, found := snapshot.flags[key]
	if !found {
		detail.ProviderResolutionDetail = failed(openfeature.NewFlagNotFoundResolutionError(
			fmt.Sprintf("the datafile does not serve a flag %q", key)))
		return detail
	}
	if flag.engine.Type != flagType {
		detail.ProviderResolutionDetail = failed(openfeature.NewTypeMismatchResolutionError(
			fmt.Sprintf("flag %q is of type %s", key, flag.engine.Type)))
		return detail
	}
	var instant time.Time
	if flag.engine.Scheduled() { // No other part of a flag needs the time.
		instant = p.now()
	}
	result := flag.engine.EvaluateConverting(attributes, instant, plainValue)
	if result.Variation != nil { // Else the flag leaves the value to the code.
		// The engine refuses documents in which a value is not of its flag's type.
		detail.Value, _ = result.Variation.Value.(T)
		detail.Variant = result.Variation.Key
	}
	detail.Reason = openfeature.Reason(
		result.Reason,
	) // The engine's have OpenFeature's names, but for ReasonPrerequisiteFailed.
	detail.FlagMetadata = maps.Clone(flag.metadata(result.Rule)) // The SDK's multi-provider writes into it.
	return detail
}

func failed(err openfeature.ResolutionError) openfeature.ProviderResolutionDetail {
	return openfeature.ProviderResolutionDetail{ResolutionError: err, Reason: openfeature.ErrorReason}
}

// clone copies a JSON value, because the engine's own is shared by all evaluations.
func clone(value any) any {
	switch v := value.(type) {
	case map[string]any:
		copied := make(map[string]any, len(v))
		for name, element := range v {
			copied[name] = clone(element)
		}
		return copied
	case []any:
		copied := make([]any, len(v))
		for i, element := range v {
			copied[i] = clone(element)
		}
		return copied
	default:
		return value
	}
}
