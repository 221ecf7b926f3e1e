// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"crypto/ed25519"
	"slices"

	sumnote "golang.org/x/mod/sumdb/note"

	"github.com/tocsin-db/tocsin/spec"
)

// A Panel is who may cosign a log, and how many of them make a checkpoint final.
// Where one panel hands over to the next it is both at once: enough of each must
// cosign. It never changes; any number of goroutines may use it.
type Panel struct {
	Origin  string
	number  uint64
	quorums []quorum // one, or at a hand-off two
	seats   []seat   // by organisation and key
	known   sumnote.Verifiers
	log     sumnote.Verifier
	logKey  ed25519.PrivateKey
}

// A quorum is one panel's seats, of which k are enough.
type quorum struct {
	k     int
	seats []spec.Seat
}

// A seat is one key that may cosign.
type seat struct {
	spec.Seat
	verifier sumnote.Verifier
}

// NewPanel makes the panel that a leaf or record names.
func NewPanel(origin string, of *spec.Panel) (*Panel, error) {
	if err := of.Check(); err != nil {
		return nil, err
	}
	p := &Panel{Origin: origin, number: of.Number, quorums: []quorum{{k: int(of.K), seats: of.Seats}}}
	return p, p.sit()
}

// GenesisPanel is the panel of the sequencers that the founding policy names, and
// as many of them as it asks for.
func GenesisPanel(g *spec.Genesis) (*Panel, error) { return NewPanel(g.Origin(), g.FoundingPanel()) }

// HandOff is the panel of the checkpoint at which one panel hands over to the next.
func HandOff(from, to *Panel) (*Panel, error) {
	p := &Panel{Origin: from.Origin, number: to.number, quorums: append(slices.Clone(from.quorums), to.quorums...)}
	return p, p.sit()
}

// sit lists the seats of all quorums, each key once.
func (p *Panel) sit() error {
	if p.log = logVerifier(p.Origin); p.log == nil {
		return spec.Errorf(spec.CodeGenesis, "the origin cannot stand in a signed note")
	}
	p.logKey = LogKey(p.Origin)
	known := []sumnote.Verifier{p.log}
	for _, q := range p.quorums {
		for _, s := range q.seats {
			if p.Has(s) {
				continue
			}
			v, err := cosignVerifier(p.Origin, s)
			if err != nil {
				return err
			}
			p.seats = append(p.seats, seat{s, v})
			known = append(known, v)
		}
	}
	slices.SortFunc(p.seats, func(a, b seat) int {
		return Order(Cosignature{Org: a.Org, Key: a.Key}, Cosignature{Org: b.Org, Key: b.Key})
	})
	p.known = sumnote.VerifierList(known...)
	return nil
}

// Number is that of the panel, of the one that takes over at a hand-off.
func (p *Panel) Number() uint64 { return p.number }

// K is how many of the panel's seats, of the one that takes over at a hand-off, make
// a checkpoint final.
func (p *Panel) K() int { return p.quorums[len(p.quorums)-1].k }

// Orgs lists the sequencers by id.
func (p *Panel) Orgs() []string {
	var ids []string
	for i := range p.seats {
		ids = append(ids, p.seats[i].Org)
	}
	return slices.Compact(ids)
}

// Has reports whether a key may cosign for an organisation.
func (p *Panel) Has(s spec.Seat) bool {
	return slices.ContainsFunc(p.seats, func(x seat) bool { return x.Seat == s })
}

// Verify reports whether a cosignature on a checkpoint is a sequencer's.
func (p *Panel) Verify(c Checkpoint, s *Cosignature) bool {
	v := p.verifier(spec.Seat{Org: s.Org, Key: s.Key})
	return c.Origin == p.Origin && v != nil && v.Verify(c.Text(), s.raw())
}

// A Signed checkpoint is one with cosignatures of a panel that were verified, one
// of each seat, in their Order.
type Signed struct {
	Checkpoint
	Cosignatures []Cosignature
}

// times are those of the cosignatures that count in a quorum, ascending.
func (q *quorum) times(s *Signed) []uint64 {
	var out []uint64
	for i := range s.Cosignatures {
		if c := &s.Cosignatures[i]; slices.Contains(q.seats, spec.Seat{Org: c.Org, Key: c.Key}) {
			out = append(out, c.Time)
		}
	}
	slices.Sort(out)
	return out
}

// Final reports whether enough sequencers cosigned.
func (p *Panel) Final(s *Signed) bool {
	for i := range p.quorums {
		if len(p.quorums[i].times(s)) < p.quorums[i].k {
			return false
		}
	}
	return true
}

// Time is the k-th newest time in the cosignatures, in Unix seconds: k
// organisations say that it is at least that late. It is 0 below k.
func (p *Panel) Time(s *Signed) uint64 {
	if !p.Final(s) {
		return 0
	}
	at := ^uint64(0)
	for i := range p.quorums {
		times := p.quorums[i].times(s)
		at = min(at, times[len(times)-p.quorums[i].k])
	}
	return at
}

// Timed is what moves log time to the time of a final checkpoint: as many
// cosignatures as the panel needs, the newest. At a hand-off they are those of the
// panel that takes over.
func (p *Panel) Timed(s *Signed) (*spec.Timed, bool) {
	q := p.quorums[len(p.quorums)-1]
	var of []Cosignature
	for _, c := range s.Cosignatures {
		if slices.Contains(q.seats, spec.Seat{Org: c.Org, Key: c.Key}) {
			of = append(of, c)
		}
	}
	if len(of) < q.k {
		return nil, false
	}
	slices.SortStableFunc(of, func(a, b Cosignature) int { return int(min(max(int64(b.Time)-int64(a.Time), -1), 1)) })
	of = of[:q.k]
	slices.SortFunc(of, Order)
	t := &spec.Timed{Size: s.Size, Root: s.Root}
	for _, c := range of {
		t.Cosignatures = append(t.Cosignatures, spec.Cosignature{Org: c.Org, Time: c.Time, Sig: c.Sig})
	}
	return t, true
}

// CheckTimed refuses with NOT_FINAL what does not carry exactly as many
// cosignatures as the panel needs, by organisation, and with BAD_CHECKPOINT one
// that does not hold.
func CheckTimed(origin string, of *spec.Panel, t *spec.Timed) error {
	if uint64(len(t.Cosignatures)) != of.K {
		return spec.Errorf(spec.CodeNotFinal, "the checkpoint has %d cosignatures where %d move time", len(t.Cosignatures), of.K)
	}
	c := Checkpoint{Origin: origin, Size: t.Size, Root: t.Root}
	for i := range t.Cosignatures {
		s := &t.Cosignatures[i]
		key, ok := of.Seat(s.Org)
		sig := Cosignature{Org: s.Org, Key: key, Time: s.Time, Sig: s.Sig}
		if !ok || i > 0 && t.Cosignatures[i-1].Org >= s.Org || !sig.Holds(c) {
			return spec.Errorf(spec.CodeCheckpoint, "a cosignature is not a sequencer's, or does not hold")
		}
	}
	return nil
}
