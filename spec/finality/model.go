// SPDX-License-Identifier: Apache-2.0

// Package finality is a model of the rule that makes checkpoints final
// (spec/log.md), with an explorer that visits every state which a small consortium
// can reach. It is small enough to be read beside the rule, and shares no code
// with what implements it.
//
// Consensus is not trusted in it: whoever leads may give every sequencer another
// history, crash it at any moment, and have it come back with an older log or
// another's. What the model asks is whether two final checkpoints can ever exclude
// each other.
//
// A history is a string with one letter a leaf, so that one history continues
// another exactly if it begins with it. The letter h is the leaf by which one panel
// hands over to another.
package finality

import "strings"

// A Setting is a consortium and what may go wrong in it.
type Setting struct {
	Panel
	Next   *Next  // the panel that histories with an h hand over to, or nil
	Leaves string // that stand in histories, beside h
	Length int    // leaves of the longest history

	// NoStore: what was cosigned last is kept with the log, and is as old as the log
	// after a restart from a backup.
	NoStore bool
	// SendFirst: a cosignature leaves before it is noted durably.
	SendFirst bool
	// Unchecked: a sequencer cosigns what it was given, consistent or not.
	Unchecked bool
	// WithoutOld: the new panel alone makes the checkpoint of the hand-off final.
	WithoutOld bool
	// Ahead: what stands behind a hand-off is cosigned before that is final.
	Ahead bool
}

// A Panel is who may cosign.
type Panel struct {
	Sequencers int
	K          int // cosignatures that make a checkpoint final
	Liars      int // of the sequencers, that cosign anything
}

// Next is the panel that takes over.
type Next struct {
	Panel
	Kept int // honest sequencers of the first panel that sit in this one too
}

// A node is an honest sequencer. Histories are numbers in explorer.all. Its log is
// no part of it: whoever leads can give it any, and a crash takes any back.
type node struct {
	first, next bool   // whether it sits in the first panel, and in the next
	mark        int    // the last history that it cosigned, as it remembers
	owed        int    // noted or sent, and not yet the other; 0: none
	signed      uint64 // every history that it cosigned, a bit each
}

// histories lists all that can be, with at most one h where there is a
// panel to hand over to. The empty one comes first.
func (s *Setting) histories() []string {
	all := []string{""}
	for at := 0; at < len(all); at++ {
		if len(all[at]) == s.Length {
			continue
		}
		for _, leaf := range s.Leaves {
			all = append(all, all[at]+string(leaf))
		}
		if s.Next != nil && !strings.Contains(all[at], "h") {
			all = append(all, all[at]+"h")
		}
	}
	return all
}

// A step is what may happen next to an honest sequencer.
type step struct {
	to    node
	after int // the hand-off that is final before it may; 0: none
}

// steps are all that may.
func (x *explorer) steps(n node) []step {
	var out []step
	if n.owed == 0 {
		for h := 1; h < len(x.all); h++ { // it begins to cosign what was named, having been given it
			if h != n.mark && x.sits(n, h) && (x.Unchecked || strings.HasPrefix(x.all[h], x.all[n.mark])) {
				out = append(out, step{x.begin(n, h), x.handOff(h)})
			}
		}
	} else { // it completes that, or crashes in between
		out = append(out, step{x.complete(n), 0}, step{x.crash(n, n.mark), 0})
	}
	for older := range x.all { // it comes back from a backup
		if x.NoStore && older != n.mark && strings.HasPrefix(x.all[n.mark], x.all[older]) {
			out = append(out, step{x.crash(n, older), 0})
		}
	}
	return out
}

// sits reports whether a sequencer has a seat for a history: in the first panel, in
// the next one behind the h, in either where h comes last.
func (x *explorer) sits(n node, h int) bool {
	turn := strings.Index(x.all[h], "h")
	return n.first && (turn < 0 || turn == len(x.all[h])-1) || n.next && turn >= 0
}

func (x *explorer) crash(n node, mark int) node {
	n.mark, n.owed = mark, 0
	return n
}

func (x *explorer) begin(n node, h int) node {
	n.owed = h
	if x.SendFirst {
		n.signed |= 1 << h
	} else {
		n.mark = h
	}
	return n
}

func (x *explorer) complete(n node) node {
	if x.SendFirst {
		n.mark = n.owed
	} else {
		n.signed |= 1 << n.owed
	}
	n.owed = 0
	return n
}

// handOff is the hand-off that a history stands behind, which the rule wants final
// first; 0 for none.
func (x *explorer) handOff(h int) int {
	turn := strings.Index(x.all[h], "h")
	if x.Ahead || turn < 0 || turn == len(x.all[h])-1 {
		return 0
	}
	for i := range x.all {
		if x.all[i] == x.all[h][:turn+1] {
			return i
		}
	}
	return 0
}

// final are the histories that enough cosigned, a bit each.
func (x *explorer) final(at state) uint64 {
	var out uint64
	for h := 1; h < len(x.all); h++ {
		old, next := x.Liars, 0
		if x.Next != nil {
			next = x.Next.Liars
		}
		for _, id := range at {
			n := &x.nodes[id]
			if n.signed&(1<<h) != 0 && n.first {
				old++
			}
			if n.signed&(1<<h) != 0 && n.next {
				next++
			}
		}
		turn := strings.Index(x.all[h], "h")
		byOld, byNext := old >= x.K, x.Next != nil && next >= x.Next.K
		if turn < 0 && byOld || turn >= 0 && byNext && (byOld || x.WithoutOld || turn < len(x.all[h])-1) {
			out |= 1 << h
		}
	}
	return out
}

// conflict finds two histories of a set that exclude each other.
func (x *explorer) conflict(set uint64) (string, string) {
	for i, a := range x.all {
		for j, b := range x.all[:i] {
			if set&(1<<i) != 0 && set&(1<<j) != 0 && !strings.HasPrefix(a, b) && !strings.HasPrefix(b, a) {
				return b, a
			}
		}
	}
	return "", ""
}
