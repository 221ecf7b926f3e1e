// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// A member whose node does not run signs no recovery that would take back what was
// final on it.
func TestAStoppedNodeSignsNoRecoveryFromBeforeItsFinal(t *testing.T) {
	ctx, c := foundFor(t, 3*time.Minute, trial.Options{Members: 3})
	list(t, c, sha(1))
	charlie := c.Members[2]
	file, err := c.Members[0].DraftRecovery(ctx, []spec.Seat{{Org: "alpha"}, {Org: "bravo"}})
	if err != nil {
		t.Fatal(err)
	}
	before := c.Members[0].LogSize()
	list(t, c, sha(2))
	if err := trial.Await(ctx, func() (bool, error) { return charlie.Final().Size > before, nil }); err != nil {
		t.Fatal(err)
	}
	if err := charlie.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := node.SignRecoveryFiles(charlie.Dir, file); spec.CodeOf(err) != spec.CodeRecovery {
		t.Errorf("it signs: %v, want %s", err, spec.CodeRecovery)
	}
	if r, err := node.ReviewRecoveryFiles(charlie.Dir, file); err != nil || r.Refused == "" {
		t.Errorf("its review finds nothing against it: %+v, %v", r, err)
	}
}
