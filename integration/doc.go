// SPDX-License-Identifier: Apache-2.0

// Package integration tests the whole: real processes, faults, peers. It has no
// code that the program uses.
package integration
