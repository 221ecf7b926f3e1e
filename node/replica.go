// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/tocsin-db/tocsin/consensus"
	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// A replica is the store driven by the rules: by raft entries on a member
// (consensus.Store), by groups of leaves on a reader (federation.Replica).
type replica struct {
	store *storage.Store
	keyed bool // of a reader of the digest tier
	log   *slog.Logger
	// changed is called after every commit, when the state of organisations may
	// have changed.
	changed func()
	// final is what is known to be final, once it is open.
	final *cosign.Keeper
	// panels reports whether the panel of a number was handed over to; or nil.
	panels func(number uint64) bool
	// filtered: the openings here came as readers may see them.
	filtered bool
	// imported is the size of a log that came whole from another node, as importedFile
	// keeps it.
	imported     atomic.Uint64
	importedFile string
	// checked holds what this node, leading, has decoded and checked already and
	// proposed, by id of the operation.
	checked sync.Map // spec.Hash → *checkedSubmission
	// verified counts the submissions of raft entries that were looked at.
	verified atomic.Uint64
	// made is what this node signed.
	made *made
}

// A checkedSubmission is a submission with what was learnt from its bytes.
type checkedSubmission struct {
	bytes  spec.Submission
	parsed governance.Parsed
}

// remember keeps a checked submission until forget is called.
func (r *replica) remember(s spec.Submission, p governance.Parsed) (forget func()) {
	c := &checkedSubmission{s, p}
	if _, taken := r.checked.LoadOrStore(p.Op.ID, c); taken {
		return func() {}
	}
	return func() { r.checked.CompareAndDelete(p.Op.ID, c) }
}

// parse decodes a submission unless that was done. What is remembered is used
// once: a Parsed belongs to one goroutine.
func (r *replica) parse(s *spec.Submission) governance.Parsed {
	if v, ok := r.checked.LoadAndDelete(spec.LeafHash(s.Envelope)); ok {
		if c := v.(*checkedSubmission); bytes.Equal(c.bytes.Opening, s.Opening) && bytes.Equal(c.bytes.Envelope, s.Envelope) {
			return c.parsed
		}
	}
	return r.made.parse(s)
}

// found writes the founding state into an empty store and refuses a store that
// was founded by another document.
func (r *replica) found(g *spec.Genesis) error {
	b, err := r.store.Record(spec.GenesisKey)
	if err != nil {
		return err
	}
	if b != nil {
		var have spec.GenesisRecord
		if err := spec.Decode(b, &have); err != nil {
			return err
		}
		if have.Hash != g.Hash() {
			return spec.Errorf(spec.CodeGenesis, "the store belongs to the consortium %s, the genesis document to %s", have.Origin, g.Origin())
		}
		return nil
	}
	tx, err := r.store.Begin()
	if err != nil {
		return err
	}
	defer tx.Drop()
	if err := governance.Init(tx, g); err != nil {
		return err
	}
	if err := tx.Commit(storage.Applied{}); err != nil {
		return err
	}
	return r.store.Sync()
}

// Applied implements consensus.Store.
func (r *replica) Applied() consensus.Applied {
	return consensus.Applied(r.store.Head().Applied)
}

// Worked implements consensus.Store.
func (r *replica) Worked() uint64 { return r.verified.Load() + r.store.Worked() }

// ApplyGroup implements consensus.Store.
func (r *replica) ApplyGroup(cmds []consensus.Command, upto consensus.Applied) ([][]spec.Outcome, error) {
	entries, err := r.prepare(cmds)
	if err != nil {
		return nil, err
	}
	tx, err := r.store.Begin()
	if err != nil {
		return nil, err
	}
	defer tx.Drop()
	out := make([][]spec.Outcome, len(cmds))
	for i, e := range entries {
		if out[i], err = governance.ApplyEntry(tx, e.tick, e.submissions); err != nil {
			return nil, firstOf(r.store.Damage(), err)
		}
	}
	if err := tx.Commit(storage.Applied(upto)); err != nil {
		return nil, err
	}
	r.changed()
	return out, nil
}

type preparedEntry struct {
	tick        *spec.Timed
	submissions []governance.Parsed
}

// prepare decodes entries and checks their signatures in parallel; neither
// depends on the order. An entry that cannot be decoded is refused whole: it is
// the same bytes on every node.
func (r *replica) prepare(cmds []consensus.Command) ([]preparedEntry, error) {
	entries := make([]preparedEntry, len(cmds))
	var jobs []func() error
	for i, c := range cmds {
		e, err := spec.ParseRaftEntry(c.Data)
		if err != nil {
			r.log.Error("an entry of the raft log was refused whole", "index", c.Index, "code", spec.CodeOf(err))
			continue
		}
		entries[i] = preparedEntry{submissions: make([]governance.Parsed, len(e.Submissions))}
		if len(e.Tick) > 0 {
			entries[i].tick = &e.Tick[0]
		}
		for j := range e.Submissions {
			p, s := &entries[i].submissions[j], &e.Submissions[j]
			jobs = append(jobs, func() error {
				r.verified.Add(1)
				*p = r.parse(s)
				return governance.Verify(r.store, p)
			})
		}
	}
	return entries, inParallel(jobs)
}

