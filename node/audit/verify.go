// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// Options say how a dump is verified. All may be left out.
type Options struct {
	Genesis  *spec.Genesis // that the dump must be of; nil: the dump's own
	FS       vfs.FS        // for a scratch store; nil: in memory
	Dir      string        // in FS
	Keyed    bool          // the openings have keys in the place of values
	Progress func(done, of uint64)
	Each     func(l *spec.Leaf) // told of every leaf once its group is right; or nil
}

// A Report says what was verified.
type Report struct {
	Origin     string
	Genesis    spec.Hash
	Leaves     uint64
	Root       spec.Hash // of the log
	Operations uint64
	Decisions  uint64
	Ticks      uint64
	Entries    uint64 // matchable at the end
	Signals    uint64 // live at the end, as the last StateRoot counts them
	Opened     uint64 // openings that were checked
	LiveRoot   bool   // live_root was computed at the end; else it is attested by the cosignatures
	LogTime    time.Time
	Final      time.Time
	Cosigners  []string
}

// A WrongError names the first thing in a dump that is wrong.
type WrongError struct {
	Leaf    uint64 // log index
	Offset  int64  // of the leaf in the dump, in bytes
	Meaning string // what stands there, and what is wrong with it
	Err     error  // with the code
}

func (e *WrongError) Error() string {
	return fmt.Sprintf("leaf %d, at byte %d of the dump: %s", e.Leaf, e.Offset, e.Meaning)
}

// Unwrap returns the cause.
func (e *WrongError) Unwrap() error { return e.Err }

// Verify repeats the history in a dump. It fails with a *WrongError where a leaf
// does not follow from what stands before it.
func Verify(ctx context.Context, r io.Reader, o Options) (*Report, error) {
	d, err := newReader(r)
	if err != nil {
		return nil, err
	}
	a, err := begin(d, &o)
	if err != nil {
		return nil, err
	}
	defer a.store.Close()
	if err := a.run(ctx, d); err != nil {
		return nil, err
	}
	return a.finish()
}

// An auditing is one verification under way.
type auditing struct {
	opts   *Options
	chain  *tlog.Chain
	final  *tlog.Signed
	store  *storage.Store
	report Report
	last   *spec.StateRoot
	tx     *storage.Tx
	inTx   int // groups
	held   map[spec.Hash]*spec.Opening
}

// batch is how many groups share one commit.
const batch = 256

func begin(d *reader, o *Options) (*auditing, error) {
	b, err := d.expect(partGenesis)
	if err != nil {
		return nil, err
	}
	g, err := spec.ParseGenesis(b)
	if err != nil {
		return nil, err
	}
	if o.Genesis != nil && o.Genesis.Hash() != g.Hash() {
		return nil, spec.Errorf(spec.CodeGenesis, "the dump is of %s, not of %s", g.Origin(), o.Genesis.Origin())
	}
	a := &auditing{opts: o, held: map[spec.Hash]*spec.Opening{}}
	if a.chain, err = tlog.NewChain(g); err != nil {
		return nil, err
	}
	if b, err = a.handOffs(d); err != nil {
		return nil, err
	}
	if a.final, err = a.chain.OpenExact(b); err != nil {
		return nil, err
	}
	a.report = Report{Origin: g.Origin(), Genesis: g.Hash(), Final: time.Unix(int64(a.chain.Time(a.final)), 0)}
	for i := range a.final.Cosignatures {
		a.report.Cosigners = append(a.report.Cosigners, a.final.Cosignatures[i].Org)
	}
	return a, a.found(g)
}

// handOffs reads how panels took over, and returns the checkpoint behind that.
func (a *auditing) handOffs(d *reader) ([]byte, error) {
	for {
		kind, data, err := d.next()
		if err != nil || kind == partCheckpoint {
			return data, err
		}
		if kind != partHandOff {
			return nil, spec.Errorf(spec.CodeMalformed, "byte %d of the dump begins another part than is due", d.at)
		}
		l, err := tlog.ParseLink(data)
		if err == nil {
			err = a.chain.Add(l)
		}
		if err != nil {
			return nil, err
		}
	}
}

// turn compares the panel that a group derived, if any, with the one that was
// handed over to at its end.
func (a *auditing) turn(g *group) error {
	for i, b := range g.leaves {
		l, err := spec.ParseLeaf(b)
		if err != nil || l.Panel == nil {
			continue
		}
		size := g.first + uint64(len(g.leaves))
		link, ok := a.chain.Link(l.Panel.Number)
		if !ok {
			if size >= a.final.Size {
				continue
			}
			err = spec.Errorf(spec.CodeNotFinal, "panel %d was not handed over to", l.Panel.Number)
		} else if s, bad := a.chain.OpenExact(link.Note); bad != nil || s.Size != size || s.Root != a.tx.LogRoot() {
			err = spec.Errorf(spec.CodeProof, "panel %d was handed over to in another log", l.Panel.Number)
		}
		if err != nil {
			return wrong(g, i, describe(b)+": "+err.Error(), err)
		}
	}
	return nil
}

