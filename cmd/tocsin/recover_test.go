// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestRecover loses two of four sequencers, each a process of its own.
func TestRecover(t *testing.T) {
	par := params("testdata/recover", setup)
	par.Deadline = time.Now().Add(20 * patience)
	testscript.Run(t, par)
}
