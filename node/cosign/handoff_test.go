// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"crypto/ed25519"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// turn grows every node's log by a group that names a panel of these seats.
func (s *sim) turn(number uint64, seats ...spec.Seat) {
	s.t.Helper()
	b, err := spec.Encode(&spec.Panel{Tag: spec.TagPanel, Number: number, K: uint64(tlog.Quorum(len(seats))), Seats: seats})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, n := range s.nodes {
		n.log.add(b, "turn")
	}
}

// add adds a leaf and one that ends its group.
func (l *memoryLog) add(leaf []byte, end string) {
	l.mu.Lock()
	l.leaves = append(l.leaves, leaf)
	l.tree.Add(spec.LeafHash(leaf))
	l.mu.Unlock()
	l.grow(end)
}

func handingOver(t *testing.T, n, founders int, fn func(s *sim)) {
	simulate0(t, n, func(s *sim) {
		s.of = &spec.Panel{K: uint64(tlog.Quorum(founders)), Seats: s.seats[:founders]}
		s.start()
		defer s.stop()
		s.wait(time.Second)
		s.grow("one")
		s.wait(2 * time.Second)
		fn(s)
	})
}

// A panel of three hands over to one of four, and that to one without two founders;
// whoever knows the founding panel alone can follow the links.
func TestPanelsHandOver(t *testing.T) {
	handingOver(t, 4, 3, func(s *sim) {
		s.finals(1, 1, 1, 1) // the fourth asks
		s.turn(1, s.seats...)
		s.grow("three")
		s.wait(2 * time.Second)
		s.finals(4, 4, 4, 4)
		s.turn(2, s.seats[2:]...)
		s.grow("six")
		s.wait(2 * time.Second)
		s.finals(7, 7, 7, 7)
		if got := s.nodes[2].cosigners(); slices.Contains(got, "org-0") || slices.Contains(got, "org-1") {
			t.Fatalf("%v cosigned at the end", got)
		}
		stranger := s.newChain()
		links, err := s.nodes[2].chain.Links(7)
		if err != nil || len(links) != 2 {
			t.Fatalf("%d links: %v", len(links), err)
		}
		note := s.nodes[2].final.Newest().Note
		for i := range links {
			if _, err := stranger.OpenFinal(note); i == 0 && err == nil {
				t.Fatal("the founding panel makes the end final")
			}
			b, err := links[i].Encode()
			if err != nil {
				t.Fatal(err)
			}
			l, err := tlog.ParseLink(b)
			if err != nil {
				t.Fatal(err)
			}
			if err := stranger.Add(l); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := stranger.OpenFinal(note); err != nil {
			t.Fatal(err)
		}
	})
}

// A sequencer that is behind hears of a final checkpoint whose panel it does not know:
// it takes the checkpoint over with the cosignatures that count by then.
func TestAFinalCheckpointIsReadAgainBehindAHandOff(t *testing.T) {
	handingOver(t, 5, 3, func(s *sim) {
		late, all := s.nodes[4], s.nodes
		s.nodes = all[:4] // nothing reaches it, but it asks the others
		s.turn(1, s.seats...)
		s.grow("three")
		s.wait(5 * time.Second)
		s.nodes = all
		s.finals(4, 4, 4, 4, 1)
		late.log.mu.Lock()
		late.log.leaves = slices.Clone(s.nodes[0].log.leaves)
		for _, leaf := range late.log.leaves[1:] {
			late.log.tree.Add(spec.LeafHash(leaf))
		}
		late.log.mu.Unlock()
		late.poke()
		s.wait(50 * time.Millisecond)
		s.finals(4, 4, 4, 4, 4)
	})
}

// Behind a hand-off nothing is cosigned while the old panel, or the new one, has
// not made it final.
func TestNothingIsFinalPastAHandOffThatIsNot(t *testing.T) {
	for name, silent := range map[string][2]int{"of the old": {1, 2}, "of the new": {3, 4}} {
		handingOver(t, 5, 3, func(s *sim) {
			for _, i := range silent {
				s.nodes[i].stop()
			}
			s.turn(1, s.seats[0], s.seats[3], s.seats[4])
			s.grow("three")
			s.grow("four")
			s.wait(20 * time.Second)
			for i, n := range s.nodes {
				if n.store.Mark().Size > 3 || n.final.Newest().Size > 1 {
					t.Errorf("without two %s: node %d cosigned %d, and has %d final", name, i, n.store.Mark().Size, n.final.Newest().Size)
				}
			}
			for _, i := range silent {
				s.nodes[i].start(false)
			}
			s.wait(5 * time.Second)
			s.finals(5, 5, 5, 5, 5)
		})
	}
}

// A node that holds both keys of its organisation cosigns the hand-off with both,
// and the rest with the new one.
func TestAKeyIsExchangedAtAHandOff(t *testing.T) {
	handingOver(t, 2, 2, func(s *sim) {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{99}, ed25519.SeedSize))
		next := spec.Seat{Org: "org-1", Key: spec.PublicKey(key.Public().(ed25519.PublicKey))}
		n := s.nodes[1]
		n.stop()
		store, err := OpenStore(filepath.Join(n.dir, "cosigned", "next"), next.Key, true)
		if err != nil {
			t.Fatal(err)
		}
		n.more = []Key{{key, store}}
		n.start(false)
		s.turn(1, s.seats[0], next)
		s.grow("three")
		s.wait(5 * time.Second)
		s.finals(4, 4)
		if m := n.store.Mark(); m.Size != 3 {
			t.Errorf("the old key cosigned up to %d", m.Size)
		}
		if m := store.Mark(); m.Size != 4 {
			t.Errorf("the new key cosigned up to %d", m.Size)
		}
		store.Close()
	})
}
