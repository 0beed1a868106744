// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"hash/fnv"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// IDOf is the integer that stands for an object: the first 52 bits of its UID, which every JSON reader can hold. Of
// something that is no UID, such as in tests, it is a hash.
func IDOf(uid types.UID) int64 {
	digits := strings.ReplaceAll(string(uid), "-", "")
	if len(digits) >= 13 {
		if id, err := strconv.ParseInt(digits[:13], 16, 64); err == nil {
			return id
		}
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(uid))
	return int64(sum.Sum64() >> 12)
}

// CohortID is the integer that stands for an audience among definitions, where only its name is known.
func CohortID(name string) int64 { return IDOf(types.UID("audience/" + name)) }
