// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A sequencer that loses its store does not cosign again, and the others go on.
func TestALostStoreKeepsANodeFromCosigning(t *testing.T) {
	simulate(t, 3, func(s *sim) {
		s.wait(time.Second)
		s.grow("one")
		s.wait(time.Second)
		n := s.nodes[1]
		n.stop()
		if err := os.RemoveAll(filepath.Join(n.dir, "cosigned")); err != nil {
			t.Fatal(err)
		}
		n.start(false)
		s.grow("two")
		s.wait(5 * time.Second)
		s.finals(2, 2, 2)
		if spec.CodeOf(n.Refused()) != spec.CodeCorrupt {
			t.Fatalf("the node says %v", n.Refused())
		}
		if slices.Contains(s.nodes[0].cosigners(), "org-1") {
			t.Fatal("a node without its store cosigned")
		}
	})
}

func (n *simNode) cosigners() (orgs []string) {
	for _, c := range n.final.Signed().Cosignatures {
		orgs = append(orgs, c.Org)
	}
	return orgs
}

// A node whose whole directory was wiped, or whose store was put back to an old
// copy, learns from the others that it cosigned more than it knows.
func TestARolledBackStoreIsNoticed(t *testing.T) {
	for name, wipe := range map[string]bool{"wiped": true, "old copy": false} {
		simulate(t, 3, func(s *sim) {
			s.wait(time.Second)
			s.grow("one")
			s.wait(time.Second)
			n := s.nodes[1]
			mark := filepath.Join(n.dir, "cosigned", "mark")
			old, err := os.ReadFile(mark)
			if err != nil {
				t.Fatal(err)
			}
			s.grow("two")
			s.wait(time.Second)
			n.stop()
			if wipe {
				err = os.RemoveAll(n.dir)
			} else {
				err = os.WriteFile(mark, old, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if wipe {
				n.log = newMemoryLog()
				n.log.grow("forged", "history", "of mine")
			}
			n.start(wipe)
			s.wait(5 * time.Second)
			if spec.CodeOf(n.Refused()) != spec.CodeForked {
				t.Errorf("%s: the node says %v", name, n.Refused())
			}
			if got := n.final.Newest().Size; wipe && got != 0 {
				t.Errorf("%s: the node has %d final", name, got)
			}
		})
	}
}

// A node whose own log differs from what it cosigned does not cosign again.
func TestARewrittenLogIsNotCosigned(t *testing.T) {
	simulate(t, 4, func(s *sim) {
		s.wait(time.Second)
		s.grow("one")
		s.wait(time.Second)
		n := s.nodes[1]
		n.stop()
		n.log = newMemoryLog()
		n.log.grow("another one", "two")
		n.start(false)
		for _, other := range []int{0, 2, 3} {
			s.nodes[other].log.grow("two")
		}
		s.wait(5 * time.Second)
		s.finals(2, 1, 2, 2)
		if spec.CodeOf(n.Refused()) != spec.CodeForked {
			t.Fatalf("the node says %v", n.Refused())
		}
		if m := n.store.Mark(); m.Size != 1 {
			t.Fatalf("its mark moved to %d", m.Size)
		}
	})
}

// The same holds when it knows of nothing final and of nobody else.
func TestALeaderAloneDoesNotCosignARewrittenLog(t *testing.T) {
	simulate(t, 4, func(s *sim) {
		s.wait(time.Second)
		s.grow("one")
		s.wait(time.Second)
		n := s.nodes[0]
		n.stop()
		if err := os.RemoveAll(filepath.Join(n.dir, "final")); err != nil {
			t.Fatal(err)
		}
		for i := range s.nodes {
			s.cut[[2]int{0, i}], s.cut[[2]int{i, 0}] = true, true
		}
		n.log = newMemoryLog()
		n.log.grow("another one", "two")
		n.start(false)
		s.wait(30 * time.Second)
		if m := n.store.Mark(); m.Size != 1 || spec.CodeOf(n.Refused()) != spec.CodeForked {
			t.Fatalf("its mark is at %d, it says %v", m.Size, n.Refused())
		}
	})
}

// A leader that tells two histories gets neither below k final, and evidence that
// names it reaches whoever recomputed the other.
func TestALeaderThatTellsTwoHistoriesIsNamed(t *testing.T) {
	simulate(t, 4, func(s *sim) {
		s.wait(time.Second)
		s.nodes[0].stop() // it speaks by hand from here on
		s.nodes[0].stop = nil
		liar := newMemoryLog()
		liar.grow("the forged one")
		for _, n := range s.nodes[1:] {
			n.log.grow("one")
		}
		s.claim(0, liar, 1, s.nodes[1], s.nodes[2], s.nodes[3])
		s.wait(5 * time.Second)
		for _, n := range s.nodes[1:] {
			if f := n.final.Newest(); f.Size != 1 || slices.Contains(n.cosigners(), "org-0") {
				t.Fatalf("node %d: size %d is final by %v", n.i, f.Size, n.cosigners())
			}
			if len(n.alarms) != 1 {
				t.Fatalf("node %d raised %d alarms", n.i, len(n.alarms))
			}
			s.checkEvidence(n.alarms[0], "org-0", 1)
		}
	})
}

// claim sends a sequencer's cosignature on a log of its own to others.
func (s *sim) claim(from int, log *memoryLog, size uint64, to ...*simNode) {
	s.t.Helper()
	root, err := tlog.Root(log, size)
	if err != nil {
		s.t.Fatal(err)
	}
	now := uint64(time.Now().Unix())
	sig := tlog.Cosign(tlog.Checkpoint{Origin: simOrigin, Size: size, Root: root}, s.seats[from].Org, s.keys[from], now)
	req, err := spec.Encode(&request{Claims: []claim{{Size: size, Root: root, Key: sig.Key, Time: now, Sig: sig.Sig}}})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, n := range to {
		if _, err := n.Receive(s.seats[from].Org, req); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *sim) checkEvidence(e *Evidence, org string, size uint64) {
	s.t.Helper()
	b, err := e.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	read, err := ParseEvidence(b)
	if err != nil {
		s.t.Fatal(err)
	}
	accused, at, err := read.Verify(s.chain)
	if err != nil || !slices.Equal(accused, []string{org}) || at != size {
		s.t.Fatalf("the evidence accuses %v at %d, %v", accused, at, err)
	}
	archive := Archive{Dir: s.t.TempDir(), Chain: s.chain}
	if _, fresh, err := archive.Keep(b); err != nil || !fresh {
		s.t.Fatalf("the evidence is not kept: %v", err)
	}
	if _, fresh, err := archive.Keep(b); err != nil || fresh {
		s.t.Fatalf("the same evidence is kept twice: %v", err)
	}
}

// A sequencer that cosigned an early size twice is found out later, too.
func TestALateLieIsEvidence(t *testing.T) {
	simulate(t, 4, func(s *sim) {
		s.wait(time.Second)
		for range 20 {
			s.grow("leaf")
			s.wait(50 * time.Millisecond)
		}
		liar := newMemoryLog()
		for range 7 {
			liar.grow("other")
		}
		s.claim(3, liar, 7, s.nodes[1])
		s.wait(time.Second)
		if len(s.nodes[1].alarms) != 1 {
			t.Fatalf("%d alarms", len(s.nodes[1].alarms))
		}
		s.checkEvidence(s.nodes[1].alarms[0], "org-3", 7)
	})
}

// No evidence can be made of one history.
func TestEvidenceOfOneHistoryShowsNothing(t *testing.T) {
	simulate(t, 3, func(s *sim) {
		s.wait(time.Second)
		s.grow("one")
		s.wait(time.Second)
		f := s.nodes[0].final.Newest()
		e := &Evidence{Conflict: f.Note, Final: f.Note, Root: f.Root}
		if accused, _, err := e.Verify(s.chain); spec.CodeOf(err) != spec.CodeProof {
			t.Fatalf("accuses %v, %v", accused, err)
		}
		e.Root = spec.Hash{1}
		if accused, _, err := e.Verify(s.chain); spec.CodeOf(err) != spec.CodeProof {
			t.Fatalf("with a root of its own it accuses %v, %v", accused, err)
		}
	})
}

func TestStoreComparesAndSwaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cosigned", "mark")
	key := spec.PublicKey{1}
	if _, err := OpenStore(path, key, false); spec.CodeOf(err) != spec.CodeCorrupt {
		t.Fatalf("a store that is missing: %v", err)
	}
	s, err := OpenStore(path, key, true)
	if err != nil {
		t.Fatal(err)
	}
	zero, one, other, two := s.Mark(), Mark{Size: 1, Root: spec.Hash{1}}, Mark{Size: 1, Root: spec.Hash{2}}, Mark{Size: 2, Root: spec.Hash{3}}
	if err := s.Advance(zero, one); err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][2]Mark{{zero, two}, {other, two}, {one, other}, {one, zero}} {
		if err := s.Advance(bad[0], bad[1]); spec.CodeOf(err) != spec.CodeForked {
			t.Errorf("from %d to %d: %v", bad[0].Size, bad[1].Size, err)
		}
	}
	twin, err := OpenStore(path, key, false)
	if err != nil || twin.Mark() != one {
		t.Fatalf("read again: %+v, %v", twin.Mark(), err)
	}
	if err := twin.Advance(one, two); err != nil {
		t.Fatal(err)
	}
	if err := s.Advance(one, two); spec.CodeOf(err) != spec.CodeForked {
		t.Fatalf("what another process wrote is overwritten: %v", err)
	}
	if _, err := OpenStore(path, spec.PublicKey{2}, false); spec.CodeOf(err) != spec.CodeCorrupt {
		t.Fatalf("another key's store: %v", err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		damaged := slices.Clone(b)
		damaged[i] ^= 1
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := OpenStore(path, key, false); err == nil && r.Mark() != one && r.Mark() != two {
			t.Fatalf("byte %d flipped: read as %+v", i, r.Mark())
		}
	}
}
