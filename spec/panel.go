// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"crypto/ed25519"
	"slices"
)

// A Seat is a sequencer that counts when a checkpoint becomes final, with the key
// that it cosigns with.
type Seat struct {
	_   struct{} `cbor:",toarray"`
	Org string
	Key PublicKey
}

// A Panel is the leaf that names who makes the log final from here on. It stands
// before the StateRoot of the group that changed it. The founding panel has the
// number 0 and no leaf: it follows from the genesis document.
type Panel struct {
	_      struct{} `cbor:",toarray"`
	Tag    uint64
	Number uint64
	K      uint64 // cosignatures that make a checkpoint final
	Seats  []Seat // by organisation
}

// Check refuses a panel under which two checkpoints that exclude each other could
// both be final without anyone lying.
func (p *Panel) Check() error {
	n := len(p.Seats)
	if n == 0 || n > MaxSequencers || p.K > uint64(n) || 2*p.K <= uint64(n) {
		return Errorf(CodeMalformed, "a panel has 1 to %d seats, and more than half of them make final", MaxSequencers)
	}
	for i := range p.Seats {
		if !orgID.MatchString(p.Seats[i].Org) || i > 0 && p.Seats[i-1].Org >= p.Seats[i].Org {
			return Errorf(CodeMalformed, "seats stand in the order of their organisations, each once")
		}
	}
	return nil
}

// Seat returns the key with which an organisation cosigns.
func (p *Panel) Seat(org string) (PublicKey, bool) {
	i := slices.IndexFunc(p.Seats, func(s Seat) bool { return s.Org == org })
	if i < 0 {
		return PublicKey{}, false
	}
	return p.Seats[i].Key, true
}

// FoundingPanel is who makes the log final from the start: the sequencers that the
// policy names, or all members up to nine.
func (g *Genesis) FoundingPanel() *Panel {
	p := &Panel{Tag: TagPanel}
	for _, o := range g.Organisations {
		named := len(g.Policy.Sequencers) == 0 || slices.Contains(g.Policy.Sequencers, o.ID)
		if o.Role == RoleMember && named && len(p.Seats) < MaxSequencers {
			p.Seats = append(p.Seats, Seat{Org: o.ID, Key: o.CosignKey})
		}
	}
	p.K = uint64(g.Policy.Finality(len(p.Seats)))
	return p
}

// A Cosignature is an organisation's statement that it saw the log be append-only
// up to a checkpoint, at a time (C2SP tlog-cosignature).
type Cosignature struct {
	_    struct{} `cbor:",toarray"`
	Org  string
	Time uint64 // Unix seconds, of the organisation's clock
	Sig  [ed25519.SignatureSize]byte
}

// A Timed checkpoint is what moves log time: a checkpoint with as many cosignatures
// as make it final. Its time is the oldest of theirs.
type Timed struct {
	_            struct{} `cbor:",toarray"`
	Size         uint64
	Root         Hash
	Cosignatures []Cosignature // by organisation
}

// TimeMS is the time that every one of the cosignatures says has come, in
// milliseconds; 0 without any.
func (t *Timed) TimeMS() uint64 {
	if len(t.Cosignatures) == 0 {
		return 0
	}
	oldest := t.Cosignatures[0].Time
	for i := range t.Cosignatures {
		oldest = min(oldest, t.Cosignatures[i].Time)
	}
	if oldest > maxSeconds {
		return 0
	}
	return oldest * second
}

// maxSeconds is the last time that counts, in the year 287396: sums of times in
// milliseconds cannot overflow before it.
const maxSeconds = 1 << 53 / second
