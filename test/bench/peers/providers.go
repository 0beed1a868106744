// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	flagdprovider "github.com/open-feature/go-sdk-contrib/providers/flagd/pkg"
	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	jackstaff "github.com/jackstaff-dev/jackstaff/sdk/openfeature"
)

const (
	flagdFile   = "flagd.json"
	flagdModule = "github.com/open-feature/go-sdk-contrib/providers/flagd"
	// initTime is how long a provider may take to begin.
	initTime = time.Minute
)

// providers are the OpenFeature providers, behind the Go SDK. The first one is the SDK's own, which evaluates nothing;
// the second one is the floor.
func providers(dir string) ([]engine, error) {
	compiled := environment()
	m := &mount{dir: dir}
	if err := m.swap(
		map[string][]byte{datafile.FileName: datafileOf(compiled, 1), flagdFile: flagdOf(compiled, 1)},
	); err != nil {
		return nil, err
	}
	var all []engine
	for _, begin := range []func(string) (*client, error){beginNoop, beginByHand, beginOurs, beginTheirs} {
		begun, err := begin(dir)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, engine{name: begun.name, module: begun.module, close: begun.close, ask: begun.ask})
	}
	return all, nil
}

// client is an OpenFeature client of one provider.
type client struct {
	*openfeature.Client
	name, module string
	close        func()
}

func beginNoop(string) (*client, error) {
	return bind("the SDK's no-op provider", "github.com/open-feature/go-sdk", openfeature.NoopProvider{})
}

// handProvider is the floor behind the SDK. Unlike for its own no-op provider, the SDK asks for the state of any other
// provider before each evaluation.
type handProvider struct {
	openfeature.NoopProvider
	flags map[string]func(map[string]any) byHand
}

// BooleanEvaluation evaluates a flag that is written by hand.
func (p *handProvider) BooleanEvaluation(
	_ context.Context, key string, fallback bool, attributes openfeature.FlattenedContext,
) openfeature.BoolResolutionDetail {
	flag, found := p.flags[key]
	if !found {
		return openfeature.BoolResolutionDetail{
			Value: fallback,
			ProviderResolutionDetail: openfeature.ProviderResolutionDetail{
				ResolutionError: openfeature.NewFlagNotFoundResolutionError(key), Reason: openfeature.ErrorReason,
			},
		}
	}
	answer := flag(attributes)
	value, _ := answer.value.(bool)
	return openfeature.BoolResolutionDetail{Value: value, ProviderResolutionDetail: openfeature.ProviderResolutionDetail{
		Reason: openfeature.Reason(answer.reason), Variant: answer.variation,
	}}
}

func beginByHand(string) (*client, error) {
	return bind("written by hand", "", &handProvider{flags: floor()})
}

func beginOurs(dir string) (*client, error) {
	provider, err := jackstaff.NewProvider(dir)
	if err != nil {
		return nil, err
	}
	return bind("Jackstaff's provider", "", provider)
}

func beginTheirs(dir string) (*client, error) {
	// The provider tells every step to what is the standard error now.
	silence, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	stderr := os.Stderr
	os.Stderr = silence
	defer func() { os.Stderr = stderr }()
	provider, err := flagdprovider.NewProvider(
		flagdprovider.WithFileResolver(),
		flagdprovider.WithOfflineFilePath(
			filepath.Join(dir, flagdFile),
		),
		flagdprovider.WithDeadline(int(initTime.Milliseconds())),
	)
	if err != nil {
		return nil, err
	}
	return bind("flagd's provider", flagdModule, provider)
}

func bind(name, module string, provider openfeature.FeatureProvider) (*client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), initTime)
	defer cancel()
	api := isolated.NewAPI()
	if err := api.SetProviderAndWait(ctx, provider); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	shutdown := func() { _ = api.Shutdown(context.Background()) }
	return &client{Client: api.NewClient(), name: name, module: module, close: shutdown}, nil
}

func (c *client) ask(flag string, u user) question {
	ctx := context.Background()
	evaluationContext := openfeature.NewEvaluationContext(u.key, u.attributes())
	var last openfeature.BooleanEvaluationDetails
	var failure error
	return question{
		evaluate: func() { last, failure = c.BooleanValueDetails(ctx, flag, false, evaluationContext) },
		answer: func() (bool, error) {
			if failure != nil {
				return false, failure
			}
			return last.Value, must((last.Variant == "on") == last.Value, last)
		},
	}
}

// mount is a directory that changes as kubelet changes a mounted ConfigMap: in one step, by a link.
type mount struct {
	dir string
	n   int
}

func (m *mount) swap(files map[string][]byte) error {
	commit, err := m.prepare(files)
	if err != nil {
		return err
	}
	return commit()
}

// prepare writes the files of the next swap; commit swaps, and removes the files of the one before.
func (m *mount) prepare(files map[string][]byte) (commit func() error, err error) {
	m.n++
	next := fmt.Sprintf("..2026_11_22_10_20_30.%09d", m.n)
	if err := os.Mkdir(filepath.Join(m.dir, next), 0o755); err != nil {
		return nil, err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(m.dir, next, name), data, 0o644); err != nil {
			return nil, err
		}
	}
	return func() error {
		link := filepath.Join(m.dir, "..data")
		before, _ := os.Readlink(link)
		if err := os.Symlink(next, link+"_tmp"); err != nil {
			return err
		}
		if err := os.Rename(link+"_tmp", link); err != nil {
			return err
		}
		for name := range files {
			if err := os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name)); err != nil && !os.IsExist(err) {
				return err
			}
		}
		if before == "" {
			return nil
		}
		return os.RemoveAll(filepath.Join(m.dir, before))
	}, nil
}
