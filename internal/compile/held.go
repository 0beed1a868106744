// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// digestDigits is how many hexadecimal digits a person copies to confirm that flags are meant to be gone.
const digestDigits = 16

// LoseFlag forgets the flag of that object name, of which nobody knows that it is meant to be gone: what it compiled to
// stays until another flag with its key is set, or Release. A flag that is archived or does not hold its key leaves
// nothing to keep.
func (e *Environment) LoseFlag(name string) {
	input, ok := e.flags[name]
	if !ok {
		return
	}
	isServed := e.unarchived(input.key) == input
	e.RemoveFlag(name)
	if isServed {
		e.hold(input)
	}
}

// HoldFlag keeps the published form of a flag that is not among the flags that were set, as LoseFlag does.
func (e *Environment) HoldFlag(key string) {
	form := ServedFlag(e.published, key)
	if held, ok := e.entries[key]; form == nil || ok && held.holder() != nil {
		return
	}
	part, _ := e.published.Flags.Get(key)
	e.hold(&flagInput{key: key, form: form, part: part})
}

func (e *Environment) hold(input *flagInput) {
	input.held = true
	held, ok := e.entries[input.key]
	if !ok {
		held = &entry{}
		e.entries[input.key] = held
	}
	held.inputs = slices.Insert(held.inputs, 0, input)
	e.held.add(input.key)
	e.braked.put(input.key, input.forcedOff)
	e.dirtyFlags.add(input.key)
}

// Release gives up what LoseFlag and HoldFlag have kept for a key.
func (e *Environment) Release(key string) {
	if _, is := e.held[key]; !is {
		return
	}
	delete(e.held, key)
	held := e.entries[key]
	held.inputs = slices.DeleteFunc(held.inputs, func(input *flagInput) bool { return input.held })
	e.braked.put(key, held.holder() != nil && held.holder().forcedOff)
	e.dirtyFlags.add(key)
}

// Held returns the keys that LoseFlag and HoldFlag keep, in order.
func (e *Environment) Held() []string { return e.held.sorted() }

// Missing returns, in order, the keys of published flags that no flag which was set has. What is published only because
// others require it is not missing.
func (e *Environment) Missing() []string {
	var missing []string
	for part := range e.published.Flags.All() {
		if held, ok := e.entries[part.Key]; ok && held.holder() != nil {
			continue
		}
		if ServedFlag(e.published, part.Key) != nil {
			missing = append(missing, part.Key)
		}
	}
	return missing
}

// HeldDigest names a set of keys, which are in order, so that nobody confirms the loss of others than they have seen.
// Previous is the digest that was used up last, and empty where none was, so that nobody confirms a loss twice unawares.
func HeldDigest(keys []string, previous string) string {
	if previous != "" {
		keys = append([]string{previous + "\n"}, keys...) // No key ends with a newline.
	}
	sum := sha256.Sum256([]byte(strings.Join(keys, "\n")))
	return hex.EncodeToString(sum[:])[:digestDigits]
}
