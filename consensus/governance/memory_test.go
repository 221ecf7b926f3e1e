// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// memory is a ledger in memory, simple enough to be right: what it holds is
// compared with what other ledgers hold.
type memory struct {
	log      [][]byte
	index    map[spec.Hash]uint64
	records  map[string][]byte
	openings map[spec.Hash]*spec.Opening
	live     map[place]liveSignal
	withheld map[spec.Hash]int // live signals of an entry whose values are not here
}

type place struct{ k, entry spec.Hash }

type liveSignal struct {
	c    spec.Hash
	meta []byte
	spec.Signal
}

func newMemory() *memory {
	return &memory{
		index: map[spec.Hash]uint64{}, records: map[string][]byte{}, openings: map[spec.Hash]*spec.Opening{},
		live: map[place]liveSignal{}, withheld: map[spec.Hash]int{},
	}
}

func (m *memory) clone() *memory {
	return &memory{
		log: slices.Clone(m.log), index: maps.Clone(m.index), records: maps.Clone(m.records),
		openings: maps.Clone(m.openings), live: maps.Clone(m.live), withheld: maps.Clone(m.withheld),
	}
}

func (m *memory) Size() uint64 { return uint64(len(m.log)) }

func (m *memory) Record(key []byte) ([]byte, error) { return m.records[string(key)], nil }

func (m *memory) Records(prefix []byte, fn func(key, value []byte) bool) error {
	return m.RecordsFrom(prefix, prefix, fn)
}

func (m *memory) RecordsFrom(prefix, from []byte, fn func(key, value []byte) bool) error {
	var keys []string
	for k := range m.records {
		if strings.HasPrefix(k, string(prefix)) && k >= string(from) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if !fn([]byte(k), m.records[k]) {
			break
		}
	}
	return nil
}

func (m *memory) Listed(s spec.Signal) (int, error) {
	n, k := 0, s.Key()
	for at := range m.live {
		if at.k == k {
			n++
		}
	}
	return n, nil
}

func (m *memory) GroupEnd() (spec.Hash, bool) {
	if n := len(m.log); n > 0 && !spec.EndsGroup(m.log[n-1]) {
		return spec.Hash{}, false
	}
	return m.root(), true
}

func (m *memory) Append(leaf []byte) error {
	if spec.IsEnvelope(leaf) {
		m.index[spec.LeafHash(leaf)] = m.Size()
	}
	m.log = append(m.log, leaf)
	return nil
}

func (m *memory) Find(id spec.Hash) (uint64, bool, error) {
	i, ok := m.index[id]
	return i, ok, nil
}

func (m *memory) Put(key, value []byte) error {
	if value == nil {
		delete(m.records, string(key))
	} else {
		m.records[string(key)] = value
	}
	return nil
}

func (m *memory) Hold(id spec.Hash, o *spec.Opening) error {
	if m.openings[id] == nil {
		m.openings[id] = o
	}
	return nil
}

func (m *memory) List(l spec.Listing) error {
	meta, err := spec.Encode(&l.Meta)
	if err != nil {
		return err
	}
	delete(m.withheld, l.Meta.Entry)
	for i := range l.Count {
		m.listOne(l, i, meta)
	}
	return nil
}

func (m *memory) listOne(l spec.Listing, i int, meta []byte) {
	live := l.Live && !slices.Contains(l.Off, uint64(i))
	o := m.openings[l.Case]
	if o == nil || o.Signals[l.First+i].Erased {
		if live {
			m.withheld[l.Meta.Entry]++
		}
		return
	}
	s := o.Signals[l.First+i]
	at := place{s.SignalKey(), l.Meta.Entry}
	if live {
		m.live[at] = liveSignal{s.Commitment(), meta, s.Signal}
	} else {
		delete(m.live, at)
	}
}

func (m *memory) Erase(e spec.Erasure) error {
	o := m.openings[e.Case]
	if o == nil {
		return nil
	}
	next := &spec.Opening{Signals: slices.Clone(o.Signals), Texts: o.Texts}
	for i := e.First; i < e.First+e.Count; i++ {
		next.Signals[i] = spec.Opened{Erased: true, Blinded: next.Signals[i].Commitment()}
	}
	m.openings[e.Case] = next
	return nil
}

func (m *memory) Roots() (spec.Roots, error) {
	var live, rules []leafAt
	for at, s := range m.live {
		live = append(live, leafAt{string(at.k[:]) + string(at.entry[:]), spec.LiveLeaf(at.k, s.c, s.meta)})
	}
	for k, v := range m.records {
		p := spec.RulePlace([]byte(k))
		rules = append(rules, leafAt{string(p[:]), spec.RuleLeaf([]byte(k), v)})
	}
	withheld := 0
	for _, n := range m.withheld {
		withheld += n
	}
	return spec.Roots{
		Live: rootOf(live), LiveCount: uint64(len(live) + withheld), Rules: rootOf(rules), LiveKnown: withheld == 0,
	}, nil
}

type leafAt struct {
	place string
	hash  spec.Hash
}

func rootOf(leaves []leafAt) spec.Hash {
	slices.SortFunc(leaves, func(a, b leafAt) int { return strings.Compare(a.place, b.place) })
	hashes := make([]spec.Hash, len(leaves))
	for i, l := range leaves {
		hashes[i] = l.hash
	}
	return spec.TreeRoot(hashes)
}

// dump is everything the ledger holds, in one order.
func (m *memory) dump() string {
	var b strings.Builder
	for _, l := range m.log {
		fmt.Fprintf(&b, "leaf %x\n", l)
	}
	m.Records(nil, func(k, v []byte) bool {
		fmt.Fprintf(&b, "record %x = %x\n", k, v)
		return true
	})
	for _, id := range slices.SortedFunc(maps.Keys(m.openings), func(a, b spec.Hash) int { return bytes.Compare(a[:], b[:]) }) {
		raw, err := m.openings[id].Encode()
		fmt.Fprintf(&b, "opening %v = %x %v\n", id, raw, err)
	}
	roots, _ := m.Roots()
	fmt.Fprintf(&b, "roots %+v", roots)
	return b.String()
}

// matches returns the states of the entries that list a signal.
func (m *memory) matches(s spec.Signal) []string {
	var out []string
	for at, l := range m.live {
		if at.k == s.Key() {
			var meta spec.LiveMeta
			if err := spec.Decode(l.meta, &meta); err != nil {
				panic(err)
			}
			out = append(out, spec.StateName(meta.State))
		}
	}
	slices.Sort(out)
	return out
}

// root is the RFC 6962 root of the log.
func (m *memory) root() spec.Hash { return m.rootAt(m.Size()) }

// rootAt is the root of the log at a size that it reached.
func (m *memory) rootAt(size uint64) spec.Hash {
	var e tlog.Edge
	for _, l := range m.log[:min(size, m.Size())] {
		e.Append(spec.LeafHash(l), func(int, uint64, spec.Hash) {})
	}
	return e.Root()
}
