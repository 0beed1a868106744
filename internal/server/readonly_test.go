// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"testing"
)

// What a list shows of an object is less than its own path does. Sent back, it must be taken, and whatever else is
// asked for must not be forgotten.
func TestWhatAListShowsCanBeSentBack(t *testing.T) {
	shown := json.RawMessage(`{"configs": [
		{"environment": "production", "enabled": true, "updatedAt": "now", "rules": [{"id": "beta", "share": null}]},
		{"environment": "staging", "enabled": false, "rules": []}
	], "tags": [], "managedBy": {"tool": "Argo CD"}}`)
	for sent, wantTaken := range map[string]bool{
		string(shown): true,
		`{"configs": [{"environment": "production", "enabled": true}, {"environment": "staging"}]}`:  true,
		`{"configs": [{"environment": "production", "updatedAt": "then"}, {}]}`:                      true,
		`{"configs": [{"rules": [{"id": "beta"}]}, {}]}`:                                             true,
		`{"configs": [{"environment": "production", "enabled": false}, {"environment": "staging"}]}`: false,
		`{"configs": [{"environment": "production"}]}`:                                               false,
		`{"configs": [{"environment": "staging"}, {"environment": "production"}]}`:                   false,
		`{"configs": [{"rules": []}, {"rules": []}]}`:                                                false,
		`{"configs": [{"rules": [{"share": 0}]}, {}]}`:                                               false,
		`{"configs": [{"codeDefault": true}, {}]}`:                                                   false,
		`{"configs": [{"codeDefault": null}, {}]}`:                                                   false,
		`{"configs": []}`:     false,
		`{"configs": {}}`:     false,
		`{"tags": ["x"]}`:     false,
		`{"managedBy": {}}`:   true,
		`{"managedBy": null}`: false,
		`{"owner": {}}`:       false,
	} {
		if err := CheckReadOnly(json.RawMessage(sent), shown, nil); (err == nil) != wantTaken {
			t.Errorf("%s is answered with %v", sent, err)
		}
	}
}
