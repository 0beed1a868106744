// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package budget counts what each namespace stores, and says what is too much, so that one namespace cannot take the
// operator's memory from the others.
package budget

import (
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// The flags of the manager that set the limits.
const (
	EnvironmentsFlag = "namespace-max-environments"
	ObjectsFlag      = "namespace-max-objects"
	BytesFlag        = "namespace-max-bytes"
)

// stopPercent is how much of a limit, in percent, stops a namespace. Admission refuses at 100; several replicas that
// admit at a time may each let something through, which is to stop nobody.
const stopPercent = 110

// Limits are how much one namespace may store. Zero is no limit.
type Limits struct {
	// Environments is how many FlagEnvironments there may be.
	Environments int64
	// Objects is how many objects of the four Kinds that people write there may be.
	Objects int64
	// Bytes is the size of their specs and metadata together.
	Bytes int64
}

// Default are the limits of an operator whose administrator says nothing. They are far from what a project needs.
// docs/benchmarks.md measures filled namespaces next to the memory limit that config/manager and the chart set: one
// fits, ten do not.
func Default() Limits { return Limits{Environments: 100, Objects: 20_000, Bytes: 64 << 20} }

// heldFactor is how many times the limit of bytes a namespace may hold with what takes no place. Without that bound
// somebody could hold a part of it in each of thousands of objects.
const heldFactor = 2

// Usage is what one namespace stores, counted as Limits are. Held are the bytes with those that take no place.
type Usage struct{ Environments, Objects, Bytes, Held int64 }

// Refusal says why a namespace may not come to use that much, and is empty where it may. Before is what it uses now:
// what does not grow is not refused, so that a namespace beyond a limit that was lowered can be edited and cleared.
func (l Limits) Refusal(before, after Usage) string {
	for _, row := range l.rows(after) {
		if row.limit > 0 && row.used > row.limit && row.used > row.of(before) {
			return fmt.Sprintf("the namespace may store %d %s, and this would be %d; delete what is not used any more, "+
				"use another namespace, or ask the cluster's administrator for a "+
				"higher --%s", row.limit, row.what, row.used, row.flag)
		}
	}
	return ""
}

// Stop says why a namespace that uses that much is not published any more, and is empty where it is.
func (l Limits) Stop(used Usage) string {
	for _, row := range l.rows(used) {
		if row.limit > 0 && row.used > row.limit/100*stopPercent+row.limit%100*stopPercent/100 {
			return fmt.Sprintf("the namespace stores %d %s, of which it may have %d; what is published stays, and brakes work; "+
				"delete what is not used any more, or ask the cluster's administrator for a higher --%s",
				row.used, row.what, row.limit, row.flag)
		}
	}
	return ""
}

type row struct {
	limit, used int64
	what, flag  string
	of          func(Usage) int64
}

func (l Limits) rows(used Usage) []row {
	return []row{
		{l.Environments, used.Environments, "environments", EnvironmentsFlag, func(u Usage) int64 { return u.Environments }},
		{l.Objects, used.Objects, "objects", ObjectsFlag, func(u Usage) int64 { return u.Objects }},
		{l.Bytes, used.Bytes, "bytes", BytesFlag, func(u Usage) int64 { return u.Bytes }},
		{
			l.held(), used.Held, "bytes with all metadata", BytesFlag,
			func(u Usage) int64 { return u.Held },
		},
	}
}

// held is how many bytes a namespace may hold with what takes no place, and 0 where there is no limit: twice what it may
// store, and in the smallest namespace what one object may carry.
func (l Limits) held() int64 {
	if l.Bytes == 0 {
		return 0
	}
	return l.Bytes*heldFactor + freeManagersBytes
}

// usageOf is what one object adds to its namespace.
func usageOf(object client.Object) Usage {
	size := sizeOf(object)
	usage := Usage{Objects: 1, Bytes: size, Held: heldSize(object, size)}
	if _, is := object.(*v1alpha1.FlagEnvironment); is {
		usage.Environments = 1
	}
	return usage
}

func (u Usage) plus(other Usage) Usage {
	return Usage{
		u.Environments + other.Environments, u.Objects + other.Objects, u.Bytes + other.Bytes, u.Held + other.Held,
	}
}

func (u Usage) minus(other Usage) Usage {
	return Usage{
		u.Environments - other.Environments, u.Objects - other.Objects, u.Bytes - other.Bytes, u.Held - other.Held,
	}
}

// positive is what of a difference grows.
func (u Usage) positive() Usage {
	return Usage{max(0, u.Environments), max(0, u.Objects), max(0, u.Bytes), max(0, u.Held)}
}
