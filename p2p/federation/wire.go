// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"errors"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// The stream protocols of this package.
const (
	Protocol      = "/tocsin/head/1"
	RangeProtocol = "/tocsin/range/1"
)

// Kinds of messages of Protocol. A message is one frame: a kind byte and then one
// CBOR array.
const (
	kindSub   = 1 // reader → server, once, first
	kindHead  = 2 // server → reader
	kindPart  = 3 // server → reader, in both protocols
	kindFault = 4 // server → reader, last, in both protocols
	kindIHave = 5 // server → reader
	kindGraft = 6 // reader → server
	kindPrune = 7 // either way
	kindAck   = 8 // reader → server
	kindRefer = 9 // server → reader
)

// Kinds of messages of RangeProtocol.
const (
	kindWant = 1 // reader → server
	kindSeal = 2 // server → reader
)

// Bounds of the small messages.
const (
	maxControl   = 2 << 10 // bytes of what a reader sends
	maxAddresses = 8       // of one peer
	maxAddress   = 128     // bytes
	maxReferred  = 8       // peers in one Refer
	maxPeerID    = 128     // bytes
	maxSize      = tlog.MaxSize
)

type (
	// sub begins a subscription to groups from the leaf at Size on. It is lazy
	// unless there is credit.
	sub struct {
		_         struct{} `cbor:",toarray"`
		Size      uint64
		Credit    uint64   // bytes
		Addresses []string // at which the subscriber serves others
	}
	// head shows the newest final checkpoint and proves what came since the last.
	head struct {
		_      struct{} `cbor:",toarray"`
		Size   uint64   // of the checkpoint
		TimeMS uint64   // the server's clock, Unix milliseconds: decides nothing
		Next   uint64   // size behind the last part
		Note   []byte   // the checkpoint as a signed note; empty: none
		Proof  []spec.Hash
	}
	// ihave announces a final checkpoint. The receiver verifies it when it matters.
	ihave struct {
		_    struct{} `cbor:",toarray"`
		Size uint64
		Note []byte
	}
	graft struct {
		_      struct{} `cbor:",toarray"`
		Size   uint64
		Credit uint64
	}
	prune struct {
		_ struct{} `cbor:",toarray"`
	}
	ack struct {
		_      struct{} `cbor:",toarray"`
		Size   uint64
		Credit uint64
	}
	refer struct {
		_     struct{} `cbor:",toarray"`
		Peers []Referral
	}
	want struct {
		_     struct{} `cbor:",toarray"`
		From  uint64
		Upto  uint64
		Bytes uint64
	}
	seal struct {
		_     struct{} `cbor:",toarray"`
		Next  uint64
		Proof []spec.Hash
	}
	// fault is the server's reason for ending the stream.
	fault struct{ err error }
)

// A Referral names a peer that serves, with addresses that it gave.
type Referral struct {
	_         struct{} `cbor:",toarray"`
	Peer      p2p.PeerID
	Addresses []string
}

func encode(kind byte, v any) ([]byte, error) {
	b, err := spec.Encode(v)
	if err != nil {
		return nil, err
	}
	return append([]byte{kind}, b...), nil
}

// decode reads any message of Protocol.
func decode(frame []byte) (any, error) {
	if len(frame) == 0 {
		return nil, errEmpty
	}
	body := frame[1:]
	switch frame[0] {
	case kindSub:
		return decodeInto(body, &sub{}, (*sub).check)
	case kindHead:
		return decodeInto(body, &head{}, (*head).check)
	case kindPart:
		return decodeInto(body, &part{}, (*part).check)
	case kindFault:
		return decodeFault(body)
	case kindIHave:
		return decodeInto(body, &ihave{}, func(m *ihave) error { return errors.Join(checkNote(m.Note), checkSizes(m.Size)) })
	case kindGraft:
		return decodeInto(body, &graft{}, func(m *graft) error { return checkSizes(m.Size) })
	case kindPrune:
		return decodeInto(body, &prune{}, func(*prune) error { return nil })
	case kindAck:
		return decodeInto(body, &ack{}, func(m *ack) error { return checkSizes(m.Size) })
	case kindRefer:
		return decodeInto(body, &refer{}, (*refer).check)
	}
	return nil, unknownKind(frame[0])
}

// decodeRange reads any message of RangeProtocol.
func decodeRange(frame []byte) (any, error) {
	if len(frame) == 0 {
		return nil, errEmpty
	}
	body := frame[1:]
	switch frame[0] {
	case kindWant:
		return decodeInto(body, &want{}, (*want).check)
	case kindSeal:
		return decodeInto(body, &seal{}, func(m *seal) error { return checkProof(m.Next, m.Proof) })
	case kindPart:
		return decodeInto(body, &part{}, (*part).check)
	case kindFault:
		return decodeFault(body)
	}
	return nil, unknownKind(frame[0])
}

var errEmpty = spec.Errorf(spec.CodeMalformed, "an empty message")

func unknownKind(k byte) error {
	return spec.Errorf(spec.CodeMalformed, "unknown kind of message %d", k)
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

func checkSizes(sizes ...uint64) error {
	for _, n := range sizes {
		if n > maxSize {
			return spec.Errorf(spec.CodeMalformed, "a size is out of range")
		}
	}
	return nil
}

func checkProof(next uint64, proof []spec.Hash) error {
	if len(proof) > tlog.MaxProof {
		return spec.Errorf(spec.CodeTooLarge, "a proof has at most %d hashes", tlog.MaxProof)
	}
	return checkSizes(next)
}

func checkNote(note []byte) error {
	if len(note) > tlog.MaxNote {
		return spec.Errorf(spec.CodeTooLarge, "a note is at most %d bytes", tlog.MaxNote)
	}
	return nil
}

func checkAddresses(addrs []string) error {
	if len(addrs) > maxAddresses {
		return spec.Errorf(spec.CodeTooLarge, "a peer has at most %d addresses", maxAddresses)
	}
	for _, a := range addrs {
		if len(a) > maxAddress {
			return spec.Errorf(spec.CodeTooLarge, "an address has at most %d bytes", maxAddress)
		}
	}
	return nil
}

func (m *sub) check() error {
	if err := checkAddresses(m.Addresses); err != nil {
		return err
	}
	return checkSizes(m.Size)
}

func (h *head) check() error {
	if err := checkNote(h.Note); err != nil {
		return err
	}
	if err := checkSizes(h.Size); err != nil {
		return err
	}
	return checkProof(h.Next, h.Proof)
}

func (m *refer) check() error {
	if len(m.Peers) > maxReferred {
		return spec.Errorf(spec.CodeTooLarge, "a referral names at most %d peers", maxReferred)
	}
	for i := range m.Peers {
		if len(m.Peers[i].Peer) > maxPeerID {
			return spec.Errorf(spec.CodeTooLarge, "a peer id has at most %d bytes", maxPeerID)
		}
		if err := checkAddresses(m.Peers[i].Addresses); err != nil {
			return err
		}
	}
	return nil
}

func (m *want) check() error {
	if m.Bytes == 0 || m.Bytes > maxStretch || m.From >= m.Upto {
		return spec.Errorf(spec.CodeMalformed, "a range of nothing, or of more than %d bytes", maxStretch)
	}
	return checkSizes(m.From, m.Upto)
}
