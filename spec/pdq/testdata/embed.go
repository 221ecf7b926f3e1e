// SPDX-License-Identifier: Apache-2.0

// Package testdata carries the lossless conformance vectors of PDQ, so that a
// built program can check itself. The images have a licence of their own, see
// NOTICE.
package testdata

import "embed"

// Exact holds expected.csv and the images in exact/, whose hashes must be
// identical.
//
//go:embed NOTICE expected.csv exact
var Exact embed.FS
