// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// target is the project that a command has acted on. It makes the command lines that messages advise, which act on the
// same project as they are printed, whatever the kubeconfig says.
type target struct {
	namespace string
	// choosing are the flags that chose the cluster, such as --context, with their values.
	choosing []string
}

// target is the project that the command line, or else the kubeconfig, names.
func (c *cluster) target() target {
	t := target{namespace: c.namespace}
	if c.flags == nil { // It is connected to what a test has put in its place.
		return t
	}
	if t.namespace == "" { // It is not connected yet. A kubeconfig that cannot be read is for connect to refuse.
		t.namespace, _, _ = c.flags.ToRawKubeConfigLoader().Namespace()
	}
	for _, one := range []struct {
		name  string
		value *string
	}{
		{"--kubeconfig", c.flags.KubeConfig},
		{"--" + contextFlag, c.flags.Context},
		{"--cluster", c.flags.ClusterName},
		{"--server", c.flags.APIServer},
	} {
		if one.value != nil && *one.value != "" {
			t.choosing = append(t.choosing, one.name, *one.value)
		}
	}
	return t
}

// command is a command line in quotes. Words are the command and its arguments, and flags are those that it ends with.
func (t target) command(words []string, flags ...string) string {
	return `"` + t.line(words, flags...) + `"`
}

// line is command without quotes.
func (t target) line(words []string, flags ...string) string {
	all := append([]string{"jackstaff"}, words...)
	if t.namespace != "" {
		all = append(all, "-n", t.namespace)
	}
	all = append(append(all, t.choosing...), flags...)
	for i := range all {
		all[i] = shellWord(all[i])
	}
	return strings.Join(all, " ")
}

func (t target) thaw(environment string) string {
	return t.command([]string{"freeze", environment}, "--off")
}

func (t target) unpin(environment string) string {
	return t.command([]string{"rollback", environment}, "--clear")
}

func (t target) pinAgain(environment string, revision int64) string {
	return t.command([]string{"rollback", environment}, "--to", strconv.FormatInt(revision, 10), "--yes")
}

func (t target) publish(environment string) string {
	return t.command([]string{"publish", environment})
}

func (t target) endBreakGlass(environment string) string {
	return t.command([]string{"break-glass", "end", environment})
}

// toggle switches a flag, as the flags say.
func (t target) toggle(key, environment string, flags ...string) string {
	return t.command([]string{"toggle", key}, append([]string{"-e", environment}, flags...)...)
}

// untilThen says what else changes wait for than the end of a break glass. A pin takes its place at once.
func untilThen(at target, environment *v1alpha1.FlagEnvironment, now time.Time) string {
	spec := environment.Spec.Publish.At(now)
	if commands := ends(at, environment, &spec); commands != "" && spec.Revision == nil {
		return " and " + commands + ", brakes at once"
	}
	return ""
}

// plainWord matches what a shell leaves as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord quotes a word for a POSIX shell where that is needed.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
