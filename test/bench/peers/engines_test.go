// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"testing"
)

// Every engine must do the work that it is measured with: give the answer that the flag's manifest asks for.
func TestEnginesAgree(t *testing.T) {
	engines, err := evaluators()
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(engines)
	providers, err := providers(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(providers)
	change := func(change func(*user)) user {
		changed := customer
		changed.plan = "pro" // The last of the ten rules does not match then.
		change(&changed)
		return changed
	}
	for name, tc := range map[string]struct {
		user            user
		rule, ten, list bool
	}{
		"the measured user": {user: customer, rule: true, ten: true, list: true},
		"nothing else":      {user: change(func(*user) {}), rule: true, list: true},
		"rule 1":            {user: change(func(u *user) { u.country = "fr" }), ten: true, list: true},
		"rule 2":            {user: change(func(u *user) { u.email = "user500@example.org" }), rule: true, ten: true, list: true},
		"rule 3":            {user: change(func(u *user) { u.age = 17 }), rule: true, ten: true, list: true},
		"rule 4":            {user: change(func(u *user) { u.email = "admin@example.com" }), rule: true, ten: true, list: true},
		"rule 5":            {user: change(func(u *user) { u.version = "0.9.0" }), rule: true, ten: true, list: true},
		"rule 6":            {user: change(func(u *user) { u.plan = "beta" }), rule: true, ten: true, list: true},
		"rule 7":            {user: change(func(u *user) { u.age = 66 }), rule: true, ten: true, list: true},
		"rule 8":            {user: change(func(u *user) { u.email = "me+test@example.com" }), rule: true, ten: true, list: true},
		"rule 9":            {user: change(func(u *user) { u.country = "ca" }), ten: true, list: true},
		"not listed":        {user: change(func(u *user) { u.key = "user-1000" }), rule: true},
	} {
		for i := range engines {
			expect(t, name, &engines[i], tc.user, map[string]bool{static: false, rule: tc.rule, ten: tc.ten, list: tc.list})
		}
		for i := range providers[1:] { // The first one evaluates nothing.
			expect(t, name, &providers[i+1], tc.user, map[string]bool{static: false, rule: tc.rule, ten: tc.ten, list: tc.list})
		}
	}
	for _, engine := range append(engines, providers[1:]...) {
		const users = 4000
		served := 0
		for i := range users {
			if ask(t, &engine, split, user{key: fmt.Sprintf("user-%d", i)}) {
				served++
			}
		}
		if share := float64(served) / users; share < 0.47 || share > 0.53 {
			t.Errorf("%s serves %.1f%% of a split in half", engine.name, share*100)
		}
	}
}

func expect(t *testing.T, name string, engine *engine, u user, want map[string]bool) {
	t.Helper()
	for flag, value := range want {
		if got := ask(t, engine, flag, u); got != value {
			t.Errorf("%s: %s says %v for %q, not %v", name, engine.name, got, flag, value)
		}
	}
}

func ask(t *testing.T, engine *engine, flag string, u user) bool {
	t.Helper()
	question := engine.ask(flag, u)
	question.evaluate()
	value, err := question.answer()
	if err != nil {
		t.Errorf("%s, %q: %v", engine.name, flag, err)
	}
	return value
}
