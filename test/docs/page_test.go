// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs_test runs every shell block of README and docs from its text, page by page, on the operator and the
// control plane that `make run` starts. CONTRIBUTING says which comments in a page tell it what to do with a block.
package docs_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// kind is what is done with a step.
type kind int

const (
	// run runs the text as a shell script.
	run kind = iota
	// fail runs the text, whose last command has to be refused.
	fail
	// prepare runs the text, which readers do not see: what the page takes for granted.
	prepare
	// file writes the text into a file that later steps read.
	file
	// output is what the step before must have printed.
	output
	// notRun is a block that no test can run.
	notRun
	// as says whose rights the steps below have.
	as
)

// step is one thing that a page tells its reader, in order.
type step struct {
	kind kind
	// line is where it begins in the page, counted from 1.
	line int
	// text is the content of the block.
	text string
	// argument is the file's name, the reason why a block is not run, or the role.
	argument string
	// within is how long each line of a block that is run may take, and 0 where nobody says.
	within time.Duration
}

// shells are the info strings of blocks that a reader types.
var shells = []string{"sh", "shell", "bash", "console"}

// generated begin the comments that belong to generators.
var generated = []string{"packages"}

var (
	fence   = regexp.MustCompile("^( *)(```+)([^`]*)$")
	comment = regexp.MustCompile(`^ *<!-- ([^:>]*[^:> ])(?:: ?(.*?))? *(-->)?$`)
)

// parse returns the steps of a page.
func parse(page string) ([]step, error) {
	var steps []step
	var next *step // What a comment says about the block that follows it.
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		line := i + 1
		switch {
		case fence.MatchString(lines[i]):
			var language, text string
			language, text, i = block(lines, i)
			added, err := blockSteps(next, line, language, text)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", line, err)
			}
			steps, next = append(steps, added...), nil
		case comment.MatchString(lines[i]):
			if next != nil {
				return nil, fmt.Errorf("line %d: two comments for one block", line)
			}
			s, last, err := directive(lines, i)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", line, err)
			}
			i = last
			switch {
			case s == nil:
			case s.kind == prepare || s.kind == as:
				steps = append(steps, *s)
			default:
				next = s
			}
		case next != nil && strings.TrimSpace(lines[i]) != "":
			return nil, fmt.Errorf("line %d: the comment above is for a block, which does not follow", line)
		}
	}
	return steps, nil
}

// block returns the block whose fence is line i, without its indentation, and where it ends.
func block(lines []string, i int) (language, text string, end int) {
	opening := fence.FindStringSubmatch(lines[i])
	language, _, _ = strings.Cut(opening[3], " ")
	var body strings.Builder
	for end = i + 1; end < len(lines) && strings.TrimSpace(lines[end]) != opening[2]; end++ {
		body.WriteString(strings.TrimPrefix(lines[end], opening[1]) + "\n")
	}
	return language, body.String(), end
}

// directive reads the comment that begins at line i. Other comments are of generators.
func directive(lines []string, i int) (s *step, last int, err error) {
	parts := comment.FindStringSubmatch(lines[i])
	name, argument, closed := parts[1], parts[2], parts[3] != ""
	if slices.Contains(generated, name) {
		return nil, i, nil
	}
	s = &step{line: i + 1, argument: argument}
	needsArgument := true
	switch name {
	case "not run":
		s.kind = notRun
	case "file":
		s.kind = file
	case "as":
		s.kind = as
	case "within":
		if s.within, err = time.ParseDuration(argument); err != nil || s.within <= 0 {
			return nil, i, fmt.Errorf("%q is no duration of a line", argument)
		}
		s.kind, s.argument = run, ""
	case "output":
		s.kind, needsArgument = output, false
	case "fails":
		s.kind, needsArgument = fail, false
	case "prepare":
		s.kind, needsArgument = prepare, false
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != "-->"; i++ {
			s.text += lines[i] + "\n"
		}
		closed = i < len(lines)
	default:
		return nil, i, fmt.Errorf("the comment %q means nothing here", name)
	}
	if !closed {
		return nil, i, fmt.Errorf("the comment %q has no end", name)
	}
	if needsArgument != (argument != "") {
		return nil, i, fmt.Errorf("the comment %q: the text after the colon is missing, or one too much", name)
	}
	return s, i, nil
}

// blockSteps are those of a block, about which the comment before it may say something.
func blockSteps(said *step, line int, language, text string) ([]step, error) {
	shell := slices.Contains(shells, language)
	switch {
	case said == nil && !shell:
		return nil, nil
	case said == nil && language == "console":
		return console(line, text), nil
	case said == nil:
		return []step{{kind: run, line: line, text: text}}, nil
	case (said.kind == notRun || said.kind == fail || said.kind == run) != shell,
		said.kind == run && language == "console":
		return nil, fmt.Errorf("the comment before the block is not for one of %q", language)
	case said.kind == fail && language == "console":
		steps := console(line, text)
		for i := range steps {
			if steps[i].kind == run {
				steps[i].kind = fail
			}
		}
		return steps, nil
	case said.kind == notRun:
		return []step{{kind: notRun, line: line, argument: said.argument}}, nil
	default:
		return []step{{kind: said.kind, line: line, text: text, argument: said.argument, within: said.within}}, nil
	}
}

// console splits a terminal's text into commands, after "$ ", and what they print.
func console(line int, text string) []step {
	var steps []step
	continued := false
	for i, row := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		command, prompt := strings.CutPrefix(row, "$ ")
		switch {
		case prompt:
			steps = append(steps, step{kind: run, line: line + 1 + i, text: command + "\n"})
		case continued:
			steps[len(steps)-1].text += row + "\n"
		case len(steps) > 0 && steps[len(steps)-1].kind == output:
			steps[len(steps)-1].text += row + "\n"
		default:
			steps = append(steps, step{kind: output, line: line + 1 + i, text: row + "\n"})
		}
		continued = (prompt || continued) && strings.HasSuffix(row, `\`)
	}
	return steps
}

var spaces = regexp.MustCompile(`[ \t]+`)

// matches reports whether a command printed what the page says. There, a line of "…" stands for any lines, and "…" in
// a line for any text. Columns may be of other widths.
func matches(said, printed string) bool {
	var pattern strings.Builder
	pattern.WriteString(`^`)
	for line := range strings.Lines(said) {
		line = strings.TrimRight(spaces.ReplaceAllString(line, " "), " \n")
		if line == "…" {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + "\n")
	}
	pattern.WriteString(`$`)
	var normal strings.Builder
	for line := range strings.Lines(printed) {
		normal.WriteString(strings.TrimRight(spaces.ReplaceAllString(line, " "), " \n") + "\n")
	}
	return regexp.MustCompile(pattern.String()).MatchString(normal.String())
}
