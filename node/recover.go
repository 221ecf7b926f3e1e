// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/consensus"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/recovery"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// RecoverConfig is what a recovery is applied with.
type RecoverConfig struct {
	Dir      string    // data directory of a node that does not run
	Recovery []byte    // the file that enough members signed
	Dump     io.Reader // of the log up to the checkpoint, with openings; nil: this node's own log
	Logger   *slog.Logger
	Progress func(done, of uint64) // leaves of a log that is repeated; or nil
	Step     func(done string)     // told of each step once it is durable; or nil
}

// Recovered is what applying a recovery did.
type Recovered struct {
	From      uint64    // leaves of the final log that is gone on from
	Size      uint64    // leaves of the log with which the new panel takes over
	Root      spec.Hash // of that log: the same on each sequencer
	Panel     *spec.Panel
	Sequences bool        // this node does, from here on
	Discarded int         // leaves of this node's log that were not final
	Lost      []spec.Hash // the operations among them
	Aside     string      // where what was discarded is kept; empty: nothing was
}

// Names in the data directory.
const (
	recoveringDir = "recovering" // the database that is being made
	discardedDir  = "discarded"  // what was given up
	anewFile      = "anew"       // raft begins behind the database
)

// ApplyRecovery makes the data directory of a node that does not run go on as a
// recovery says that enough members signed: its database is taken back to the final
// checkpoint, if it is further, and the recovery is carried out on it; what was not
// final is put aside, with the raft log. It can be repeated when it was interrupted.
// Where the recovery does not hold, or this node could not cosign in the seat that it
// gives it, nothing changes.
func ApplyRecovery(ctx context.Context, cfg RecoverConfig) (*Recovered, error) {
	a, err := newApplying(cfg)
	if err != nil {
		return nil, err
	}
	defer a.close()
	if err := a.compare(); err != nil {
		return nil, err
	}
	if a.done {
		return a.finish()
	}
	target := a.store
	if a.store == nil || a.store.Size() != a.final.Size {
		if target, err = a.rebuild(ctx); err != nil {
			return nil, err
		}
		defer target.Close()
	}
	before := a.keepProof
	if target == a.store { // once nothing refuses the recovery any more
		before = func(number uint64, r *tlog.Recovery) error {
			if err := a.keepProof(number, r); err != nil {
				return err
			}
			return a.putAside("raft")
		}
	}
	if err := recovery.Carry(target, a.file, a.place, before); err != nil {
		if target != a.store {
			err = errors.Join(err, target.Close(), os.RemoveAll(a.path(recoveringDir)))
		}
		return nil, err
	}
	a.step("carried out")
	if target != a.store {
		if err := errors.Join(target.Close(), a.exchange()); err != nil {
			return nil, err
		}
	}
	return a.finish()
}

func (a *applying) step(done string) {
	if a.Step != nil {
		a.Step(done)
	}
}

// An applying is one recovery on its way into a data directory.
type applying struct {
	RecoverConfig
	id      *identity.Identity
	genesis *spec.Genesis
	file    *recovery.File
	chain   *tlog.Chain
	final   *tlog.Signed
	store   *storage.Store // nil: there is none
	done    bool           // the store carried it out already
	out     Recovered
}

func newApplying(cfg RecoverConfig) (*applying, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	a := &applying{RecoverConfig: cfg}
	g, err := identity.LoadGenesis(cfg.Dir)
	if err != nil {
		return nil, err
	}
	a.genesis = g.Genesis
	if a.id, err = identity.Load(cfg.Dir); err != nil {
		return nil, err
	}
	if a.file, err = recovery.Parse(cfg.Recovery); err != nil {
		return nil, err
	}
	if a.chain, a.final, err = a.file.Check(a.genesis); err != nil {
		return nil, err
	}
	if err := maySit(cfg.Dir, a.id, &a.file.Body); err != nil {
		return nil, err
	}
	a.out.From = a.final.Size
	return a, a.openStore()
}

