// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"net/url"
	"path/filepath"
	"slices"

	"github.com/jackstaff-dev/jackstaff/internal/manifests"
)

// The types below are the part of SARIF 2.1.0 that a list of problems needs
// (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html).

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool    sarifTool     `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version,omitempty"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID string `json:"id"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	RuleIndex int             `json:"ruleIndex"`
	Level     string          `json:"level"`
	Message   sarifMessage    `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

type sarifMessage struct {
	Text string `json:"text"`
}

type sarifLocation struct {
	PhysicalLocation sarifPhysicalLocation `json:"physicalLocation"`
	LogicalLocations []sarifLogical        `json:"logicalLocations,omitempty"`
}

type sarifPhysicalLocation struct {
	ArtifactLocation sarifArtifact `json:"artifactLocation"`
	Region           sarifRegion   `json:"region"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
}

type sarifLogical struct {
	FullyQualifiedName string `json:"fullyQualifiedName"`
}

// printSARIF prints what code scanning services read.
func (a *App) printSARIF(found *validationReport) error {
	run := sarifRun{
		Tool: sarifTool{Driver: sarifDriver{
			Name:           "jackstaff",
			Version:        a.Version,
			InformationURI: "https://github.com/jackstaff-dev/jackstaff",
			Rules:          []sarifRule{},
		}},
		Results: []sarifResult{},
	}
	for _, problem := range found.Problems {
		rule := sarifRule{ID: problem.Rule}
		index := slices.Index(run.Tool.Driver.Rules, rule)
		if index < 0 {
			index = len(run.Tool.Driver.Rules)
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule)
		}
		run.Results = append(run.Results, sarifResult{
			RuleID: problem.Rule, RuleIndex: index, Level: string(problem.Severity),
			Message: sarifMessage{Text: sarifText(problem)}, Locations: []sarifLocation{sarifPlace(problem)},
		})
	}
	return a.printJSON(
		sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}},
	)
}

func sarifText(problem manifests.Problem) string {
	if problem.Field == "" {
		return problem.Message
	}
	return problem.Field + ": " + problem.Message
}

func sarifPlace(problem manifests.Problem) sarifLocation {
	uri := url.URL{Path: filepath.ToSlash(problem.File)}
	location := sarifLocation{PhysicalLocation: sarifPhysicalLocation{
		ArtifactLocation: sarifArtifact{URI: uri.String()},
		Region:           sarifRegion{StartLine: problem.Line, StartColumn: problem.Column},
	}}
	if problem.Object != "" {
		location.LogicalLocations = []sarifLogical{{FullyQualifiedName: problem.Object}}
	}
	return location
}
