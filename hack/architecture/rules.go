// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// module is the prefix of the import paths of all our modules.
const module = "github.com/jackstaff-dev/jackstaff/"

// rule is one depguard rule of the linter's configuration.
type rule struct {
	name  string
	Mode  string   `json:"list-mode"`
	Files []string `json:"files"`
	Allow []string `json:"allow"`
	Deny  []struct {
		Package string `json:"pkg"`
	} `json:"deny"`
}

// readRules returns the depguard rules of the configuration that speak of certain folders, sorted by name.
func readRules(configuration []byte) ([]rule, error) {
	var file struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]rule `json:"rules"`
				} `json:"depguard"`
			} `json:"settings"`
		} `json:"linters"`
	}
	if err := yaml.Unmarshal(configuration, &file); err != nil {
		return nil, fmt.Errorf("read the linter's rules: %w", err)
	}
	var rules []rule
	for name, r := range file.Linters.Settings.Depguard.Rules {
		// What holds for every package is said above the table, not in each of its rows.
		if len(r.Files) == 0 || slices.Contains(r.Files, "$all") {
			continue
		}
		if r.Mode != "strict" && r.Mode != "lax" {
			return nil, fmt.Errorf("depguard rule %s: list-mode is strict or lax, not %q", name, r.Mode)
		}
		r.name = name
		rules = append(rules, r)
	}
	slices.SortFunc(rules, func(a, b rule) int { return strings.Compare(a.name, b.name) })
	return rules, nil
}

// covers reports whether the rule speaks of the files of a folder that are no tests.
func (r rule) covers(folder string) bool {
	file := path.Join("/", folder, "file.go")
	covered := false
	for _, pattern := range r.Files {
		negative := strings.HasPrefix(pattern, "!")
		pattern = strings.TrimPrefix(pattern, "!")
		if pattern == "$test" || !glob(pattern).MatchString(file) {
			continue
		}
		if negative {
			return false
		}
		covered = true
	}
	return covered
}

// glob makes a regular expression of depguard's patterns: ** is any path, * anything within one folder.
func glob(pattern string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(pattern)
	quoted = strings.ReplaceAll(quoted, `\*\*`, "\x00")
	quoted = strings.ReplaceAll(quoted, `\*`, `[^/]*`)
	return regexp.MustCompile("^" + strings.ReplaceAll(quoted, "\x00", ".*") + "$")
}

// imports says in words what the rule allows: our own packages first, then the libraries.
func (r rule) imports() string {
	var own, libraries []string
	names := r.Allow
	for _, denied := range r.Deny {
		names = append(names, denied.Package)
	}
	for _, name := range names {
		switch short, isOwn := strings.CutPrefix(name, module); {
		case name == "$gostd":
		case isOwn:
			own = append(own, "`"+short+"`")
		default:
			libraries = append(libraries, "`"+name+"`")
		}
	}
	slices.Sort(own)
	slices.Sort(libraries)
	all := slices.Concat(own, libraries)
	switch {
	case r.Mode == "lax":
		return "anything but " + strings.Join(all, ", ")
	case len(all) == 0:
		return "the standard library"
	default:
		return strings.Join(all, ", ")
	}
}

// table writes a row for each package.
func table(packages []goPackage, rules []rule) string {
	var out strings.Builder
	out.WriteString("| folder | holds | may import |\n| --- | --- | --- |\n")
	for _, p := range packages {
		may := "no rule"
		if p.testsOnly {
			may = "tests only"
		}
		for _, r := range rules {
			if !p.testsOnly && r.covers(p.folder) {
				may = r.imports()
				// A rule for one package is stricter than one for a whole tree.
				if r.Mode == "strict" {
					break
				}
			}
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", p.folder, strings.ReplaceAll(p.holds, "|", `\|`), may)
	}
	return out.String()
}
