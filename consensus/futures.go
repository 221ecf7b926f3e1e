// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"reflect"

	"github.com/hashicorp/raft"
)

// outcome waits for the end of what raft was asked to do, or for that of raft.
//
// A raft that shuts down forgets what still waits in its queues, and then nobody
// answers the futures. They have a channel that ends the wait for this case,
// ShutdownCh, which raft sets for a few kinds only; here it is set for all.
func (n *Node) outcome(f raft.Future) error {
	v := reflect.Indirect(reflect.ValueOf(f))
	if v.Kind() == reflect.Struct {
		if down := v.FieldByName("ShutdownCh"); down.IsValid() && down.CanSet() {
			down.Set(reflect.ValueOf(n.halting))
		}
	}
	return f.Error()
}

// halt begins raft's end. What is under way then may have any outcome.
func (n *Node) halt() raft.Future {
	n.halted.Do(func() {
		close(n.halting)
		n.end = n.raft.Shutdown() // a second future would not wait
	})
	return n.end
}
