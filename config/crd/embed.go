// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crd carries the definitions of the Kinds into the command line, which judges manifests by them.
package crd

import "embed"

// Bases holds the CustomResourceDefinitions as YAML files under bases.
//
//go:embed bases/*.yaml
var Bases embed.FS
