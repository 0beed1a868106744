// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// advisedLine matches a whole command line in quotes.
var advisedLine = regexp.MustCompile(
	`"jackstaff (freeze|rollback|publish|toggle|archive|status|history|log|break-glass end) [^"]+"`,
)

// Whoever copies a command line that a message advises, with another namespace in the kubeconfig, would thaw or roll back
// another project than the one in trouble.
func TestAdviceActsOnTheSameProject(t *testing.T) {
	at := target{namespace: "shop", choosing: []string{"--context", "prod eu"}}
	var hints []string
	for state := range stuckStates {
		hints = append(hints, stateAdvice(at, state, "production"))
	}
	for _, publish := range []v1alpha1.Publish{
		{Suspend: true}, {Revision: new(int64(3))}, {Mode: v1alpha1.PublishModeManual},
	} {
		environment := &v1alpha1.FlagEnvironment{}
		environment.Name, environment.Spec.Publish = "production", publish
		hints = append(hints, whyUnpublished(at, environment, "payments", false, time.Now()),
			published(at, environment, false, false, time.Now()).said)
		environment.Status.State = v1alpha1.PublishStateBreakGlass
		hints = append(hints, whyUnpublished(at, environment, "payments", true, time.Now()),
			whyUnpublished(at, environment, "payments", false, time.Now()))
	}
	planned := &rollback{target: 2, switchedOn: []string{"payments"}, keys: []string{"payments"}}
	hints = append(
		hints,
		planned.refusal(at, "production", true).Error(),
		planned.refusal(at, "production", false).Error(),
	)
	lines := 0
	for _, hint := range hints {
		for _, line := range advisedLine.FindAllString(hint, -1) {
			lines++
			if !strings.Contains(line, " -n shop --context 'prod eu'") {
				t.Errorf("it advises %s", line)
			}
		}
	}
	if lines < 12 {
		t.Errorf("of %d hints, only %d command lines are looked at", len(hints), lines)
	}
}

// A hint that is spelled out by hand would leave out the namespace again.
func TestAdviceIsMadeInOnePlace(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), entry.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range textsOf(file) {
			for _, line := range advisedLine.FindAllString(text, -1) {
				if !strings.Contains(line, "-n NAMESPACE") {
					t.Errorf("%s: %s does not say which namespace it is of; make it with target", entry.Name(), line)
				}
			}
		}
	}
}

// textsOf are the texts of a file, joined where they are added.
func textsOf(file *ast.File) []string {
	var texts []string
	ast.Inspect(file, func(node ast.Node) bool {
		if expression, is := node.(ast.Expr); is {
			if text := literal(expression); text != "" {
				texts = append(texts, text)
				return false
			}
		}
		return true
	})
	return texts
}

func literal(expression ast.Expr) string {
	switch one := expression.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(one.Value)
		if err != nil {
			return ""
		}
		return text
	case *ast.BinaryExpr:
		return literal(one.X) + literal(one.Y)
	}
	return ""
}

// An advice whose words a shell takes apart does something else than it says.
func TestTargetOfTheCommandLine(t *testing.T) {
	flags := genericclioptions.NewConfigFlags(true)
	*flags.Context, *flags.APIServer = "prod", "https://10.0.0.1:6443"
	c := &cluster{flags: flags, namespace: "shop"}
	want := `"jackstaff toggle 'it'\''s off' -n shop --context prod --server https://10.0.0.1:6443 -e production --off"`
	if got := c.target().toggle("it's off", "production", "--off"); got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
}
