// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd

import (
	"context"
	"errors"
	"maps"
	"math"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep/wire"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// Counter counts evaluations.
type Counter interface {
	// Evaluated counts the answer that a context, which it must not change, got in an environment at a time.
	Evaluated(environment *store.Environment, result *evaluate.Result, context map[string]any, now time.Time)
}

// question is a request for one flag, of either version.
type question interface {
	GetFlagKey() string
	GetContext() *structpb.Struct
}

// answer is what both versions say of a flag. They differ where there is no value.
type answer struct {
	key, reason string
	// variant and value are nil where the flag leaves the value to the code that asks.
	variant  *string
	value    any
	metadata *structpb.Struct
}

// The codes are those that flagd has for its errors, by which OpenFeature's providers know them.
var (
	errFlagNotFound = connect.NewError(
		connect.CodeNotFound, errors.New("FLAG_NOT_FOUND: the environment has no flag of that key"),
	)
	errCodeDefault = connect.NewError(
		connect.CodeNotFound, errors.New("FLAG_NOT_FOUND: the flag leaves the value to the code that asks"),
	)
)

func typeMismatch(is string) error {
	return connect.NewError(connect.CodeInvalidArgument, errors.New("TYPE_MISMATCH: "+is))
}

func parseError(err error) error {
	return connect.NewError(connect.CodeDataLoss, errors.New("PARSE_ERROR: "+err.Error()))
}

// resolve evaluates one flag of a type.
func (h *handler) resolve(ctx context.Context, asked question, of datafile.FlagType) (*answer, error) {
	from, attributes, err := h.begin(ctx, asked.GetContext())
	if err != nil {
		return nil, err
	}
	now, revision := h.clock.Now(), from.environment.Revision()
	result := evaluate.Result{Reason: evaluate.FlagNotFound}
	spending := h.server.Spend(ctx, from.environment, server.StepsOfOne)
	defer spending.End()
	if flag, found := from.engine(revision).Flag(asked.GetFlagKey()); found {
		if result, err = flag.EvaluateWithin(attributes, now, &spending.Budget); err != nil {
			return nil, exceeded(ctx, err)
		}
	}
	spending.End() // A client that does not read its answer holds no processor.
	h.counter.Evaluated(from.environment, &result, attributes, now)
	switch {
	case result.Flag == nil:
		return nil, refuse(ctx, errFlagNotFound)
	case result.Flag.Type != of:
		return nil, refuse(ctx, typeMismatch("the flag is of type "+string(result.Flag.Type)))
	}
	return from.answer(revision, &result), nil
}

// begin reads who asks and with which context.
func (h *handler) begin(ctx context.Context, in *structpb.Struct) (*origin, map[string]any, error) {
	from, err := h.open(ctx, "")
	if err != nil {
		return nil, nil, refuse(ctx, err)
	}
	attributes := in.AsMap()
	if err := wire.CheckContext(attributes); err != nil {
		return nil, nil, refuse(ctx, parseError(err))
	}
	if key, has := attributes["targetingKey"]; has && key != nil {
		if _, is := key.(string); !is {
			return nil, nil, refuse(ctx, parseError(errors.New("the targetingKey is not a string")))
		}
	}
	return from, attributes, nil
}

// exceeded is the answer to evaluations that were ended before they were done.
func exceeded(ctx context.Context, err error) error {
	if errors.Is(err, evaluate.ErrBudget) {
		return refuse(ctx, parseError(err))
	}
	return refuse(ctx, server.Refusal(err))
}

// engine evaluates what the origin may see of a revision.
func (o *origin) engine(of *store.Revision) *evaluate.Engine { return of.EngineOf(o.kind) }

// answer is the answer for a flag that was found. Its metadata are those of the set, and for servers those of the flag,
// which go before.
func (o *origin) answer(revision *store.Revision, result *evaluate.Result) *answer {
	said := &answer{key: result.Flag.Key, reason: string(result.Reason), metadata: o.metadata(revision)}
	if result.Reason == evaluate.PrerequisiteFailed {
		said.reason = string(evaluate.Default) // The protocol has no word for it.
	}
	if result.Variation != nil {
		said.variant, said.value = &result.Variation.Key, result.Variation.Value
	}
	if o.kind == store.ServerKey {
		for name, value := range result.Flag.Metadata {
			said.metadata.Fields[name] = structpb.NewStringValue(value)
		}
	}
	return said
}

// metadata are those of the whole set, whose names OpenTelemetry's conventions know.
func (o *origin) metadata(revision *store.Revision) *structpb.Struct {
	return &structpb.Struct{Fields: map[string]*structpb.Value{
		"flagSetId": structpb.NewStringValue(o.environment.SetID),
		"version":   structpb.NewStringValue(strconv.FormatInt(revision.Number, 10)),
	}}
}

// valueOf is the value of an answer, and nil where there is none.
func valueOf[T any](said *answer) *T {
	if value, is := said.value.(T); is {
		return &value
	}
	return nil
}

// integer is the value as an integer, without its fraction, as flagd gives it. It fails where no int64 holds it.
func (a *answer) integer() (*int64, error) {
	value := valueOf[float64](a)
	if value == nil {
		return nil, nil
	}
	if math.Abs(*value) >= 1<<63 {
		return nil, typeMismatch("the value is no 64-bit integer")
	}
	return new(int64(*value)), nil
}

// object is the value as an object. It fails where that is an array, which the protocol cannot carry.
func (a *answer) object() (*structpb.Struct, error) {
	if a.value == nil {
		return nil, nil
	}
	value := valueOf[map[string]any](a)
	if value == nil {
		return nil, typeMismatch("the value is an array, which the protocol cannot carry; put it into an object")
	}
	return structpb.NewStruct(*value)
}

// resolveAll evaluates every flag, calls each with the answer, and returns the metadata of the set.
func (h *handler) resolveAll(ctx context.Context, in *structpb.Struct, each func(*answer)) (*structpb.Struct, error) {
	from, attributes, err := h.begin(ctx, in)
	if err != nil {
		return nil, err
	}
	now, revision := h.clock.Now(), from.environment.Revision()
	spending := h.server.Spend(ctx, from.environment, server.StepsOfAll)
	defer spending.End()
	for flag := range from.engine(revision).Flags() {
		result, err := flag.EvaluateWithin(attributes, now, &spending.Budget)
		if err != nil {
			return nil, exceeded(ctx, err)
		}
		h.counter.Evaluated(from.environment, &result, attributes, now)
		each(from.answer(revision, &result))
	}
	return from.metadata(revision), nil
}

// The types of events.
const (
	eventReady     = "provider_ready"
	eventChange    = "configuration_change"
	eventKeepAlive = "keep_alive"
	eventShutdown  = "provider_shutdown"
)

// events sends what becomes of the flags: that the stream is open, which of them change, by a revision or a schedule,
// and that the stream is alive. It ends as SyncFlags does.
func (h *handler) events(ctx context.Context, send func(event string, data *structpb.Struct) error) error {
	from, err := h.open(ctx, "")
	if err != nil {
		return refuse(ctx, err)
	}
	x := exchangeOf(ctx)
	release, err := server.TakeStream(x.request, from.environment, from.kind)
	if err != nil {
		return refuse(ctx, err)
	}
	defer release()
	tell := func(event string, data *structpb.Struct) error {
		x.setDeadline(h.clock.Now().Add(writeTimeout))
		defer x.setDeadline(time.Time{})
		return send(event, data)
	}
	known, at := from.environment.Revision(), h.clock.Now()
	if err := tell(eventReady, nil); err != nil {
		return err
	}
	err = h.follow(ctx, from, following{
		changed: func() (time.Time, error) {
			revision, now := from.environment.Revision(), h.clock.Now()
			changes := changesOf(revision, known, from.kind, at, now)
			known, at = revision, now
			_, until := from.engine(revision).Instants(now)
			if len(changes) == 0 {
				return until, nil
			}
			return until, tell(eventChange, changedFlags(changes))
		},
		beat: func() error { return tell(eventKeepAlive, nil) },
	})
	if errors.Is(err, errStopping) {
		_ = tell(eventShutdown, nil) // Nobody is left to be told of an error.
	}
	return err
}

// changesOf is what became of flags since a client was told last.
func changesOf(
	revision, known *store.Revision,
	kind store.KeyKind,
	at, now time.Time,
) map[string]store.Change {
	var changes map[string]store.Change
	if revision != known {
		changes = revision.ChangesSince(known, kind)
	}
	if last, _ := revision.EngineOf(kind).Instants(now); !last.After(at) {
		return changes
	}
	changes = maps.Clone(changes)
	if changes == nil {
		changes = map[string]store.Change{}
	}
	for _, key := range revision.ScheduledBetween(at, now, kind) {
		if _, told := changes[key]; !told {
			changes[key] = store.Updated
		}
	}
	return changes
}

// changeTypes are flagd's words for changes.
var changeTypes = map[store.Change]string{store.Added: "write", store.Updated: "update", store.Removed: "delete"}

// changedFlags are changes as the data of an event.
func changedFlags(changes map[string]store.Change) *structpb.Struct {
	flags := make(map[string]*structpb.Value, len(changes))
	for key, change := range changes {
		flags[key] = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
			"type": structpb.NewStringValue(changeTypes[change]),
		}})
	}
	return &structpb.Struct{Fields: map[string]*structpb.Value{
		"flags": structpb.NewStructValue(&structpb.Struct{Fields: flags}),
	}}
}
