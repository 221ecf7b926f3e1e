// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestRecover loses two of four sequencers, each a process of its own.
func TestRecover(t *testing.T) {
	testscript.Run(t, params("testdata/recover", setup))
}
