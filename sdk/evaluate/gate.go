// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import "math"

// gate turns attributes away that its predicate certainly does not hold for, by one byte of a string or the size of a
// number. That takes a fraction of the time of asking the predicate, and most conditions hold for few subjects. What it
// admits, and every attribute that is neither a string nor a float64, the predicate decides.
type gate struct {
	// bytes has a bit for each byte, modulo 64, that the strings may begin with, or end with where end is set.
	bytes uint64
	// end has all bits set where the last byte counts, and none where the first one does.
	end int
	// low and high are the least and the greatest number that may pass.
	low, high float64
}

// open is the gate that admits everything.
var open = gate{bytes: math.MaxUint64, low: math.Inf(-1), high: math.Inf(1)}

// gated is a predicate that has a gate other than the open one.
type gated interface {
	gate() gate
}

func gateOf(p predicate) gate {
	if p, isGated := p.(gated); isGated {
		return p.gate()
	}
	return open
}

// beginning is the gate of predicates that hold for no strings but those that begin with the first byte of one of the
// texts.
func beginning(texts []string) gate {
	g := open
	g.bytes = 0
	for _, text := range texts {
		if text == "" {
			return open
		}
		g.bytes |= byteBit(text[0])
	}
	return g
}

// ending is the gate of predicates that hold for no strings but those that end with the last byte of one of the texts.
func ending(texts []string) gate {
	g := open
	g.bytes, g.end = 0, -1
	for _, text := range texts {
		if text == "" {
			return open
		}
		g.bytes |= byteBit(text[len(text)-1])
	}
	return g
}

func byteBit(b byte) uint64 { return 1 << (b % 64) }

func (g *gate) admits(attribute any) bool {
	switch v := attribute.(type) {
	case string:
		return v == "" || g.bytes&byteBit(v[(len(v)-1)&g.end]) != 0
	case float64:
		return !(v < g.low || v > g.high) // The predicate decides about NaN.
	default:
		return true
	}
}
