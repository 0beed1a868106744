// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// A brake makes a datafile larger by some bytes. One that was full refused it, and the flag stayed on.
func TestAFullDatafileTakesBrakes(t *testing.T) {
	production := builders.MakeEnvironment("production", "shop").Production().Defaulted().Obj()
	production.Spec.Datafile = v1alpha1.Datafile{Formats: nativeOnly, Compression: v1alpha1.CompressionNever}
	const full = datafile.MaxConfigMapBytes - BrakeBytes
	of := func(bytes int) Files {
		return Files{Text: map[string]string{datafile.FileName: strings.Repeat("x", bytes)}}
	}
	for name, tc := range map[string]struct {
		bytes    int
		previous Files
		isBrake  bool
		want     bool
	}{
		"a publish that leaves room for brakes":         {full - 4096, Files{}, false, true},
		"a publish that does not":                       {full + 4096, Files{}, false, false},
		"a brake":                                       {full + 4096, of(full), true, true},
		"a publish after it that adds nothing":          {full + 4096, of(full + 8192), false, true},
		"a publish after it that adds something":        {full + 8192, of(full + 4096), false, false},
		"a brake of more than a ConfigMap holds":        {datafile.MaxConfigMapBytes + 4096, of(full), true, false},
		"a publish of what somebody has made too large": {datafile.MaxConfigMapBytes + 4096, of(2 << 20), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			content := contentOf(t, tc.bytes, 0, false)
			content.IsBrake = tc.isBrake
			_, _, err := Layout(header, content, production.Spec.Datafile, tc.previous)
			if HasReason(err, v1alpha1.DatafileTooLargeReason) == tc.want {
				t.Errorf("%d bytes are published: error %v, want that: %t", tc.bytes, err, tc.want)
			}
			if got := content.Fits(production, tc.previous, true); got != tc.want {
				t.Errorf("%d bytes fit: %t, want %t", tc.bytes, got, tc.want)
			}
		})
	}
}

// The manual promises that this many brakes fit, whatever the flags look like.
func TestTheReserveHoldsAHundredBrakes(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	flags, keys := map[string]*datafile.Flag{}, []string(nil)
	for i := range 1000 {
		key := strconv.FormatUint(random.Uint64(), 16)
		flags[key] = onOff(func(flag *datafile.Flag) {
			// Names as long as the API takes them.
			flag.DefaultVariation = fmt.Sprintf("%0128x", random.Uint64())
			flag.Variations[1].Key, flag.Variations[0].Key, flag.Fallthrough = flag.DefaultVariation, "a", "a"
			flag.Metadata = map[string]string{"owner": fmt.Sprintf("%x%x%x", random.Uint64(), random.Uint64(), random.Uint64())}
		})
		if i%10 == 0 {
			keys = append(keys, key)
		}
	}
	for _, compression := range []v1alpha1.Compression{v1alpha1.CompressionNever, v1alpha1.CompressionAlways} {
		content := contentWith(t, flags)
		spec := v1alpha1.Datafile{Formats: both, Compression: compression}
		before, _, err := Layout(header, content, spec, Files{})
		if err != nil {
			t.Fatal(err)
		}
		contents, definitions, document, err := compile.Brake(content.Contents, keys)
		if err != nil {
			t.Fatal(err)
		}
		braked := Content{Contents: contents, Flagd: definitions, Document: func() *datafile.Document { return document }}
		after, _, err := Layout(header, braked, spec, Files{})
		if err != nil {
			t.Fatal(err)
		}
		if grown := after.Bytes() - before.Bytes(); len(keys) != 100 || grown <= 0 || grown > BrakeBytes {
			t.Errorf("%s: %d brakes take %d bytes, and %d are left for them", compression, len(keys), grown, BrakeBytes)
		}
	}
}
