// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"fmt"
	"testing"
	"time"
)

func TestOutcomesArriveAndOrderIsTheSameEverywhere(t *testing.T) {
	inCluster(t, 3, nil, func(c *cluster) {
		led := c.leader()
		for i := range 20 {
			o, err := led.node.Submit(c.ctx, sub("op-%d", i))
			if err != nil || o.Index != uint64(i) || o.Err() != nil {
				t.Fatalf("op %d: outcome %+v, error %v", i, o, err)
			}
		}
		for i, op := range c.converge(20) {
			if op != fmt.Sprintf("op-%d", i) {
				t.Fatalf("operation %d is %q", i, op)
			}
		}
		if s := led.node.Status(); s.State != "Leader" || s.Leader != led.id || len(s.Servers) != 3 {
			t.Errorf("status %+v", s)
		}
		if s := c.follower().node.Status(); s.Contact < 0 || s.Contact > time.Second {
			t.Errorf("a follower last heard its leader %v ago", s.Contact)
		}
	})
}
