// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// Evidence that a recovery showed to be none takes no room from what holds.
func TestEvidenceThatHoldsNoMoreCountsNoMore(t *testing.T) {
	s := newKeptLog(t, 20)
	archive := Archive{Dir: t.TempDir(), Chain: s.chain}
	final := s.note(s.log, 20, 3, 1)
	against := func(size uint64, other string, final []byte, of uint64) []byte {
		t.Helper()
		liar := newMemoryLog()
		for i := range size {
			liar.grow(fmt.Sprint(other, i))
		}
		e := &Evidence{Conflict: s.note(liar, size, 1, 1), Final: final}
		var err error
		if e.Root, err = tlog.Root(s.log, size); err == nil {
			e.Proof, err = tlog.Consistency(s.log, size, of)
		}
		b, eerr := e.Encode()
		if err := errors.Join(err, eerr); err != nil {
			t.Fatal(err)
		}
		return b
	}
	for i := range maxAgainst {
		if _, fresh, err := archive.Keep(against(9, fmt.Sprint("liar ", i), final, 20)); err != nil || !fresh {
			t.Fatalf("piece %d is not kept: %v", i, err)
		}
	}
	if _, fresh, err := archive.Keep(against(9, "one more", final, 20)); err != nil || fresh {
		t.Fatalf("more than enough is kept: %v", err)
	}
	of, _, _ := s.chain.Panel(0)
	if err := s.chain.Grow(&spec.Panel{Number: 1, K: 3, Seats: of.Seats[1:]}, 15, 8); err != nil {
		t.Fatal(err)
	}
	if kept, err := archive.List(); err != nil || len(kept) != 0 {
		t.Fatalf("%d pieces hold behind a recovery from 8, %v", len(kept), err)
	}
	early := against(5, "a liar of before", s.note(s.log, 8, 3, 1), 8)
	if p, fresh, err := archive.Keep(early); err != nil || !fresh || p.Accused[0] != "org-0" {
		t.Fatalf("what holds finds no room: %v", err)
	}
	for range 2 { // judged, and remembered
		kept, err := archive.List()
		if err != nil || len(kept) != 1 || string(kept[0].Bytes) != string(early) || kept[0].Other == nil || kept[0].Size != 5 {
			t.Fatalf("%d pieces are kept, %v", len(kept), err)
		}
	}
}

// Whoever does not cosign any more says nothing more: not what waited to be said either.
func TestWhatHasNotLeftDoesNotLeave(t *testing.T) {
	simulate(t, 3, func(s *sim) {
		s.wait(time.Second)
		s.grow("one")
		s.wait(100 * time.Millisecond)
		s.finals(1, 1, 1)
		s.mu.Lock()
		for from := range 3 {
			for to := range 3 {
				s.cut[[2]int{from, to}] = true
			}
		}
		s.mu.Unlock()
		s.grow("two")
		s.wait(5 * time.Second)
		if mark := s.nodes[0].store.Mark(); mark.Size != 2 {
			t.Fatalf("the leader cosigned %d, want 2", mark.Size)
		}
		s.nodes[0].Refuse(errors.New("its organisation signed a recovery from 1"))
		s.mu.Lock()
		delete(s.cut, [2]int{0, 1})
		s.mu.Unlock()
		s.wait(time.Minute)
		s.finals(1, 1, 1)
	})
}
