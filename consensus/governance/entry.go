// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"fmt"

	"github.com/tocsin-db/tocsin/spec"
)

// A Ledger is the state as it is being changed: one atomic batch in the making.
// What is written is read back at once; nothing is visible outside, or durable,
// before the owner commits it.
type Ledger interface {
	State
	// Append adds a leaf to the log.
	Append(leaf []byte) error
	// Find returns the log index of the operation with this id.
	Find(id spec.Hash) (index uint64, found bool, err error)
	// Put sets or, with a nil value, deletes a record.
	Put(key, value []byte) error
	// Hold keeps the opening of a case or of another operation.
	Hold(id spec.Hash, o *spec.Opening) error
	// List changes what is live.
	List(l spec.Listing) error
	// Erase forgets values.
	Erase(e spec.Erasure) error
	// Roots commits to the state as changed so far.
	Roots() (spec.Roots, error)
}

// Init writes the founding state into an empty ledger.
func Init(l Ledger, g *spec.Genesis) error {
	if err := g.Check(); err != nil {
		return err
	}
	v := newView(l)
	v.now = new(spec.Clock)
	terms := spec.DefaultTaxonomy()
	err := v.put(spec.GenesisKey, &spec.GenesisRecord{Origin: g.Origin(), Hash: g.Hash()})
	if err == nil {
		err = v.put(spec.TaxonomyKey, &terms)
	}
	for i := range g.Organisations {
		if err == nil {
			err = v.put(spec.OrgKey(g.Organisations[i].ID), &spec.OrgRecord{Organisation: g.Organisations[i], Tier: spec.TierFull})
		}
		if g.Organisations[i].Role == spec.RoleMember {
			v.now.Members++
		}
	}
	if err == nil {
		err = setPolicy(v, &g.Policy)
	}
	if err == nil {
		err = seat(v, g.FoundingPanel())
	}
	if err != nil {
		return err
	}
	return carryOut(l, &v.effects)
}

// seat writes the founding panel. Its sequencers count from the start.
func seat(v *view, p *spec.Panel) error {
	for _, s := range p.Seats {
		if err := v.put(spec.ReadyKey(s.Org), &spec.ReadyRecord{}); err != nil {
			return err
		}
	}
	v.now.Turn = 0
	if err := v.setClock(); err != nil {
		return err
	}
	return v.put(spec.PanelKey(0), &spec.PanelRecord{Panel: *p})
}

// A Parsed submission is ready to be applied: decoded, or refused already.
type Parsed struct {
	Op      *spec.Signed
	Opening *spec.Opening // nil when none was handed over
	Err     error         // coded: why it cannot be decoded
}

// Parse decodes a submission. It needs no state and may run in parallel.
func Parse(s *spec.Submission) Parsed {
	op, err := spec.ParseEnvelope(s.Envelope)
	if err != nil || len(s.Opening) == 0 {
		return Parsed{Op: op, Err: err}
	}
	o, err := spec.ParseOpening(s.Opening)
	if err == nil {
		o.Root() // most of the work of an addition, done here in parallel
	}
	return Parsed{Op: op, Opening: o, Err: err}
}

// Verify checks the signature of a parsed submission ahead of its turn, against
// the key that the state names now. Apply asks again, against the key it finds
// then, and gets the remembered answer if nothing changed. It may run in parallel
// for different submissions.
func Verify(st State, p *Parsed) error {
	if p.Err != nil {
		return nil
	}
	genesis, err := mustShare[spec.GenesisRecord](st, spec.GenesisKey)
	if err != nil {
		return err
	}
	org, err := shared[spec.OrgRecord](st, spec.OrgKey(p.Op.Op.Org))
	if err != nil || org == nil {
		return err
	}
	if key, err := keyNamed(org, p.Op.Op.Key); err == nil {
		p.Op.Verify(genesis.Origin, key)
	}
	return nil
}

// Check tells what Apply would refuse in the state as it is now, and nothing else:
// it changes nothing.
func Check(st State, p *Parsed) error {
	if p.Err != nil {
		return p.Err
	}
	_, err := Apply(st, p.Op, Beside{Opening: p.Opening, Tried: true})
	return err
}

// maxWeight bounds how many signals of entries one tick changes, and the submissions of
// one raft entry: no more begins once it is reached. A vote of two hundred bytes can
// list two thousand signals, and a raft entry holds a thousand votes: nothing
// else is decided while nodes are busy with one.
const maxWeight = 1 << 15

