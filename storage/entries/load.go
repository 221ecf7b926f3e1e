// SPDX-License-Identifier: Apache-2.0

package entries

import (
	"sync/atomic"
	"unsafe"

	"github.com/tocsin-db/tocsin/storage/nearby/fetch"
)

const (
	loadRows = 1 << 12 // that a Loader takes at a time
	onTheWay = 32      // rows whose heads were asked for
)

// A Loader fills a new table that nobody asks yet. It belongs to one goroutine;
// several Loaders work at once. Listings of one key come one after the other, each
// once and all to one Loader.
type Loader struct {
	t         *Table
	next, end uint32 // rows that are the Loader's own
	waiting   [onTheWay]linking
	rows      int

	saidText []byte // the last
	said     uint32
	uses     uint64

	last    Key
	listed  int
	crowded []Key
}

// A linking is a row that is to go under its head.
type linking struct {
	row  *row
	head *uint32
	n    uint32
}

// Loader returns a Loader of an empty table.
func (t *Table) Loader() *Loader { return &Loader{t: t} }

// Add lists an entry under a key.
func (l *Loader) Add(key Key, listing *Listing) error {
	if l.listed > 0 && key == l.last {
		if l.listed == MaxListed {
			l.crowded = append(l.crowded, key)
		}
		if l.listed++; l.listed > MaxListed {
			return nil
		}
	} else {
		l.last, l.listed = key, 1
	}
	if err := l.say(listing.Said); err != nil {
		return err
	}
	if l.next == l.end {
		if err := l.more(); err != nil {
			return err
		}
	}
	w := &l.waiting[l.rows%onTheWay]
	if l.rows >= onTheWay {
		w.link()
	}
	*w = linking{l.t.row(l.next), l.t.head(key.lo), l.next}
	fetch.Line(unsafe.Pointer(w.head))
	w.row.fill(key, &listing.Entry, listing.Since, l.said)
	l.next++
	l.rows++
	return nil
}

// link puts a row before those under its head.
func (w *linking) link() {
	for {
		first := atomic.LoadUint32(w.head)
		w.row[rowLink] = uint64(w.row.said())<<32 | uint64(first)
		if atomic.CompareAndSwapUint32(w.head, first, w.n) {
			return
		}
	}
}

// say makes said the number of what is said. Mostly it is what was said before.
func (l *Loader) say(said []byte) error {
	if l.uses > 0 && string(said) == string(l.saidText) {
		l.uses++
		return nil
	}
	l.t.writing.Lock()
	defer l.t.writing.Unlock()
	l.settle()
	var err error
	l.said, err = l.t.said.take(said, 1, l.t.decode)
	if err == nil {
		l.saidText, l.uses = append(l.saidText[:0], said...), 1
	}
	return err
}

// settle counts the uses of what was said, of which the first is counted already.
func (l *Loader) settle() {
	if l.uses > 0 {
		l.t.said.uses[l.said] += l.uses - 1
		l.uses = 0
	}
}

func (l *Loader) more() (err error) {
	l.t.writing.Lock()
	defer l.t.writing.Unlock()
	if l.next, err = l.t.takeMany(loadRows); err == nil {
		l.end = l.next + loadRows
	}
	return err
}

// Finish ends the Loader. All are finished before the table is asked.
func (l *Loader) Finish() error {
	for i := max(0, l.rows-onTheWay); i < l.rows; i++ {
		l.waiting[i%onTheWay].link()
	}
	l.t.writing.Lock()
	defer l.t.writing.Unlock()
	l.settle()
	l.t.count += uint64(l.rows)
	for ; l.next != l.end; l.next++ {
		l.t.free = append(l.t.free, l.next)
	}
	for _, key := range l.crowded {
		if err := l.t.crowd(key); err != nil {
			return err
		}
	}
	return nil
}
