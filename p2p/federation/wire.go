// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// Protocol is the stream protocol of this package.
const Protocol = "/tocsin/head/1"

// A message is one frame: a kind byte and then one CBOR array.
const (
	kindSub   = 1 // follower → server, once, first
	kindHead  = 2 // server → follower
	kindPart  = 3 // server → follower
	kindFault = 4 // server → follower, last
)

// maxSub bounds the only message that a server reads.
const maxSub = 32

// sub asks for every group from the leaf at index Size on.
type sub struct {
	_    struct{} `cbor:",toarray"`
	Size uint64
}

// part is a piece of a group: leaves first, then openings; Last ends the group.
type part struct {
	_        struct{} `cbor:",toarray"`
	First    uint64
	Leaves   [][]byte
	Openings []Opening
	Last     bool
}

func (p *part) items() int { return len(p.Leaves) + len(p.Openings) }

func encode(kind byte, v any) ([]byte, error) {
	b, err := spec.Encode(v)
	if err != nil {
		return nil, err
	}
	return append([]byte{kind}, b...), nil
}

// decode reads any message: a *sub, *Head, *part, or *fault.
func decode(frame []byte) (any, error) {
	if len(frame) == 0 {
		return nil, spec.Errorf(spec.CodeMalformed, "an empty message")
	}
	body := frame[1:]
	switch frame[0] {
	case kindSub:
		return decodeInto(body, &sub{}, func(*sub) error { return nil })
	case kindHead:
		return decodeInto(body, &Head{}, (*Head).check)
	case kindPart:
		return decodeInto(body, &part{}, (*part).check)
	case kindFault:
		return decodeFault(body)
	}
	return nil, spec.Errorf(spec.CodeMalformed, "unknown kind of message %d", frame[0])
}

func decodeInto[T any](body []byte, v *T, check func(*T) error) (any, error) {
	if err := spec.Decode(body, v); err != nil {
		return nil, err
	}
	if err := check(v); err != nil {
		return nil, err
	}
	return v, nil
}

// fault is the server's reason for ending the stream.
type fault struct{ err error }

func decodeFault(body []byte) (any, error) {
	err := p2p.DecodeFault(body)
	if err == nil {
		return nil, spec.Errorf(spec.CodeMalformed, "a fault without a code")
	}
	return &fault{err}, nil
}

func encodeFault(err error) ([]byte, error) {
	b, encErr := p2p.EncodeFault(err)
	return append([]byte{kindFault}, b...), encErr
}

func (h *Head) check() error {
	if len(h.Body) > MaxHead {
		return spec.Errorf(spec.CodeTooLarge, "a head is at most %d bytes", MaxHead)
	}
	return nil
}

func (p *part) check() error {
	if p.items() == 0 && !p.Last {
		return spec.Errorf(spec.CodeMalformed, "a part that carries nothing")
	}
	if p.items() > maxPartItems {
		return spec.Errorf(spec.CodeTooLarge, "a part has at most %d items", maxPartItems)
	}
	return checkItems(p.Leaves, p.Openings)
}

// parts splits a group so that each part fits in a frame, and hands them to
// emit in order.
func (g *Group) parts(emit func(part) error) error {
	p, size := part{First: g.First}, 0
	room := func(n int) error {
		full := size+n > partTarget || p.items() == maxPartItems
		size += n
		if !full || p.items() == 0 {
			return nil
		}
		done := p
		p, size = part{First: g.First}, n
		return emit(done)
	}
	for _, l := range g.Leaves {
		if err := room(costOf(l)); err != nil {
			return err
		}
		p.Leaves = append(p.Leaves, l)
	}
	for _, o := range g.Openings {
		if err := room(costOf(o.Bytes)); err != nil {
			return err
		}
		p.Openings = append(p.Openings, o)
	}
	p.Last = true
	return emit(p)
}

// assembler puts parts together again. next is the size at which the next group
// must begin.
type assembler struct {
	next uint64
	cur  *Group
	cost int
}

// add returns the group that p completes, or nil. Errors are the sender's fault.
func (a *assembler) add(p *part) (*Group, error) {
	if p.First != a.next {
		return nil, spec.Errorf(spec.CodeMalformed, "a group that begins at %d where %d is due", p.First, a.next)
	}
	if a.cur == nil {
		a.cur, a.cost = &Group{First: p.First}, 0
	}
	if len(p.Leaves) > 0 && len(a.cur.Openings) > 0 {
		return nil, spec.Errorf(spec.CodeMalformed, "a leaf behind openings")
	}
	a.cost += (&Group{Leaves: p.Leaves, Openings: p.Openings}).cost()
	if a.cost > MaxGroup {
		return nil, spec.Errorf(spec.CodeTooLarge, "a group is at most %d bytes", MaxGroup)
	}
	a.cur.Leaves = append(a.cur.Leaves, p.Leaves...)
	a.cur.Openings = append(a.cur.Openings, p.Openings...)
	if !p.Last {
		return nil, nil
	}
	g := a.cur
	a.cur, a.next = nil, g.Next()
	return g, g.check()
}