// ApplyEntry applies one raft entry: a tick if there is a checkpoint for it, the
// deadlines that fell due, each operation followed by its effects, the panel if it
// changed, and the StateRoot leaf when any leaf was added. The first entry of all
// adds a StateRoot whatever is in it: its checkpoint is what the first tick
// carries. It returns one outcome for each submission. A content that the rules
// refuse leaves no trace but its outcome; an error is a fault of the node.
func ApplyEntry(l Ledger, t *spec.Timed, submissions []Parsed) ([]spec.Outcome, error) {
	start := l.Size()
	if err := tick(l, t); err != nil {
		return nil, err
	}
	out, room := make([]spec.Outcome, len(submissions)), maxWeight
	for i, p := range submissions {
		err := p.Err
		if err == nil {
			err = applyOne(l, p.Op, Beside{Opening: p.Opening}, &room, &out[i])
		}
		if err := refuse(&out[i], err); err != nil {
			return nil, err
		}
	}
	return out, seal(l, start)
}

// refuse notes a refusal in the outcome and passes every other error on.
func refuse(out *spec.Outcome, err error) error {
	if err == nil {
		return nil
	}
	code := spec.CodeOf(err)
	if code == "" {
		return err
	}
	out.Code, out.Message = code, err.Error()
	return nil
}

// applyOne applies an operation and its effects while there is room. An operation that
// stands in the log already has the outcome that it had.
func applyOne(l Ledger, op *spec.Signed, b Beside, room *int, out *spec.Outcome) error {
	out.ID = op.ID
	index, found, err := l.Find(op.ID)
	if err != nil {
		return err
	}
	if found {
		out.Index = index
		return nil
	}
	if *room <= 0 {
		return spec.Errorf(spec.CodeBusy, "the operations before this one changed as much as may be changed at once: submit it again")
	}
	eff, err := Apply(l, op, b)
	if err != nil {
		return err
	}
	*room -= eff.weight
	out.Index = l.Size()
	if err := l.Append(op.Envelope); err != nil {
		return err
	}
	if eff.Hold {
		if err := l.Hold(op.ID, b.Opening); err != nil {
			return err
		}
	}
	return carryOut(l, eff)
}

// carryOut writes effects into the ledger. A coded error here is a fault: the
// rules have decided already.
func carryOut(l Ledger, eff *Effects) error {
	err := func() error {
		for _, leaf := range eff.Leaves {
			if err := l.Append(leaf); err != nil {
				return err
			}
		}
		for _, p := range eff.Puts {
			if err := l.Put(p.Key, p.Value); err != nil {
				return err
			}
		}
		for _, li := range eff.Listings {
			if err := l.List(li); err != nil {
				return err
			}
		}
		for _, e := range eff.Erasures {
			if err := l.Erase(e); err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil {
		return fmt.Errorf("carrying out what was decided: %w", fault{err})
	}
	return nil
}

// fault hides the code of an error that must not be taken for a refusal.
type fault struct{ err error }

func (f fault) Error() string { return f.err.Error() }

// seal appends the panel if it changed, and the StateRoot, when the log has grown
// past start or is empty.
func seal(l Ledger, start uint64) error {
	if l.Size() == start && start != 0 {
		return nil
	}
	if err := turn(l); err != nil {
		return err
	}
	leaf, known, err := stateRoot(l)
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("%w: a root of the state cannot be computed here, and is not made up", ErrState)
	}
	b, err := spec.Encode(leaf)
	if err != nil {
		return fmt.Errorf("%w: a state root cannot be encoded", ErrState)
	}
	return l.Append(b)
}

func stateRoot(l Ledger) (*spec.StateRoot, bool, error) {
	clock, err := mustShare[spec.Clock](l, spec.ClockKey)
	if err != nil {
		return nil, false, err
	}
	r, err := l.Roots()
	if err != nil {
		return nil, false, fmt.Errorf("computing the roots of the state: %w", err)
	}
	return &spec.StateRoot{
		Tag: spec.TagStateRoot, SizeBefore: l.Size(), LiveRoot: r.Live, LiveCount: r.LiveCount,
		RulesRoot: r.Rules, Epoch: clock.Epoch, TimeMS: clock.TimeMS,
	}, r.LiveKnown, nil
}
