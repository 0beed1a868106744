// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"regexp"
	"strings"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

var (
	// denied begins what the API server makes of a webhook's refusal.
	denied = regexp.MustCompile(`^admission webhook "[^"]*" denied the request: `)
	// noRight is what the API server says to somebody without a right.
	noRight = regexp.MustCompile(
		`^\S+ "?[^"]*"? ?is forbidden: User "([^"]*)" cannot (\w+) resource "([^"]*)" in API group "[^"]*"(?: in the namespace "([^"]*)")?`,
	)
	// forbidden begins what a webhook says to somebody without a right.
	forbidden = regexp.MustCompile(`^\S+ "[^"]*" is forbidden: `)
	// noPublish is what a webhook says to somebody who may change an object and not publish the change.
	noPublish = regexp.MustCompile(
		`^user "([^"]*)" needs the verb "publish" in namespace "([^"]*)" on (.+); let somebody who has it `,
	)
	// toPublish is an environment in it, and why it would have to be published.
	toPublish = regexp.MustCompile(`flagenvironments/(\S+) (\([^()]*\))`)
)

// kinds puts the views' words for the Kinds in the place of their names.
var kinds = newKindWords()

func newKindWords() *strings.Replacer {
	var words []string
	for _, kind := range v1alpha1.Kinds {
		words = append(words, kind.Name, kind.Word)
	}
	return strings.NewReplacer(words...)
}

// wordOf is the views' word for one object of a resource, such as flag for featureflags, and empty for another
// resource.
func wordOf(resource string) string {
	for _, kind := range v1alpha1.Kinds {
		if kind.Resource == resource {
			return kind.Word
		}
	}
	return ""
}

// plain is what the API server says, without the words of its own machinery.
func plain(message string) string {
	message = denied.ReplaceAllString(message, "")
	if found := noRight.FindStringSubmatch(message); found != nil {
		what := found[3]
		if found[4] != "" {
			what += " in project " + quote(found[4])
		}
		return found[1] + " may not " + found[2] + " " + what
	}
	message = forbidden.ReplaceAllString(message, "")
	if found := noPublish.FindStringSubmatch(message); found != nil {
		what := toPublish.ReplaceAllStringFunc(found[3], func(environment string) string {
			of := toPublish.FindStringSubmatch(environment)
			if strings.Contains(of[2], "annotation") { // It is how the views ask for a publish.
				return "environment " + quote(of[1])
			}
			return "environment " + quote(of[1]) + " " + of[2]
		})
		what = strings.ReplaceAll(what, " and on environment ", " and environment ")
		return found[1] + " may not publish " + what + " in project " + quote(found[2]) + "; let somebody who may " +
			strings.TrimPrefix(message, found[0])
	}
	return message
}

func quote(text string) string { return `"` + text + `"` }

// unquoted changes what a message says outside of quotes: what is inside is somebody's data.
func unquoted(message string, change func(string) string) string {
	parts := strings.Split(message, `"`)
	for i := 0; i < len(parts); i += 2 {
		parts[i] = change(parts[i])
	}
	return strings.Join(parts, `"`)
}

// inWords is an error in the words of the view.
func (v *View) inWords(refused *Error) *Error {
	if refused.OfManifest {
		return refused
	}
	word := func(text string) string {
		if v.Words != nil {
			text = v.Words.Replace(text)
		}
		return kinds.Replace(text)
	}
	said := *refused
	said.Message = unquoted(refused.Message, word)
	said.Fields = nil
	for _, field := range refused.Fields {
		said.Fields = append(said.Fields, FieldError{Field: field.Field, Message: unquoted(field.Message, word)})
	}
	return &said
}
