// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage/entries"
)

// Live signals are read by hand: there are millions of them at every start and one
// for every match.

// liveView is a liveSignal whose fields lie in the record that it was read from.
type liveView struct {
	Type, Value, C, Meta, Salt []byte
	Quality, Item              uint64
}

// quickLive reads a record of a live signal.
func quickLive(record []byte) (v liveView, ok bool) {
	r := quick{rest: record}
	r.array(7)
	v.Type, v.Value = r.text(), r.take(2)
	v.Quality = r.head(0)
	v.C, v.Meta, v.Salt = r.take(2), r.take(2), r.take(2)
	v.Item = r.head(0)
	return v, !r.bad && len(r.rest) == 0 && len(v.C) == len(spec.Hash{}) && len(v.Salt) == spec.SaltSize
}

// quickMeta reads what a live signal says of its entry.
func quickMeta(record []byte) (m spec.LiveMeta, ok bool) {
	r := quick{rest: record}
	r.array(5)
	entry := r.take(2)
	m.State, m.Since, m.Sunset = r.head(0), r.head(0), r.head(0)
	labels := r.head(4)
	if r.bad || len(entry) != len(m.Entry) || labels > uint64(len(r.rest)) {
		return m, false
	}
	m.Entry = spec.Hash(entry)
	m.Labels = make([]string, labels)
	for i := range m.Labels {
		m.Labels[i] = string(r.text())
	}
	return m, !r.bad && len(r.rest) == 0
}

// appendSaid splits what a live signal says of its entry: who it is, since when, and,
// appended to b, what many entries say alike, which saidOf reads.
func appendSaid(b, record []byte) (l entries.Listing, ok bool) {
	r := quick{rest: record}
	r.array(5)
	entry := r.take(2)
	state := r.rest
	r.head(0)
	state = state[:len(state)-len(r.rest)]
	l.Since = r.head(0)
	if r.bad || len(entry) != len(l.Entry) {
		return l, false
	}
	l.Entry = spec.Hash(entry)
	l.Said = append(append(b, state...), r.rest...)
	return l, true
}

func saidOf(said []byte) (s entries.Said, err error) {
	r := quick{rest: said}
	s.State, s.Sunset = r.head(0), r.head(0)
	labels := r.head(4)
	if r.bad || labels > uint64(len(r.rest)) {
		return s, spec.Errorf(spec.CodeCorrupt, "what a live signal says of its entry cannot be decoded")
	}
	s.Labels = make([]string, labels)
	for i := range s.Labels {
		s.Labels[i] = string(r.text())
	}
	if r.bad || len(r.rest) > 0 {
		return s, spec.Errorf(spec.CodeCorrupt, "what a live signal says of its entry cannot be decoded")
	}
	return s, nil
}

// quick takes canonical CBOR items (RFC 8949 §4.2) off the front of its bytes. The
// first thing that is not as asked for makes bad true, for good.
type quick struct {
	rest []byte
	bad  bool
}

// head reads an item's head of a major type in its shortest form.
func (r *quick) head(major byte) uint64 {
	if len(r.rest) > 0 && r.rest[0]-major<<5 < 24 { // as most are
		n := r.rest[0] - major<<5
		r.rest = r.rest[1:]
		return uint64(n)
	}
	return r.longHead(major)
}

// longHead is head for a number of 24 or more.
func (r *quick) longHead(major byte) uint64 {
	if len(r.rest) == 0 || r.rest[0]>>5 != major {
		r.bad = true
		return 0
	}
	info, rest := r.rest[0]&31, r.rest[1:]
	size := 0
	if info >= 24 && info < 28 {
		size = 1 << (info - 24)
	}
	if info > 27 || len(rest) < size {
		r.bad = true
		return 0
	}
	r.rest = rest[size:]
	n, least := uint64(info), uint64(0)
	switch size {
	case 1:
		n, least = uint64(rest[0]), 24
	case 2:
		n, least = uint64(binary.BigEndian.Uint16(rest)), 1<<8
	case 4:
		n, least = uint64(binary.BigEndian.Uint32(rest)), 1<<16
	case 8:
		n, least = binary.BigEndian.Uint64(rest), 1<<32
	}
	r.bad = r.bad || n < least
	return n
}

func (r *quick) array(n uint64) { r.bad = r.head(4) != n || r.bad }

// take reads a string of a major type, without copying it.
func (r *quick) take(major byte) []byte {
	n := r.head(major)
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	v := r.rest[:n:n]
	r.rest = r.rest[n:]
	return v
}

func (r *quick) text() []byte {
	v := r.take(3)
	r.bad = r.bad || !utf8.Valid(v)
	return v
}

// typeName returns the name of a type without allocating the known ones.
func typeName(b []byte) string {
	if t, ok := spec.SignalTypeOf(string(b)); ok {
		return t.Name
	}
	return string(b)
}
