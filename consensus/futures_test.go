// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"testing"

	"github.com/hashicorp/raft"
)

// What is asked of a raft that has ended gets an answer, even where raft still
// takes it into a queue that nobody reads any more.
func TestNothingWaitsForARaftThatHasEnded(t *testing.T) {
	inCluster(t, 1, nil, func(c *cluster) {
		led := c.leader()
		n := led.node
		c.kill(led.id)
		<-n.ended
		for i := range 64 { // raft takes about half of them
			var f raft.Future = n.raft.Apply(nil, 0)
			if i%2 == 0 {
				f = n.raft.Barrier(0)
			}
			if err := n.outcome(f); err == nil {
				t.Fatal("something happened after the end")
			}
		}
	})
}
