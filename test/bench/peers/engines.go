// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	flagdevaluator "github.com/open-feature/flagd/core/pkg/evaluator"
	"github.com/open-feature/flagd/core/pkg/logger"
	"github.com/open-feature/flagd/core/pkg/store"
	"github.com/open-feature/flagd/core/pkg/sync"
	"go.uber.org/zap"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// engine evaluates flags in one way.
type engine struct {
	name string
	// module is where the engine comes from, empty for the floor and ours.
	module string
	// ask prepares to evaluate a flag for a user. The context is in the form that the engine takes, which a program can
	// prepare once for many flags.
	ask func(flag string, u user) question
	// close ends what the engine has begun. It may be nil.
	close func()
}

// question is one flag for one user.
type question struct {
	// evaluate evaluates and keeps the answer, nothing more.
	evaluate func()
	// answer is the value of the last evaluation.
	answer func() (bool, error)
}

// evaluators are the floor, our engine and its peers, each with all flags.
func evaluators() ([]engine, error) {
	var all []engine
	for _, begin := range []func() (engine, error){
		beginFloor, beginJackstaff, beginFlagd, beginGoFeatureFlag, beginLaunchDarkly, beginGrowthBook, beginPostHog,
	} {
		begun, err := begin()
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, begun)
	}
	return all, nil
}

func closeAll(engines []engine) {
	for i := range engines {
		if engines[i].close != nil {
			engines[i].close()
		}
	}
}

func beginFloor() (engine, error) {
	flags := floor()
	return engine{name: "written by hand", ask: func(flag string, u user) question {
		attributes := u.context()
		var last byHand
		return question{
			evaluate: func() { last = flags[flag](attributes) },
			answer: func() (bool, error) {
				value, isBool := last.value.(bool)
				return value, must(isBool && (last.variation == "on") == value, last)
			},
		}
	}}, nil
}

func beginJackstaff() (engine, error) {
	prepared, err := prepare(datafileOf(environment(), 1))
	if err != nil {
		return engine{}, err
	}
	now := time.Now()
	return engine{name: "Jackstaff", ask: func(flag string, u user) question {
		attributes := u.context()
		var last evaluate.Result
		return question{
			evaluate: func() { last = prepared.Evaluate(flag, attributes, now) },
			answer: func() (bool, error) {
				value, isBool := last.Variation.Value.(bool)
				return value, must(isBool && (last.Variation.Key == "on") == value, last)
			},
		}
	}}, nil
}

// prepare reads a datafile as a server does.
func prepare(data []byte) (*evaluate.Engine, error) {
	document, err := datafile.Read(data)
	if err != nil {
		return nil, err
	}
	return evaluate.New(document)
}

func beginFlagd() (engine, error) {
	core, err := prepareFlagd(flagdOf(environment(), 1))
	if err != nil {
		return engine{}, err
	}
	ctx := context.Background()
	type result struct {
		value           bool
		variant, reason string
		err             error
	}
	return engine{
		name:   "flagd core",
		module: "github.com/open-feature/flagd/core",
		ask: func(flag string, u user) question {
			attributes := u.context()
			var last result
			return question{
				evaluate: func() {
					last.value, last.variant, last.reason, _, last.err = core.ResolveBooleanValue(ctx, "", flag, attributes)
				},
				answer: func() (bool, error) {
					if last.err != nil {
						return false, last.err
					}
					return last.value, must((last.variant == "on") == last.value, last)
				},
			}
		},
	}, nil
}

// prepareFlagd reads a flagd file as flagd does.
func prepareFlagd(data []byte) (*flagdevaluator.JSON, error) {
	log := logger.NewLogger(zap.NewNop(), false)
	flags, err := store.NewStore(log, []string{"file"})
	if err != nil {
		return nil, err
	}
	core := flagdevaluator.NewJSON(log, flags)
	return core, core.SetState(sync.DataSync{FlagData: string(data), Source: "file"})
}

// must returns an error that shows a result which is not plausible.
func must(plausible bool, result any) error {
	if plausible {
		return nil
	}
	return fmt.Errorf("implausible result %+v", result)
}
