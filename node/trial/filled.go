// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage"
	"github.com/tocsin-db/tocsin/storage/nearby/bench"
)

// FilledOptions shape a data directory with many entries.
type FilledOptions struct {
	Dir     string // of one member, or "" for a temporary one; one that was filled alike is used again
	Entries int    // hashes: half PDQ, half SHA-256; two of them are one piece of content
	Seed    uint64

	DigestsOnly bool // all SHA-256, each a piece of content
}

// A Filled is a data directory of the one member of a consortium whose store was
// filled without votes.
type Filled struct {
	Dir     string // of the node
	Entries int
	pdq     [][32]byte // none when there are digests only
	count   int        // of digests
	root    string     // to remove, or ""
}

// Fill makes the directory, or finds it made.
func Fill(ctx context.Context, o FilledOptions, say io.Writer) (f *Filled, err error) {
	f = &Filled{Entries: o.Entries &^ 1}
	if f.count = f.Entries / 2; o.DigestsOnly {
		f.Entries, f.count = o.Entries, o.Entries
	}
	if f.count < 1 {
		return nil, spec.Errorf(spec.CodeUsage, "a store is filled with at least two entries")
	}
	dir := o.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "tocsin-filled-"); err != nil {
			return nil, err
		}
		f.root = dir
	}
	f.Dir = filepath.Join(dir, names[0].id)
	mark := filepath.Join(dir, "filled")
	want := fmt.Sprintf("%d entries, %d digests, seed %d\n", f.Entries, f.count, o.Seed)
	if b, err := os.ReadFile(mark); err == nil && string(b) == want {
		return f, f.readRows(dir)
	}
	if list, err := os.ReadDir(dir); err == nil && len(list) > 0 {
		return nil, spec.Errorf(spec.CodeUsage, "%s is not empty and was filled with something else", dir)
	}
	err = f.make(ctx, dir, o.Seed, say)
	if err == nil {
		err = os.WriteFile(mark, []byte(want), 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, f.Remove())
	}
	return f, nil
}

func (f *Filled) make(ctx context.Context, dir string, seed uint64, say io.Writer) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	c, err := Found(ctx, Options{Dir: dir, Members: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if err := c.Stop(ctx); err != nil {
		return err
	}
	if f.count < f.Entries {
		if err := f.makePDQ(ctx, dir, seed, say); err != nil {
			return err
		}
	}
	fmt.Fprintf(say, "filling the store of one member\n")
	s, err := storage.Open(filepath.Join(f.Dir, "fsm"), storage.Options{FS: vfs.Default, Logger: slog.New(slog.DiscardHandler), Fatal: func(error) {}})
	if err != nil {
		return err
	}
	return errors.Join(s.Fill(ctx, f.count, f.entry), s.Close())
}

func (f *Filled) makePDQ(ctx context.Context, dir string, seed uint64, say io.Writer) error {
	fmt.Fprintf(say, "making %d PDQ hashes, mixed as the field has them\n", f.Entries/2)
	data := bench.DataOptions{
		Kind: "mixed", Entries: f.Entries / 2, Queries: 1, Seed: seed,
		DB: filepath.Join(dir, "entries"), QueriesFile: filepath.Join(dir, "queries"),
	}
	if err := bench.Data(ctx, data); err != nil {
		return err
	}
	return f.readRows(dir)
}

func (f *Filled) readRows(dir string) error {
	if f.count == f.Entries {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(dir, "entries"))
	if err != nil {
		return fmt.Errorf("reading the hashes of a filled store: %w", err)
	}
	if len(b) != 32*f.Entries/2 {
		return spec.Errorf(spec.CodeCorrupt, "the hashes of a filled store are not those that it was filled with")
	}
	f.pdq = make([][32]byte, len(b)/32)
	for i := range f.pdq {
		f.pdq[i] = [32]byte(b[32*i:])
	}
	return nil
}

// Remove removes a temporary directory.
func (f *Filled) Remove() error {
	if f.root == "" {
		return nil
	}
	return os.RemoveAll(f.root)
}

// Digest is the SHA-256 of piece of content i; those behind the last are listed
// nowhere.
func (f *Filled) Digest(i int) (d [32]byte) {
	rng := rand.New(rand.NewPCG(uint64(i), 0xd19e57))
	for k := 0; k < 32; k += 8 {
		binary.LittleEndian.PutUint64(d[k:], rng.Uint64())
	}
	return d
}

func (f *Filled) caseOf(i int) spec.Hash {
	return spec.LeafHash(binary.BigEndian.AppendUint64([]byte("filled"), uint64(i/storage.FillItems)))
}

// entryID is the id of the entry that pair i of hashes is.
func (f *Filled) entryID(i int) spec.Hash { return spec.EntryID(f.caseOf(i), i%storage.FillItems) }

func (f *Filled) entry(i int) storage.FillEntry {
	digest := f.Digest(i)
	e := storage.FillEntry{
		Case: f.caseOf(i), Org: names[0].id, Labels: []string{"benchmark"},
		Signals: []spec.Signal{{Type: "sha256", Value: digest[:]}},
	}
	if f.pdq != nil {
		e.Signals = append(e.Signals, spec.Signal{Type: "pdq", Value: f.pdq[i][:], Quality: 80})
	}
	return e
}

// Start starts the node in this process and returns its socket once it is ready.
func (f *Filled) Start(ctx context.Context) (socket string, stop func() error, err error) {
	n, err := node.Start(ctx, node.Config{Dir: f.Dir, Profile: "lan", VerifyEvery: -1})
	if err != nil {
		return "", nil, err
	}
	stop = func() error { return n.Stop(context.WithoutCancel(ctx)) }
	c := &Consortium{}
	if err := c.awaitReady(ctx, []*Participant{{Node: n}}); err != nil {
		return "", nil, errors.Join(err, stop())
	}
	return filepath.Join(f.Dir, api.SocketName), stop, nil
}
