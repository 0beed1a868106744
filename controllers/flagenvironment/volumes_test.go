// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// Every replica holds what every environment serves. A namespace within its budget must not take all memory by large
// flags that many environments serve.
func TestEnvironmentsOfANamespaceServeSoMuchTogether(t *testing.T) {
	name := func(name string) types.NamespacedName { return types.NamespacedName{Namespace: "shop", Name: name} }
	all := []types.NamespacedName{name("production"), name("staging"), name("preview")}
	for text, tc := range map[string]struct {
		held         map[string]volume
		of           string
		wants        volume
		wantTogether int64
		wantUnknown  bool
	}{
		"there is room": {
			held: map[string]volume{"staging": {bytes: 40}, "preview": {bytes: 10}, "production": {true, 100}},
			of:   "preview", wants: volume{bytes: 60}, wantTogether: 100,
		},
		"there is none": {
			held: map[string]volume{"staging": {bytes: 40}, "preview": {bytes: 10}, "production": {true, 100}},
			of:   "preview", wants: volume{bytes: 61}, wantTogether: 101,
		},
		"others than production take nothing from it": {
			held: map[string]volume{"staging": {bytes: 60}, "preview": {bytes: 60}, "production": {true, 1}},
			of:   "production", wants: volume{true, 100}, wantTogether: 100,
		},
		"right after a start": {
			held: map[string]volume{"preview": {bytes: 10}, "production": {true, 100}},
			of:   "preview", wants: volume{bytes: 60}, wantUnknown: true,
		},
	} {
		t.Run(text, func(t *testing.T) {
			v := newVolumes()
			for other, held := range tc.held {
				v.record(name(other), held)
			}
			together, known := v.reserve(name(tc.of), tc.wants, all, 100)
			if together != tc.wantTogether || known == tc.wantUnknown {
				t.Errorf("together they serve %d, known: %t", together, known)
			}
			isReserved := v.byEnvironment[name(tc.of)] == tc.wants
			if isReserved != (known && together <= 100) {
				t.Errorf("reserved: %t", isReserved)
			}
			v.forget(name(tc.of))
			if _, has := v.byEnvironment[name(tc.of)]; has {
				t.Error("what is gone takes room")
			}
		})
	}
}

// One environment that cannot be read must not keep the others of its namespace waiting after a start.
func TestAnEnvironmentThatCannotBeReadKeepsNobodyWaiting(t *testing.T) {
	v, preview := newVolumes(), types.NamespacedName{Namespace: "shop", Name: "preview"}
	staging := types.NamespacedName{Namespace: "shop", Name: "staging"}
	all := []types.NamespacedName{preview, staging}
	v.record(preview, volume{})
	if _, known := v.reserve(preview, volume{bytes: 60}, all, 100); known {
		t.Fatal("what staging serves is known before anybody has read it")
	}
	v.recordUnread(staging, volume{bytes: 1})
	if together, known := v.reserve(preview, volume{bytes: 60}, all, 100); !known || together != 61 {
		t.Errorf("together they serve %d, known: %t", together, known)
	}
	v.record(staging, volume{bytes: 50})
	v.recordUnread(staging, volume{bytes: 1})
	if together, _ := v.reserve(preview, volume{bytes: 60}, all, 100); together != 110 {
		t.Errorf("together they serve %d: one that cannot be read again counts with what it served", together)
	}
}

func TestWhoServesTooMuchIsNamedPlainly(t *testing.T) {
	for isProduction, want := range map[bool]string{
		true: "namespace's production environments would", false: "environments that are not production would",
	} {
		if got := tooMuchTogether(isProduction, 1, 2, 1); !strings.Contains(got, want) {
			t.Errorf("the message is %q", got)
		}
	}
}
