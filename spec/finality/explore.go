// SPDX-License-Identifier: Apache-2.0

package finality

import "slices"

// Found is what an exploration found.
type Found struct {
	States int      // that were visited
	Final  []string // histories that can become final, among those
	A, B   string   // the first two that exclude each other and are both final, or "" twice
}

// Explore visits every reachable state, or those until two final histories exclude
// each other.
func Explore(s Setting) Found {
	x := &explorer{Setting: s, ids: map[node]int{}, all: s.histories()}
	start, ever := x.start(), uint64(0)
	seen, todo := map[key]bool{start.key(): true}, []state{start}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		final := x.final(at)
		ever |= final
		if a, b := x.conflict(final); a != "" {
			return Found{len(seen), x.named(ever), a, b}
		}
		for i := range at {
			for _, l := range x.leads(at[i]) {
				if l.after != 0 && final>>l.after&1 == 0 {
					continue
				}
				after := slices.Clone(at)
				after[i] = l.to
				slices.Sort(after) // sequencers of the same seats that swap their places make no other state
				if k := after.key(); !seen[k] {
					seen[k] = true
					todo = append(todo, after)
				}
			}
		}
	}
	return Found{States: len(seen), Final: x.named(ever)}
}

func (x *explorer) named(set uint64) (out []string) {
	for h := range x.all {
		if set&(1<<h) != 0 {
			out = append(out, x.all[h])
		}
	}
	return out
}

// An explorer numbers the states of one sequencer as it meets them, and remembers
// where each leads.
type explorer struct {
	Setting
	all   []string // histories
	ids   map[node]int
	nodes []node
	ways  [][]lead
}

// A lead is a step by its number.
type lead struct{ to, after int }

func (x *explorer) id(n node) int {
	id, ok := x.ids[n]
	if !ok {
		id = len(x.nodes)
		x.ids[n] = id
		x.nodes, x.ways = append(x.nodes, n), append(x.ways, nil)
	}
	return id
}

func (x *explorer) leads(id int) []lead {
	if x.ways[id] == nil {
		ways := []lead{}
		for _, s := range x.steps(x.nodes[id]) {
			ways = append(ways, lead{x.id(s.to), s.after})
		}
		x.ways[id] = ways
	}
	return x.ways[id]
}

// start is every honest sequencer, none of whom has cosigned anything.
func (x *explorer) start() (s state) {
	kept, joining := 0, 0
	if x.Next != nil {
		kept = x.Next.Kept
		joining = x.Next.Sequencers - x.Next.Liars - kept
	}
	for range x.Sequencers - x.Liars - kept {
		s = append(s, x.id(node{first: true}))
	}
	for range kept {
		s = append(s, x.id(node{first: true, next: true}))
	}
	for range joining {
		s = append(s, x.id(node{next: true}))
	}
	slices.Sort(s)
	return s
}

// A state is the honest sequencers, by number and sorted.
type state []int

// A key tells states apart.
type key [10]uint16

func (s state) key() (k key) {
	for i, id := range s {
		k[i] = uint16(id)
	}
	return k
}
