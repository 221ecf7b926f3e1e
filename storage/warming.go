// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"sync"
)

// A warming is what a database keeps in memory, filled from chunks while they are
// verified, so that nothing of a snapshot is read and hashed a second time. It is of
// a whole snapshot or of no use.
type warming struct {
	keyed bool

	mu      sync.Mutex
	dropped bool
	l       *loading // nil until the first live chunk
	rules   []bucketRoot
	idle    []*pieceWork
	all     []*pieceWork
}

// drop gives up: the database will be read when it is opened.
func (w *warming) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropped, w.l, w.rules, w.idle, w.all = true, nil, nil, nil, nil
}

// add takes a chunk that was verified, once. What fails here fails again, and is
// said, when the database is read.
func (w *warming) add(c *checked) {
	leaves := c.leaves
	c.leaves = nil // which hold more than what is to be written
	if c.kind == chunkRules {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.rules = append(w.rules, c.roots...)
		return
	}
	if len(leaves) == 0 {
		return
	}
	l, work := w.begin(leaves)
	if l == nil {
		return
	}
	for i := range leaves {
		if l.keep(work, c.key(i), &leaves[i].liveView) != nil {
			w.drop()
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l.live = append(l.live, c.roots...)
	w.idle = append(w.idle, work)
}

// begin returns what one goroutine works with. The first chunk tells how large the
// indexes will be: signals stand in the order of hashes, so that it is as good as any.
func (w *warming) begin(leaves []chunkLeaf) (*loading, *pieceWork) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dropped {
		return nil, nil
	}
	if w.l == nil {
		d := newDatabase()
		d.keyed = w.keyed
		w.l = &loading{d: d, types: map[string]*typeLoader{}}
		counts := map[string]int{}
		for i := range leaves {
			counts[string(leaves[i].Type)]++
		}
		w.l.makeIndexes(uint64(len(leaves))*LiveChunks, counts, len(leaves))
	}
	if n := len(w.idle); n > 0 {
		work := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return w.l, work
	}
	work := &pieceWork{}
	w.all = append(w.all, work)
	return w.l, work
}

// finish returns a database that lacks only its files, or nil. All chunks were added.
func (w *warming) finish() *database {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dropped || w.l == nil {
		return nil
	}
	for _, work := range w.all {
		for _, b := range work.keys {
			if w.l.index(b) != nil {
				return nil
			}
		}
	}
	w.l.d.live.load(w.l.live)
	w.l.d.rules.load(w.rules)
	if w.l.finish() != nil {
		return nil
	}
	return w.l.d
}
