// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/xml"
	"strings"

	"github.com/jackstaff-dev/jackstaff/internal/quote"
)

const junitOutput = "junit"

func (a *App) printResults(results []testResult) {
	failed := 0
	for _, result := range results {
		if len(result.failures) == 0 {
			a.printf("%s    %s: %s\n", a.paint(green, "ok"), result.file, result.name)
			continue
		}
		failed++
		a.printf("%s  %s: %s\n", a.paint(red, "FAIL"), result.file, result.name)
		for _, failure := range result.failures {
			a.printf("      %s\n", failure)
		}
	}
	a.printf("%s, %d failed\n", count(len(results), "case"), failed)
}

// testReport is what -o json prints.
type testReport struct {
	Cases  []testReportCase `json:"cases"`
	Failed int              `json:"failed"`
}

type testReportCase struct {
	File     string   `json:"file"`
	Name     string   `json:"name"`
	Passed   bool     `json:"passed"`
	Failures []string `json:"failures,omitempty"`
}

func newTestReport(results []testResult) *testReport {
	report := &testReport{Cases: make([]testReportCase, len(results))}
	for i, result := range results {
		report.Cases[i] = testReportCase{result.file, result.name, len(result.failures) == 0, result.failures}
		if len(result.failures) > 0 {
			report.Failed++
		}
	}
	return report
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	Failure   *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
}

func (a *App) printJUnit(results []testResult) error {
	report := junitSuites{}
	for _, result := range results {
		last := len(report.Suites) - 1
		if last < 0 || report.Suites[last].Name != result.file {
			report.Suites = append(report.Suites, junitSuite{Name: result.file})
			last++
		}
		suite := &report.Suites[last]
		suite.Tests++
		entry := junitCase{Name: result.name, ClassName: result.file}
		if len(result.failures) > 0 {
			suite.Failures++
			entry.Failure = &junitFailure{Message: strings.Join(result.failures, "; ")}
		}
		suite.Cases = append(suite.Cases, entry)
	}
	data, err := xml.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	a.printf("%s%s\n", safe(xml.Header), safe(quote.XML(data)))
	return nil
}
