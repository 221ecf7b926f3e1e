// SPDX-License-Identifier: Apache-2.0

// Package spec holds the words that two tocsin nodes must agree on bit for
// bit: signals, operations, openings, leaves, the genesis document, their
// canonical encoding and their signatures. The normative prose stands beside
// the code in *.md; the conformance vectors are in testdata.
package spec
