// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import "github.com/go-logr/logr"

// maxVerbosity is the most that is logged. Beyond it client-go logs the bodies of its requests and answers, in which
// SDK keys and tokens stand.
const maxVerbosity = 7

// withoutBodies is a logger that logs no more than maxVerbosity, whatever it is asked for.
func withoutBodies(logger logr.Logger) logr.Logger {
	return logr.New(capped{logger.GetSink()})
}

// capped is a sink that takes no more than maxVerbosity.
type capped struct{ logr.LogSink }

// Enabled reports whether the sink logs at a level.
func (c capped) Enabled(level int) bool { return level <= maxVerbosity && c.LogSink.Enabled(level) }

// WithValues returns a sink that knows more.
func (c capped) WithValues(values ...any) logr.LogSink {
	return capped{c.LogSink.WithValues(values...)}
}

// WithName returns a sink of another name.
func (c capped) WithName(name string) logr.LogSink { return capped{c.LogSink.WithName(name)} }

// WithCallDepth returns a sink that leaves out so many callers.
func (c capped) WithCallDepth(depth int) logr.LogSink {
	if deeper, can := c.LogSink.(logr.CallDepthLogSink); can {
		return capped{deeper.WithCallDepth(depth)}
	}
	return c
}
