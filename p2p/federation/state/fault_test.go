// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"testing"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// Why a server ends a stream reaches who asked: over libp2p the end must not overtake it.
func TestTheReasonArrives(t *testing.T) {
	h, n := newHistory(t), newNetwork(t, 1)
	n.serve(0, h)
	for range 200 {
		c, err := Dial(t.Context(), n.reader, n.sources[0].ID())
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Manifest(h.size+1, h.log.Size)
		c.Close()
		var f *p2p.Fault
		if !errors.As(err, &f) || f.Err.Code != spec.CodeGone || f.MinSize != h.size {
			t.Fatalf("no such snapshot: %v", err)
		}
	}
}