// inParallel runs jobs on all processors and returns the first error.
func inParallel(jobs []func() error) error {
	workers := max(1, min(runtime.GOMAXPROCS(0), len(jobs)))
	errs := make([]error, workers)
	work := func(w int) {
		for i := w; i < len(jobs) && errs[w] == nil; i += workers {
			errs[w] = jobs[i]()
		}
	}
	var wg sync.WaitGroup
	for w := 1; w < workers; w++ {
		wg.Go(func() { work(w) })
	}
	work(0) // here: most often there is but one
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Sync implements consensus.Store.
func (r *replica) Sync() error { return r.store.Sync() }

// Export implements consensus.Store.
func (r *replica) Export() (consensus.Applied, int64, io.ReadCloser, error) {
	a, size, rc, err := r.store.Export()
	return consensus.Applied(a), size, rc, err
}

// Import implements consensus.Store.
func (r *replica) Import(in io.Reader, a consensus.Applied) error {
	if err := r.importChecked(in, storage.Applied(a)); err != nil {
		return err
	}
	r.changed()
	return nil
}

// continues compares the store with the newest final checkpoint. One that is behind
// fetches the rest before anything is answered.
func (r *replica) continues() error {
	final := r.final.Newest()
	if r.store.Size() < final.Size || final.Size < r.store.First() {
		return nil // or a snapshot was installed since, against a newer one
	}
	root, err := tlog.Root(r.store, final.Size)
	if err == nil && root != final.Root {
		err = spec.Errorf(spec.CodeCorrupt, "the log in the data directory is not the one that is final at size %d", final.Size)
	}
	return err
}

// handedOver makes sure that the panels in a state that is about to be shown were
// handed over to. Where that is not to be had, the sender is at fault.
func (r *replica) handedOver(tx *storage.Tx) error {
	var clock spec.Clock
	if err := readRecord(tx, spec.ClockKey, &clock); err != nil {
		return ours(err)
	}
	if r.panels == nil || r.panels(clock.Panel) {
		return nil
	}
	return spec.Errorf(spec.CodeNotFinal, "the log changes its panel, and that was not handed over")
}

// Size is the number of leaves that were applied.
func (r *replica) Size() uint64 { return r.store.Size() }

// LogHash implements federation.Replica.
func (r *replica) LogHash(level int, index uint64) (spec.Hash, error) {
	return r.store.LogHash(level, index)
}

// Append implements federation.Replica: it replays groups by the same rules.
func (r *replica) Append(groups []federation.Group, ready func() error) error {
	tx, err := r.store.Begin()
	if err != nil {
		return err
	}
	defer tx.Drop()
	for i := range groups {
		if err := r.replayOne(tx, &groups[i]); err != nil {
			return ours(err)
		}
	}
	if err := r.handedOver(tx); err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	if err := tx.Commit(storage.Applied{}); err != nil {
		return ours(err)
	}
	r.changed()
	return nil
}

// Check implements federation.Replica. That the roots of the state are those of
// the last leaf, the store checks as it opens and at each commit.
func (r *replica) Check(s *tlog.Signed) error {
	root, err := tlog.Root(r.store, s.Size)
	if err != nil {
		return err
	}
	if root != s.Root {
		return spec.Errorf(spec.CodeCorrupt, "the log in the data directory is not the one that is final at size %d", s.Size)
	}
	return r.store.Damage()
}

func (r *replica) replayOne(tx *storage.Tx, g *federation.Group) error {
	if g.First != tx.Size() {
		return spec.Errorf(spec.CodeReplica, "a group begins at %d where the log ends at %d", g.First, tx.Size())
	}
	openings, err := parseOpenings(g.Openings, r.keyed)
	if err != nil {
		return err
	}
	if err = governance.Replay(tx, g.Leaves, openings); err != nil && tx.Unsaid() {
		return spec.Errorf(spec.CodeOpening, "a group of leaves came without an opening that belongs to it")
	}
	return err
}

// parseOpenings reads openings as this node keeps them: in the digest tier, of values
// that came all the same their keys alone; else none with keys. Either may come from an
// upstream that knows already of a change of this node's tier.
func parseOpenings(list []federation.Opening, keyed bool) (map[spec.Hash]*spec.Opening, error) {
	out := make(map[spec.Hash]*spec.Opening, len(list))
	for _, o := range list {
		parsed, err := spec.ParseOpening(o.Bytes)
		if err != nil {
			return nil, err
		}
		tier, err := parsed.Tier()
		if err != nil {
			return nil, err
		}
		if keyed && tier == spec.TierFull {
			parsed = parsed.Keys()
		} else if !keyed && tier == spec.TierDigest {
			continue
		}
		if out[spec.Hash(o.Case)] != nil {
			return nil, spec.Errorf(spec.CodeMismatch, "a case is opened twice in one group")
		}
		out[spec.Hash(o.Case)] = parsed
	}
	return out, nil
}

// ours hides the code of a fault of this node's own store, so that no sender is
// blamed for it.
func ours(err error) error {
	if spec.CodeOf(err) == spec.CodeCorrupt {
		return localFault{err}
	}
	return err
}

type localFault struct{ err error }

func (f localFault) Error() string { return f.err.Error() }
