// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"slices"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// maxDue bounds how many cases one tick looks at; the rest wait for the next,
// which a due moment brings at once.
const maxDue = 1000

// tick moves log time to that of a cosigned checkpoint, never back, and does what
// time alone does. A checkpoint that may not move it is no tick, and leaves no
// trace: the panel may have changed since the leader proposed it.
func tick(l Ledger, t *spec.Timed) error {
	if t == nil {
		return nil
	}
	v := newView(l)
	if ok, err := mayTick(v, t); err != nil || !ok {
		return err
	}
	clock, err := v.clock()
	if err != nil {
		return err
	}
	clock.TimeMS, clock.Ticked = t.TimeMS(), t.Size
	if err := v.setClock(); err != nil {
		return err
	}
	if _, err := v.derive(&spec.Tick{Tag: spec.TagTick, TimeMS: clock.TimeMS, Checkpoint: *t}); err != nil {
		return err
	}
	due, err := dueCases(v, clock.TimeMS)
	if err != nil {
		return err
	}
	for _, id := range due {
		if v.weight >= maxWeight {
			break // the rest makes another tick due
		}
		if err := fall(v, id); err != nil {
			return err
		}
	}
	if err := reviews(v); err != nil {
		return err
	}
	if err := confirmations(v); err != nil {
		return err
	}
	return carryOut(l, &v.effects)
}

// mayTick reports whether a checkpoint moves log time: it carries the cosignatures
// of the panel in force, is not ahead of the log, and neither smaller nor earlier
// than the last. Its root is not compared: as many as make the log final say that
// it is the log's, and of those only the times are used.
func mayTick(v *view, t *spec.Timed) (bool, error) {
	clock, err := v.clock()
	if err != nil {
		return false, err
	}
	panel, err := PanelInForce(v)
	if err != nil {
		return false, err
	}
	at := t.TimeMS()
	if t.Size == 0 || t.Size > v.leaf || t.Size < max(clock.Ticked, panel.Size) || at == 0 || at < clock.TimeMS {
		return false, nil
	}
	var genesis spec.GenesisRecord
	if err := need(v, spec.GenesisKey, &genesis); err != nil {
		return false, err
	}
	return tlog.CheckTimed(genesis.Origin, &panel.Panel, t) == nil, nil
}

func dueCases(st State, nowMS uint64) ([]spec.Hash, error) {
	var ids []spec.Hash
	err := st.Records(spec.DuePrefix, func(key, _ []byte) bool {
		due, id, ok := spec.ParseDueKey(key)
		if !ok || due > nowMS || len(ids) == maxDue {
			return false
		}
		ids = append(ids, id)
		return true
	})
	return ids, err
}

// DeadlineDue reports whether a tick at nowMS would do more than move the clock.
func DeadlineDue(st State, nowMS uint64) (bool, error) {
	ids, err := dueCases(st, nowMS)
	if err != nil || len(ids) > 0 {
		return len(ids) > 0, err
	}
	var a spec.AwaitedRecord
	found, err := load(st, spec.AwaitedKey, &a)
	if err != nil || found && a.DueMS <= nowMS {
		return found, err
	}
	pending := false
	err = st.Records(spec.ReviewPrefix, func(_, _ []byte) bool {
		pending = true
		return false
	})
	return pending, err
}

// fall does what fell due in a case: a cool-down that ends, a window that closes,
// a referral or a dispute that waited too long.
func fall(v *view, id spec.Hash) error {
	var c spec.Case
	if err := need(v, spec.CaseKey(id), &c); err != nil {
		return err
	}
	clock, err := v.clock()
	if err != nil || !c.Open() || c.DueMS > clock.TimeMS {
		return err // an earlier one of this tick settled it
	}
	if err := settle(v, id, &c); err != nil || !c.Open() {
		return err
	}
	switch now := clock.TimeMS; {
	case c.Kind == spec.KindDispute && c.Stage == 0 && c.DeadlineMS <= now:
		return overdue(v, id, &c)
	case c.Kind != spec.KindDispute && c.DeadlineMS <= now:
		return conclude(v, id, &c, spec.OutcomeLapsed, nil)
	case c.ReplyMS != 0 && c.Stage == 0 && c.ReplyMS <= now:
		if _, err := notice(v, id, &c, spec.NoticeReferral); err != nil {
			return err
		}
	case c.Stage == 1 && c.MarkMS != 0 && c.MarkMS <= now:
		if err := mark(v, id, &c); err != nil {
			return err
		}
	}
	return putCase(v, id, &c)
}

// notice says on the record that a case is overdue, and for whom it waits. It
// returns the leaf's index.
func notice(v *view, id spec.Hash, c *spec.Case, what uint64) (uint64, error) {
	policy, err := v.policy()
	if err != nil {
		return 0, err
	}
	clock, err := v.clock()
	if err != nil {
		return 0, err
	}
	late, err := silent(v, id, c)
	if err != nil {
		return 0, err
	}
	c.Stage, c.MarkMS = 1, 0
	if policy.Clocks.MarkMS != 0 {
		c.MarkMS = clock.TimeMS + policy.Clocks.MarkMS
	}
	return v.derive(&spec.Notice{Tag: spec.TagNotice, What: what, Level: 1, Case: id, Orgs: late, TimeMS: clock.TimeMS})
}

// silent returns who could have voted on a case and did not.
func silent(v *view, id spec.Hash, c *spec.Case) ([]string, error) {
	ids, err := Electorate(v, c)
	if err != nil {
		return nil, err
	}
	var bad error
	ids = slices.DeleteFunc(ids, func(org string) bool {
		b, err := v.Record(spec.VoteKey(id, org))
		if err != nil {
			bad = err
		}
		return b != nil
	})
	return ids, bad
}

// mark counts an overdue case against those for whom it still waits.
func mark(v *view, id spec.Hash, c *spec.Case) error {
	late, err := silent(v, id, c)
	if err != nil {
		return err
	}
	clock, err := v.clock()
	if err != nil {
		return err
	}
	what := spec.NoticeReferral
	if c.Kind == spec.KindDispute {
		what = spec.NoticeDispute
	}
	c.Stage, c.MarkMS = 2, 0
	if _, err := v.derive(&spec.Notice{Tag: spec.TagNotice, What: what, Level: 2, Case: id, Orgs: late, TimeMS: clock.TimeMS}); err != nil {
		return err
	}
	return addMarks(v, what, late)
}

func addMarks(v *view, what uint64, orgs []string) error {
	for _, org := range orgs {
		var m spec.MarksRecord
		if _, err := load(v, spec.MarksKey(org), &m); err != nil {
			return err
		}
		switch what {
		case spec.NoticeReferral:
			m.Referral++
		case spec.NoticeDispute:
			m.Dispute++
		default:
			m.Matchable++
		}
		if err := v.put(spec.MarksKey(org), &m); err != nil {
			return err
		}
	}
	return nil
}
