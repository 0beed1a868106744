// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package programs tests the script by which tests get programs that are not Go's: Node.js, a browser and promtool.
package programs
