// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
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