// found opens the scratch store and writes the founding state.
func (a *auditing) found(g *spec.Genesis) (err error) {
	fs, dir := a.opts.FS, a.opts.Dir
	if fs == nil {
		fs, dir = vfs.NewMem(), "audit"
	}
	a.store, err = storage.Open(dir, storage.Options{FS: fs, Keyed: a.opts.Keyed, Logger: slog.New(slog.DiscardHandler), Fatal: func(error) {}})
	if err != nil {
		return err
	}
	if a.store.Size() != 0 {
		return spec.Errorf(spec.CodeUsage, "the scratch directory is not empty")
	}
	tx, err := a.store.Begin()
	if err != nil {
		return err
	}
	defer tx.Drop()
	if err := governance.Init(tx, g); err != nil {
		return err
	}
	return tx.Commit(storage.Applied{})
}

// group is the leaves of one raft entry with their places in the dump.
type group struct {
	first   uint64
	leaves  [][]byte
	offsets []int64
}

func (a *auditing) run(ctx context.Context, d *reader) error {
	defer func() {
		if a.tx != nil {
			a.tx.Drop()
		}
	}()
	var g group
	for {
		kind, data, err := d.next()
		if err != nil {
			return err
		}
		switch kind {
		case partEnd:
			return a.end(&g, d)
		case partOpening:
			if err := a.hold(data); err != nil {
				return err
			}
		case partLeaf:
			g.leaves, g.offsets = append(g.leaves, data), append(g.offsets, d.at)
			if !spec.EndsGroup(data) {
				continue
			}
			if err := a.replay(ctx, &g); err != nil {
				return err
			}
			g = group{first: g.first + uint64(len(g.leaves))}
		default:
			return spec.Errorf(spec.CodeMalformed, "byte %d of the dump begins another part than is due", d.at)
		}
	}
}

// end commits what is left and refuses a dump that goes on.
func (a *auditing) end(g *group, d *reader) error {
	if len(g.leaves) != 0 {
		return unended(g)
	}
	if _, err := d.r.ReadByte(); err == nil {
		return spec.Errorf(spec.CodeMalformed, "something stands behind the end of the dump")
	}
	return a.commit()
}

func (a *auditing) hold(data []byte) error {
	var o opening
	if err := spec.Decode(data, &o); err != nil {
		return err
	}
	parsed, err := spec.ParseOpening(o.Bytes)
	if err != nil {
		return err
	}
	a.held[o.ID] = parsed
	a.report.Opened++
	return nil
}

// replay applies one group. When it is wrong, it is looked at again to say where.
func (a *auditing) replay(ctx context.Context, g *group) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if a.tx == nil {
		var err error
		if a.tx, err = a.store.Begin(); err != nil {
			return err
		}
	}
	w := &watcher{Tx: a.tx, want: g.leaves, differs: -1}
	if err := governance.Replay(w, g.leaves, a.held); err != nil {
		if spec.CodeOf(err) == "" {
			return err
		}
		return w.explain(g, err)
	}
	clear(a.held)
	if err := a.turn(g); err != nil {
		return err
	}
	a.count(g)
	if a.inTx++; a.inTx < batch {
		return nil
	}
	return a.commit()
}

func (a *auditing) commit() error {
	if a.tx == nil {
		return nil
	}
	err := a.tx.Commit(storage.Applied{})
	a.tx, a.inTx = nil, 0
	if a.opts.Progress != nil {
		a.opts.Progress(a.report.Leaves, a.final.Size)
	}
	return err
}

// count takes a group that is right into the report.
func (a *auditing) count(g *group) {
	a.report.Leaves += uint64(len(g.leaves))
	for _, b := range g.leaves {
		l, err := spec.ParseLeaf(b)
		if err == nil && a.opts.Each != nil {
			a.opts.Each(&l)
		}
		switch {
		case err != nil:
		case l.Signed != nil:
			a.report.Operations++
		case l.Decision != nil:
			a.report.Decisions++
		case l.Tick != nil:
			a.report.Ticks++
		case l.StateRoot != nil:
			a.last = l.StateRoot
		}
	}
}

// finish compares the log with the final checkpoint.
func (a *auditing) finish() (*Report, error) {
	head := a.store.Head()
	if head.Size != a.final.Size || head.Root != a.final.Root {
		return nil, spec.Errorf(spec.CodeProof, "the leaves are not those of the final checkpoint: %d where it has %d", head.Size, a.final.Size)
	}
	r := a.report
	r.Entries, r.Root = head.Entries, head.Root
	if a.last != nil {
		r.Signals, r.LogTime = a.last.LiveCount, time.UnixMilli(int64(a.last.TimeMS))
		r.LiveRoot = head.Live == a.last.LiveCount
	}
	return &r, nil
}