func (a *applying) path(name string) string { return filepath.Join(a.Dir, name) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// openStore opens the database, and ends first what an interruption left. A database
// that was being made takes the place of one that was put aside only if the recovery
// was carried out on it.
func (a *applying) openStore() (err error) {
	if _, err := takeRebuilt(a.Dir); err != nil {
		return err
	}
	has, made := exists(a.path("fsm")), exists(a.path(recoveringDir))
	if made && !has && a.Dump == nil {
		if made, err = a.takeMade(); err != nil {
			return err
		}
		has = !made
	}
	if made {
		if err := os.RemoveAll(a.path(recoveringDir)); err != nil {
			return err
		}
	}
	if has {
		a.store, err = a.open("fsm")
	}
	return err
}

// takeMade puts a finished database into its place. remains says that it was none.
func (a *applying) takeMade() (remains bool, err error) {
	if a.store, err = a.open(recoveringDir); err != nil {
		return false, err
	}
	finished, err := a.carried()
	err = errors.Join(err, a.store.Close())
	if a.store = nil; err != nil || !finished {
		return true, err
	}
	if err := a.putAside("raft"); err != nil { // what is still there is the old one
		return false, err
	}
	return false, durable.Rename(a.path(recoveringDir), a.path("fsm"))
}

func (a *applying) open(name string) (*storage.Store, error) {
	return storage.Open(a.path(name), storage.Options{FS: vfs.Default, Logger: a.Logger, Fatal: func(err error) { a.Logger.Error("the database failed", "error", err) }})
}

func (a *applying) close() {
	if a.store != nil {
		a.store.Close()
	}
}

// compare holds this node's log against the recovery.
func (a *applying) compare() error {
	if err := (cosign.LinkStore{Dir: a.path("final/handoffs")}).Load(a.chain); err != nil {
		return err
	}
	keeper, err := cosign.OpenKeeper(a.path("final/checkpoint"), a.chain)
	if err != nil {
		return err
	}
	known := keeper.Newest().Size
	if err := keeper.Close(); err != nil {
		return err
	}
	if a.store != nil {
		if a.done, err = a.carried(); err != nil || a.done {
			return err
		}
	}
	if known > a.final.Size {
		return spec.Errorf(spec.CodeRecovery, "this node knows a final log of %d leaves, the recovery would take it back to %d: draft one from there", known, a.final.Size)
	}
	if a.store == nil {
		return nil
	}
	size := a.store.Size()
	if size < a.final.Size || a.store.First() > a.final.Size {
		return nil
	}
	root, err := tlog.Root(a.store, a.final.Size)
	if err == nil && root != a.final.Root {
		err = spec.Errorf(spec.CodeForked, "this node's log of %d leaves is another than that which the recovery goes on from", a.final.Size)
	}
	if err != nil || size == a.final.Size {
		return err
	}
	return a.count(size)
}

// carried reports whether the database went on from this checkpoint already.
func (a *applying) carried() (bool, error) {
	var clock spec.Clock
	if err := readRecord(a.store, spec.ClockKey, &clock); err != nil {
		return false, err
	}
	var p spec.PanelRecord
	if err := readRecord(a.store, spec.PanelKey(clock.Panel), &p); err != nil {
		return false, err
	}
	return p.From == a.final.Size && slices.Equal(p.Panel.Seats, a.file.Body.Seats) && a.store.Size() == p.Size, nil
}

// count says what is about to be discarded.
func (a *applying) count(size uint64) (err error) {
	a.out.Discarded = int(size - a.final.Size)
	a.out.Lost, err = operationsBehind(a.store, a.final.Size)
	return err
}

// rebuild makes the database at the checkpoint anew, from the dump or this node's own
// log.
func (a *applying) rebuild(ctx context.Context) (*storage.Store, error) {
	dump := a.Dump
	if dump == nil {
		if a.store == nil || a.store.Size() < a.final.Size {
			return nil, spec.Errorf(spec.CodeRecovery, "this node's log is shorter than the %d leaves that the recovery goes on from: take over the log of a node that has it", a.final.Size)
		}
		r, w := io.Pipe()
		defer r.Close()
		go func() {
			w.CloseWithError(recovery.Dump(a.store, a.genesis, a.file.Links, a.file.Note, a.final.Size, w))
		}()
		dump = r
	}
	if err := recovery.Rebuild(ctx, dump, a.genesis, a.final.Checkpoint, recovery.Into{Dir: a.path(recoveringDir), Progress: a.Progress}); err != nil {
		return nil, errors.Join(err, os.RemoveAll(a.path(recoveringDir)))
	}
	a.step("made a database")
	return a.open(recoveringDir)
}

// place is where in raft the database stands: at the beginning of a log of the new
// sequencers, or nowhere on a node that is none of them.
func (a *applying) place(tx *storage.Tx) (storage.Applied, error) {
	var voters []string
	for _, s := range a.file.Body.Seats {
		var o spec.OrgRecord
		if err := readRecord(tx, spec.OrgKey(s.Org), &o); err != nil {
			return storage.Applied{}, err
		}
		id, err := p2p.IDFromPublicKey(ed25519.PublicKey(o.Organisation.Libp2pKey[:]))
		if err != nil {
			return storage.Applied{}, err
		}
		voters = append(voters, string(id))
	}
	if !slices.Contains(a.file.Body.Sequencers(), a.id.Organisation.ID) {
		return storage.Applied{}, nil
	}
	return storage.Applied(consensus.Anew(voters)), nil
}

// keepProof makes the proof durable before the recovery is.
func (a *applying) keepProof(number uint64, r *tlog.Recovery) error {
	b, err := spec.Encode(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(a.path("final"), 0o700); err != nil {
		return err
	}
	if err := durable.Replace(proofPath(a.Dir, number), b, 0o600); err != nil {
		return err
	}
	a.step("kept the proof")
	return nil
}

func proofPath(dir string, number uint64) string {
	return filepath.Join(dir, "final", "recovery-"+strconv.FormatUint(number, 10))
}

// putAside moves a part of the data directory to where what is discarded is kept.
func (a *applying) putAside(name string) error {
	if !exists(a.path(name)) {
		return nil
	}
	if _, err := putAside(a.Dir, name, fmt.Sprintf("%s-behind-%d", name, a.final.Size)); err != nil {
		return err
	}
	a.step("put " + name + " aside")
	return nil
}

// putAside moves a part of a data directory to where what is discarded is kept, under a
// name to which a number is added.
func putAside(data, name, as string) (to string, err error) {
	dir := filepath.Join(data, discardedDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	for i := 1; ; i++ {
		if to = filepath.Join(dir, fmt.Sprintf("%s.%d", as, i)); !exists(to) {
			return to, durable.Rename(filepath.Join(data, name), to)
		}
	}
}

// exchange puts the new database into the place of the old one.
func (a *applying) exchange() error {
	if a.store != nil {
		if err := a.store.Close(); err != nil {
			return err
		}
		a.store = nil
	}
	for _, name := range []string{"raft", "fsm"} { // in this order: a repetition looks whether there is a fsm
		if err := a.putAside(name); err != nil {
			return err
		}
	}
	if err := durable.Rename(a.path(recoveringDir), a.path("fsm")); err != nil {
		return err
	}
	a.step("exchanged the database")
	return nil
}

// finish notes what a start needs to know, and says what was done.
func (a *applying) finish() (*Recovered, error) {
	if a.store == nil {
		var err error
		if a.store, err = a.open("fsm"); err != nil {
			return nil, err
		}
	}
	keeper, err := cosign.OpenKeeper(a.path("final/checkpoint"), a.chain)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(keeper.Advance(a.final), keeper.Close()); err != nil {
		return nil, err
	}
	a.step("advanced what is final")
	for i := range a.file.Links {
		if err := (cosign.LinkStore{Dir: a.path("final/handoffs")}).Save(uint64(i)+1, &a.file.Links[i]); err != nil {
			return nil, err
		}
	}
	a.step("kept the links")
	for _, name := range []string{seedFile, "imported"} {
		if err := os.Remove(a.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	var clock spec.Clock
	var p spec.PanelRecord
	if err := readRecord(a.store, spec.ClockKey, &clock); err != nil {
		return nil, err
	}
	if err := readRecord(a.store, spec.PanelKey(clock.Panel), &p); err != nil {
		return nil, err
	}
	head := a.store.Head()
	a.out.Size, a.out.Root, a.out.Panel, a.out.Sequences = head.Size, head.Root, &p.Panel, head.Applied.Index > 0
	if exists(a.path(discardedDir)) { // perhaps before an interruption
		a.out.Aside = a.path(discardedDir)
	}
	if !a.out.Sequences || exists(a.path("raft")) { // or it began already
		return &a.out, nil
	}
	return &a.out, durable.Replace(a.path(anewFile), nil, 0o600)
}
