// SPDX-License-Identifier: Apache-2.0

// Package epoch tells one writer when memory that it took out of a shared
// structure can be used again although readers take no lock: as soon as every
// reader that was inside when it was taken out has left.
package epoch

import (
	"runtime"
	"sync/atomic"
)

const slots = 128

// Domain is the readers and the writer of one structure. The zero value is
// ready.
type Domain struct {
	now  atomic.Uint64
	seat [slots]struct {
		since atomic.Uint64 // 0: empty; otherwise 1 + the epoch its reader came in
		_     [56]byte      // readers must not share a cache line
	}
}

// Enter lets a reader in and returns its seat for Leave. hint is a number
// that the reader keeps between calls, so that it finds its seat at once.
// With every seat taken it yields until one is free.
func (d *Domain) Enter(hint uint32) (seat uint32) {
	for i := hint % slots; ; i = (i + 1) % slots {
		if d.seat[i].since.CompareAndSwap(0, 1+d.now.Load()) {
			return i
		}
		if i == (hint+slots-1)%slots {
			runtime.Gosched()
		}
	}
}

// Leave lets the reader in seat out. It must hold nothing it read any more.
func (d *Domain) Leave(seat uint32) { d.seat[seat].since.Store(0) }

// Retire is called by the writer after it took something out: new readers no
// longer reach it. The mark says when that was.
func (d *Domain) Retire() (mark uint64) { return d.now.Add(1) }

// Quiet returns the newest mark whose readers have all left: what was retired
// with that mark or an older one is the writer's alone.
func (d *Domain) Quiet() (mark uint64) {
	mark = d.now.Load()
	for i := range d.seat {
		if since := d.seat[i].since.Load(); since != 0 {
			mark = min(mark, since-1)
		}
	}
	return mark
}
