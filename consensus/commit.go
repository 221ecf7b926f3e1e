// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"fmt"
	"time"

	"github.com/tocsin-db/tocsin/spec"
)

// hung returns for how long the group under way has done nothing, as far as those who
// ask can tell: one goroutine, again and again. A node that is merely slow gets on, and
// stopping it would have it begin with the same group again.
func (f *fsm) hung() time.Duration {
	if worked := f.store.Worked(); worked != f.worked || f.since.IsZero() {
		f.worked, f.since = worked, time.Now()
	}
	return min(f.busy.longest(), time.Since(f.since))
}

// commit is the one place where entries become effects. It is called with f.mu
// held. After an error nothing is applied any more.
func (f *fsm) commit(cmds []Command, upto Applied) ([][]spec.Outcome, error) {
	if err := f.brk.err(); err != nil {
		return nil, err
	}
	stop := f.busy.start()
	outcomes, err := f.store.ApplyGroup(cmds, upto)
	stop()
	if err == nil && len(outcomes) != len(cmds) {
		err = fmt.Errorf("%d outcomes for %d entries", len(outcomes), len(cmds))
	}
	if err != nil {
		return nil, f.brk.trip(failed(fmt.Sprintf("apply the entries up to %d", upto.Index), err))
	}
	// The watchdog may have stopped the node while the store hung: what became
	// visible late must not be acknowledged.
	if err := f.brk.err(); err != nil {
		return nil, err
	}
	f.cur = upto
	f.done.advance(upto.Index)
	return outcomes, nil
}
