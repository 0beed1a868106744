// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package javascript tests the script by which the tests against real clients get Node.js and a browser.
package javascript
