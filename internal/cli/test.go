// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/manifests"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// testSuffixes end the names of test files that are found in directories.
var testSuffixes = []string{"_test.yaml", "_test.yml"}

// testFile is a file of flag tests. docs/cli.md describes the format.
type testFile struct {
	// Manifests are files and directories, relative to the test file.
	Manifests []string `json:"manifests"`
	// Namespace is that of the flags. Empty means the only one of the manifests.
	Namespace string `json:"namespace"`
	// Environment is where the flags are evaluated, where a case does not say otherwise.
	Environment string     `json:"environment"`
	Cases       []testCase `json:"cases"`
}

type testCase struct {
	Name        string           `json:"name"`
	Environment string           `json:"environment"`
	Flag        string           `json:"flag"`
	Context     evaluate.Context `json:"context"`
	At          string           `json:"at"`
	Expect      testExpectation  `json:"expect"`
}

// testExpectation is what a case expects. What is left out may be anything.
type testExpectation struct {
	Variation *string          `json:"variation"`
	Value     json.RawMessage  `json:"value"`
	Reason    *evaluate.Reason `json:"reason"`
	// Rule is empty where no rule is to decide.
	Rule *string `json:"rule"`
}

// testResult is what came of one case.
type testResult struct {
	file, name string
	failures   []string
}

func (a *App) testCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "test PATH...",
		Short: "Run flag tests: which context gets which variation",
		Long: "Run the flag tests in files, and in directories in all files below them whose names end in _test.yaml or " +
			"_test.yml. A test\n" +
			"file names manifests, an environment, and cases of a flag, a context and what is expected:\n\n" +
			"  manifests: [../flags]\n" +
			"  environment: production\n" +
			"  cases:\n" +
			"  - name: beta users see the new checkout\n" +
			"    flag: new_checkout\n" +
			"    context: {targetingKey: alice, plan: beta}\n" +
			"    at: 2027-03-15T09:00:00Z\n" +
			"    expect: {variation: \"on\", value: true, reason: TARGETING_MATCH, rule: beta-users}\n\n" +
			"The exit code is 1 where a case fails.",
		Example: "  jackstaff test deploy/flags\n  jackstaff test -o junit deploy/flags >report.xml",
		GroupID: filesGroup,
		Args:    cobra.MinimumNArgs(1),
		RunE: a.run(func(cmd *cobra.Command, paths []string) error {
			if output != textOutput && output != jsonOutput && output != junitOutput {
				return usagef("--output is %s, %s or %s", textOutput, jsonOutput, junitOutput)
			}
			results, err := a.runTests(cmd.Context(), paths)
			if err != nil {
				return err
			}
			switch output {
			case junitOutput:
				err = a.printJUnit(results)
			case jsonOutput:
				err = a.printJSON(newTestReport(results))
			default:
				a.printResults(results)
			}
			for _, result := range results {
				if len(result.failures) > 0 {
					return errors.Join(err, errReported)
				}
			}
			return err
		}),
	}
	cmd.Flags().StringVarP(&output, "output", "o", textOutput, "The format: text, json or junit.")
	return cmd
}

// runTests runs the tests of all files in the order of the files.
func (a *App) runTests(ctx context.Context, paths []string) ([]testResult, error) {
	files, err := manifests.ReadFiles(paths, a.Streams.In)
	if err != nil {
		return nil, err
	}
	var results []testResult
	found := false
	for _, file := range files {
		if !isTest(file.Name) && !named(paths, file.Name) {
			continue
		}
		found = true
		test := &testFile{}
		data, err := manifests.ToJSON(file.Data)
		if err == nil {
			err = yaml.UnmarshalStrict(data, test)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file.Name, err)
		}
		suite := &testSuite{app: a, file: file.Name, test: test, engines: map[string]*evaluate.Engine{},
			flags: map[string][]*v1alpha1.FeatureFlag{}}
		for i := range test.Cases {
			result, err := suite.run(ctx, i)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file.Name, err)
			}
			results = append(results, result)
		}
	}
	if !found {
		return nil, fmt.Errorf("no files that end in %s in %s", strings.Join(testSuffixes, " or "), strings.Join(paths, ", "))
	}
	return results, nil
}

func isTest(name string) bool {
	return strings.HasSuffix(name, testSuffixes[0]) || strings.HasSuffix(name, testSuffixes[1])
}

// named reports whether a file was named itself, and not only its directory.
func named(paths []string, name string) bool {
	for _, path := range paths {
		if path == manifests.Stdin || filepath.Clean(path) == name {
			return true
		}
	}
	return false
}

// testSuite runs the cases of one file.
type testSuite struct {
	app  *App
	file string
	test *testFile
	// manifests are read, and engines prepared, on first use.
	manifests []manifests.File
	engines   map[string]*evaluate.Engine // By environment.
	flags     map[string][]*v1alpha1.FeatureFlag
}

// engine returns what evaluates an environment.
func (s *testSuite) engine(ctx context.Context, environment string) (*evaluate.Engine, error) {
	if engine, known := s.engines[environment]; known {
		return engine, nil
	}
	if s.manifests == nil {
		paths := make([]string, len(s.test.Manifests))
		for i, path := range s.test.Manifests {
			if paths[i] = path; !filepath.IsAbs(path) {
				paths[i] = filepath.Join(filepath.Dir(s.file), path)
			}
		}
		var err error
		if s.manifests, err = manifests.Read(paths, nil); err != nil {
			return nil, fmt.Errorf("manifests: %w", err)
		}
	}
	rendered, err := s.app.compileFiles(ctx, s.manifests, project{namespace: s.test.Namespace, environment: environment})
	if err != nil {
		return nil, err
	}
	document, err := rendered.document()
	if err != nil {
		return nil, err
	}
	s.flags[environment] = rendered.flags
	s.engines[environment], err = evaluate.New(document)
	return s.engines[environment], err
}

