// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/CycloneDX/cyclonedx-gomod/pkg/generate/bin"
	"github.com/rs/zerolog"
)

// writeSBOM writes what a binary is made of, as Go has written it into the binary. It has no serial number and no time,
// so that the same binary has the same bill.
func writeSBOM(file, binary, version string) error {
	generator, err := bin.NewGenerator(
		binary,
		bin.WithIncludeStdlib(true),
		bin.WithVersionOverride(version),
		bin.WithLogger(zerolog.Nop()),
	)
	if err != nil {
		return err
	}
	bom, err := generator.Generate()
	if err != nil {
		return err
	}
	var content bytes.Buffer
	if err := cdx.NewBOMEncoder(&content, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return err
	}
	return os.WriteFile(file, content.Bytes(), 0o600)
}
