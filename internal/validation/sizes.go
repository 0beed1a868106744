// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"encoding/json"
	"fmt"
	_ "time/tzdata" // A machine without a tz database must judge time zones as every other does.

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// size refuses a spec over MaxSpecBytes.
func (m *mistakes) size(spec any) {
	if size := jsonSize(spec); size > MaxSpecBytes {
		m.add(
			field.Invalid(
				specPath,
				field.OmitValueType{},
				fmt.Sprintf("has %d bytes as JSON; the limit is %d", size, MaxSpecBytes),
			),
		)
	}
}

// jsonSize is the size of value as JSON, or 0 where it holds malformed JSON, which has been refused for that.
func jsonSize(value any) int {
	var count countingWriter
	encoder := json.NewEncoder(&count)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return 0
	}
	return int(count) - len("\n")
}

// countingWriter counts what is written to it.
type countingWriter int

func (c *countingWriter) Write(data []byte) (int, error) {
	*c += countingWriter(len(data))
	return len(data), nil
}
