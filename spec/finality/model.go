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
package finality

import (
	"slices"
	"strings"
)

// A Setting is a consortium and what may go wrong in it.
type Setting struct {
	Sequencers int
	K          int // cosignatures that make a checkpoint final
	Liars      int // of the sequencers, that cosign anything
	Length     int // leaves of the longest history

	// NoStore: what was cosigned last is kept with the log, and is as old as the log
	// after a restart from a backup.
	NoStore bool
	// SendFirst: a cosignature leaves before it is noted durably.
	SendFirst bool
	// Unchecked: a sequencer cosigns what it applied, consistent or not.
	Unchecked bool
}

// A node is an honest sequencer. A history is a string with one letter a leaf, so
// that one history continues another exactly if it begins with it.
type node struct {
	log    string
	mark   string // the last history that it cosigned, as it remembers
	owed   string // noted or sent, and not yet the other
	signed string // every history that it cosigned, sorted, each once, with a comma behind
}

// Explore visits every reachable state. It returns how many there are, and the
// first two final histories that exclude each other, or "" twice.
func Explore(s Setting) (states int, a, b string) {
	x := &explorer{Setting: s, ids: map[node]int{}}
	start := make(state, s.Sequencers-s.Liars)
	x.id(node{})
	seen, todo := map[key]bool{start.key(): true}, []state{start}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if a, b := x.conflict(at); a != "" {
			return len(seen), a, b
		}
		for i := range at {
			for _, next := range x.next(at[i]) {
				after := slices.Clone(at)
				after[i] = next
				slices.Sort(after) // sequencers that swap their places make no other state
				if k := after.key(); !seen[k] {
					seen[k] = true
					todo = append(todo, after)
				}
			}
		}
	}
	return len(seen), "", ""
}

// A state is the honest sequencers, by number and sorted.
type state []int

// A key tells states apart.
type key [9]uint16

func (s state) key() (k key) {
	for i, id := range s {
		k[i] = uint16(id)
	}
	return k
}

// An explorer numbers the states of one sequencer as it meets them, and remembers
// where each leads.
type explorer struct {
	Setting
	ids   map[node]int
	nodes []node
	leads [][]int
}

func (x *explorer) id(n node) int {
	id, ok := x.ids[n]
	if !ok {
		id = len(x.nodes)
		x.ids[n] = id
		x.nodes, x.leads = append(x.nodes, n), append(x.leads, nil)
	}
	return id
}

func (x *explorer) next(id int) []int {
	if x.leads[id] == nil {
		var out []int
		for _, n := range x.steps(x.nodes[id]) {
			out = append(out, x.id(n))
		}
		x.leads[id] = out
	}
	return x.leads[id]
}

// steps are what may happen next to an honest sequencer.
func (s *Setting) steps(n node) []node {
	var out []node
	if len(n.log) < s.Length { // it is given a leaf, by whom it takes for the leader
		for _, leaf := range []string{"x", "y"} {
			next := n
			next.log += leaf
			out = append(out, next)
		}
	}
	for size := 1; size <= len(n.log); size++ { // it begins to cosign a size that was named
		h := n.log[:size]
		if n.owed == "" && h != n.mark && (s.Unchecked || strings.HasPrefix(h, n.mark)) {
			next := n
			next.owed = h
			if s.SendFirst {
				next.sign(h)
			} else {
				next.mark = h
			}
			out = append(out, next)
		}
	}
	if n.owed != "" { // it completes that
		next := n
		next.owed = ""
		if s.SendFirst {
			next.mark = n.owed
		} else {
			next.sign(n.owed)
		}
		out = append(out, next)
	}
	for size := 0; size <= len(n.log); size++ { // it crashes and comes back, perhaps from a backup
		next := n
		next.log, next.owed = n.log[:size], ""
		if s.NoStore && len(next.mark) > size {
			next.mark = next.mark[:size]
		}
		out = append(out, next)
	}
	return out
}

func (n *node) sign(h string) {
	all := strings.FieldsFunc(n.signed, func(r rune) bool { return r == ',' })
	if !slices.Contains(all, h) {
		all = append(all, h)
	}
	slices.Sort(all)
	n.signed = strings.Join(all, ",") + ","
}

// conflict finds two final histories that exclude each other.
func (x *explorer) conflict(at state) (string, string) {
	count := map[string]int{}
	for _, id := range at {
		n := &x.nodes[id]
		for _, h := range strings.FieldsFunc(n.signed, func(r rune) bool { return r == ',' }) {
			count[h]++
		}
	}
	var final []string
	for h, honest := range count {
		if honest+x.Liars >= x.K {
			final = append(final, h)
		}
	}
	slices.Sort(final)
	for _, a := range final {
		for _, b := range final {
			if !strings.HasPrefix(a, b) && !strings.HasPrefix(b, a) {
				return a, b
			}
		}
	}
	return "", ""
}
