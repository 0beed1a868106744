// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package atono

import (
	"testing"

	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// Switched on and off again, a flag that leaves the value to the code must not serve a variation.
func TestTurningOnKeepsTheDefaultOfTheCode(t *testing.T) {
	flag := builders.MakeFlag("a", "shop").Boolean().Environment("production").CodeDefault().Obj()
	if err := turnOn(flag, "production", false); err != nil {
		t.Fatal(err)
	}
	config := flag.In("production")
	if !config.Enabled || config.DefaultVariation != "on" {
		t.Errorf("it is not on: %+v", config)
	}
	server.SetEnabled(flag, "production", false)
	if !flag.In("production").CodeDefault {
		t.Error("off, it serves a variation, and left the value to the code before")
	}
}