// run runs one case. It fails where the file is wrong, which is no failure of the case.
func (s *testSuite) run(ctx context.Context, i int) (testResult, error) {
	test := &s.test.Cases[i]
	result := testResult{file: s.file, name: test.Name}
	if result.name == "" {
		result.name = fmt.Sprintf("%s, case %d", test.Flag, i+1)
	}
	environment := test.Environment
	if environment == "" {
		environment = s.test.Environment
	}
	if test.Flag == "" || environment == "" || len(s.test.Manifests) == 0 {
		return result, fmt.Errorf("case %q: manifests, environment and flag are required", result.name)
	}
	if test.Expect.empty() {
		return result, fmt.Errorf("case %q expects nothing: give expect a variation, value, reason or rule", result.name)
	}
	now := s.app.Clock.Now()
	if test.At != "" {
		var err error
		if now, err = time.Parse(time.RFC3339, test.At); err != nil {
			return result, fmt.Errorf("case %q: at is an RFC 3339 time, such as 2027-03-15T09:00:00Z", result.name)
		}
	}
	engine, err := s.engine(ctx, environment)
	if err != nil {
		return result, err
	}
	got := engine.Evaluate(test.Flag, test.Context, now)
	if got.Reason == evaluate.FlagNotFound && !test.Expect.wants(evaluate.FlagNotFound) {
		result.failures = []string{s.noFlag(test.Flag, environment)}
		return result, nil
	}
	result.failures, err = test.Expect.check(newEvaluation(test.Flag, got))
	if len(result.failures) > 0 {
		result.failures = append(result.failures, s.hints(test, environment)...)
	}
	return result, err
}

// noFlag says that there is no flag of a key, and which keys are near. A flag's name is not its key.
func (s *testSuite) noFlag(key, environment string) string {
	message := fmt.Sprintf("environment %q has no flag of the key %q", environment, key)
	for _, flag := range s.flags[environment] {
		if flag.Name == key && flag.Key() != key {
			return message + fmt.Sprintf("; FeatureFlag %q has the key %q", flag.Name, flag.Key())
		}
	}
	var keys []string
	for _, flag := range s.flags[environment] {
		if flag.Key() == key {
			return message + fmt.Sprintf("; FeatureFlag %q is archived or left out", flag.Name)
		}
		keys = append(keys, flag.Key())
	}
	return message + validation.DidYouMean(key, keys)
}

// hints say of a case that failed what the flag does not have that the case expects.
func (s *testSuite) hints(test *testCase, environment string) []string {
	index := slices.IndexFunc(s.flags[environment], func(flag *v1alpha1.FeatureFlag) bool {
		return flag.Key() == test.Flag && !flag.Spec.Archived
	})
	if index < 0 {
		return nil
	}
	flag := s.flags[environment][index]
	var variations, rules, hints []string
	for i := range flag.Spec.Variations {
		variations = append(variations, flag.Spec.Variations[i].Key)
	}
	if config := flag.In(environment); config != nil {
		for i := range config.Rules {
			rules = append(rules, config.Rules[i].Name)
		}
	}
	if wanted := test.Expect.Variation; wanted != nil && *wanted != "" && !slices.Contains(variations, *wanted) {
		hint := fmt.Sprintf("the flag has no variation %q%s", *wanted, validation.DidYouMean(*wanted, variations))
		if *wanted == "true" || *wanted == "false" {
			hint += "; YAML takes on, off, yes and no for booleans: write \"on\" and \"off\" in quotes"
		}
		hints = append(hints, hint)
	}
	if wanted := test.Expect.Rule; wanted != nil && *wanted != "" && !slices.Contains(rules, *wanted) {
		hints = append(
			hints,
			fmt.Sprintf("the flag has no rule %q in %s%s", *wanted, environment, validation.DidYouMean(*wanted, rules)),
		)
	}
	return hints
}

// wants reports whether a reason is expected.
func (e *testExpectation) wants(reason evaluate.Reason) bool {
	return e.Reason != nil && *e.Reason == reason
}

func (e *testExpectation) empty() bool {
	return e.Variation == nil && len(e.Value) == 0 && e.Reason == nil && e.Rule == nil
}

// check says what is not as it is expected.
func (e *testExpectation) check(got *evaluation) ([]string, error) {
	var failures []string
	expect := func(what, have, want string) {
		if have != want {
			failures = append(failures, fmt.Sprintf("%s is %s, want %s", what, have, want))
		}
	}
	if e.Variation != nil {
		expect("variation", strconv.Quote(got.Variation), strconv.Quote(*e.Variation))
	}
	if len(e.Value) > 0 {
		want, err := datafile.Canonical(e.Value)
		if err != nil {
			return nil, fmt.Errorf("expect.value: %w", err)
		}
		expect("value", string(got.Value), string(want))
	}
	if e.Reason != nil {
		expect("reason", string(got.Reason), string(*e.Reason))
	}
	if e.Rule != nil {
		expect("rule", strconv.Quote(got.Rule), strconv.Quote(*e.Rule))
	}
	return failures, nil
}

// The types below are what readers of JUnit's XML agree on (https://github.com/testmoapp/junitxml).
