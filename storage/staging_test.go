// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// every is the distance of snapshot sizes in these tests.
const every = 8

func openAt(t *testing.T, dir string, fs vfs.FS) *Store {
	t.Helper()
	o := options(t, fs)
	o.SnapshotEvery = every
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func digest(n uint64) spec.Signal {
	h := spec.LeafHash(binary.BigEndian.AppendUint64(nil, n))
	return spec.Signal{Type: "sha256", Value: h[:]}
}

// grown has n additions of two signals each, in as many groups of one leaf.
func grown(t *testing.T, s *Store, n int) []addition {
	t.Helper()
	var all []addition
	for i := range n {
		a := newAddition(byte(i+1), digest(uint64(i)), pdq(byte(i), 0))
		all = append(all, a)
		change(t, s, uint64(i+1), a.entered)
	}
	s.keeping.Wait()
	return all
}

// fetch puts every missing chunk of k into st, and says how many.
func fetch(t *testing.T, st *Staging, k *Kept, most int) (n int) {
	t.Helper()
	live, rules := st.Missing()
	put := func(indexes []uint32, read func(uint32) ([]byte, error), put func(uint32, []byte) error) {
		for _, i := range indexes {
			if n == most {
				return
			}
			n++
			b, err := read(i)
			if err == nil {
				err = put(i, b)
			}
			if err != nil {
				t.Fatalf("chunk %d: %v", i, err)
			}
		}
	}
	put(live, k.Chunk, st.Chunk)
	put(rules, k.Rules, st.Rules)
	return n
}

func install(t *testing.T, s *Store, k *Kept) {
	t.Helper()
	head := k.Head()
	st, err := s.Stage(&head)
	if err != nil {
		t.Fatal(err)
	}
	fetch(t, st, k, -1)
	accepted := 0
	if err := st.Install(t.Context(), func() error { accepted++; return nil }); err != nil || accepted != 1 {
		t.Fatalf("installing: %v, accepted %d times", err, accepted)
	}
}

func newestKept(t *testing.T, s *Store) *Kept {
	t.Helper()
	list := s.Snapshots()
	if len(list) == 0 {
		t.Fatal("no snapshot is kept")
	}
	return list[0]
}

// The state at a snapshot size can be read while commits go on and after a restart,
// and becomes the state of another store, which goes on from there as the first did.
func TestASnapshotBecomesTheStateOfAnotherStore(t *testing.T) {
	fs := vfs.NewMem()
	from := openAt(t, "from", fs)
	all := grown(t, from, 21)
	sizes := func() (out []uint64) {
		for _, k := range from.Snapshots() {
			out = append(out, k.Head().Size)
		}
		return out
	}
	if got := sizes(); !slices.Equal(got, []uint64{16, 8}) {
		t.Fatalf("snapshots at %v", got)
	}
	closeStore(t, from)
	from = openAt(t, "from", fs)
	defer closeStore(t, from)
	if got := sizes(); !slices.Equal(got, []uint64{16, 8}) {
		t.Fatalf("after a restart there are snapshots at %v", got)
	}
	k := newestKept(t, from)

	to := openAt(t, "to", vfs.NewMem())
	defer closeStore(t, to)
	install(t, to, k)
	if h := to.Head(); h.Size != 16 || h.Live != 32 || h.Entries != 16 || to.First() != 16 {
		t.Fatalf("installed: %+v", h)
	}
	for i := range uint64(21) {
		if got := len(hits(t, to, digest(i))); got != map[bool]int{true: 1, false: 0}[i < 16] {
			t.Fatalf("signal %d has %d hits", i, got)
		}
	}
	if got := hits(t, to, pdq(3, 5)); len(got) == 0 {
		t.Fatal("near lookups find nothing")
	}
	// The log goes on: the same changes give the same roots in both.
	same := func(what string, fn func(tx *Tx) error) {
		t.Helper()
		change(t, from, 100, fn)
		change(t, to, 100, fn)
		if from.Head().Root != to.Head().Root {
			t.Fatalf("%s: the logs, and so the roots of the state, differ", what)
		}
		if v, err := to.Verify(t.Context()); err != nil || len(v.Bad) > 0 || v.Opened != to.Head().Live {
			t.Fatalf("%s: %+v, %v", what, v, err)
		}
	}
	for _, a := range all[16:] {
		change(t, to, 100, a.entered)
	}
	relist := func(tx *Tx, a addition, state uint64, was bool, removed ...uint64) error {
		l := a.listing(state, was)
		l.Off = removed
		e := spec.Entry{Case: a.id, Org: "alpha", State: state, Labels: l.Meta.Labels, Count: 2, Confirmed: true, Removed: removed}
		b, err := spec.Encode(&e)
		return errors.Join(err, tx.List(l), tx.Put(spec.EntryKey(l.Meta.Entry), b))
	}
	same("a suspension", func(tx *Tx) error { return relist(tx, all[2], spec.StateSuspended, true) })
	if len(hits(t, to, digest(2))) != 0 {
		t.Fatal("a suspended entry is found")
	}
	same("its end", func(tx *Tx) error { return relist(tx, all[2], spec.StateDisputed, false) })
	if h := hits(t, to, digest(2)); len(h) != 1 || h[0].Entry.State != spec.StateDisputed {
		t.Fatalf("after a suspension: %+v", h)
	}
	asked := 0
	to.SetOpener(func(id spec.Hash) (*spec.Opening, error) {
		asked++
		o := spec.Opening{Signals: slices.Clone(all[4].opening.Signals)}
		for i := range o.Signals {
			o.Signals[i] = spec.Opened{Erased: true, Blinded: o.Signals[i].Commitment()}
		}
		return &o, nil
	})
	same("one of two signals", func(tx *Tx) error {
		return errors.Join(relist(tx, all[4], spec.StateActive, true, 0), tx.Erase(spec.Erasure{Case: all[4].id, First: 0, Count: 1}))
	})
	if asked != 1 || len(hits(t, to, digest(4))) != 0 || len(hits(t, to, all[4].opening.Signals[1].Signal)) == 0 {
		t.Fatalf("after one of two signals went: asked %d times", asked)
	}
	same("a retraction", func(tx *Tx) error {
		return errors.Join(relist(tx, all[4], spec.StateRetracted, true, 0), tx.Erase(spec.Erasure{Case: all[4].id, Count: 2}))
	})
	if due, err := to.PurgeDue(); err != nil || !due {
		t.Fatalf("a purge is due: %v, %v", due, err)
	}
}

// What the log was before the snapshot is not there, and says so; what comes after
// is proved as ever.
func TestTheLogBeginsAtTheSnapshot(t *testing.T) {
	from, to := openAt(t, "from", vfs.NewMem()), openAt(t, "to", vfs.NewMem())
	defer closeStore(t, from)
	defer closeStore(t, to)
	all := grown(t, from, 14)
	k := newestKept(t, from)
	install(t, to, k)
	root := to.Head().Root
	for i := range 5 {
		change(t, to, 1, newAddition(byte(100+i), digest(uint64(100+i))).entered)
	}
	var gone *GoneError
	if _, err := to.Leaves(3, 1); !errors.As(err, &gone) || gone.First != 8 || spec.CodeOf(err) != spec.CodeGone {
		t.Fatalf("an old leaf: %v", err)
	}
	if _, err := to.LogHash(0, 2); !errors.As(err, &gone) {
		t.Fatalf("an old hash: %v", err)
	}
	if _, err := to.LogHash(0, 13); spec.CodeOf(err) != spec.CodeNotFound {
		t.Fatalf("a hash to come: %v", err)
	}
	if l, err := to.Leaves(7, 1); err != nil || len(l) != 1 {
		t.Fatalf("the leaf before the snapshot: %d, %v", len(l), err)
	}
	h := to.Head()
	for i := uint64(7); i < h.Size; i++ {
		checkInclusion(t, to, h, i)
	}
	checkConsistency(t, to, 8, root, h)
	_ = all
}

// Nothing that was written is fetched again after a crash, at whatever moment.
func TestAStagingSurvivesCrashes(t *testing.T) {
	from := openAt(t, "from", vfs.NewMem())
	defer closeStore(t, from)
	grown(t, from, 12)
	k := newestKept(t, from)
	head := k.Head()

	fs := vfs.NewCrashableMem()
	to := openAt(t, "to", fs)
	fetched := 0
	for round := 0; ; round++ {
		st, err := to.Stage(&head)
		if err != nil {
			t.Fatal(err)
		}
		live, rules := st.Missing()
		if want := LiveChunks + RuleChunks - fetched; len(live)+len(rules) != want {
			t.Fatalf("round %d: %d chunks are missing, not %d", round, len(live)+len(rules), want)
		}
		n := fetch(t, st, k, 700)
		if h := to.Head(); h.Size != 0 || len(hits(t, to, digest(1))) != 0 {
			t.Fatal("a staging can be seen")
		}
		if n < 700 {
			boom := errors.New("boom")
			if err := st.Install(t.Context(), func() error { return boom }); !errors.Is(err, boom) || to.Head().Size != 0 {
				t.Fatalf("installed although not accepted: %v", err)
			}
			fs = fs.CrashClone(vfs.CrashCloneCfg{})
			to = openAt(t, "to", fs)
			st, err = to.Stage(&head)
			if err != nil || fetch(t, st, k, -1) != 0 {
				t.Fatalf("chunks were lost before the end: %v", err)
			}
			if err := st.Install(t.Context(), func() error { return nil }); err != nil {
				t.Fatal(err)
			}
			break
		}
		if err := st.Flush(); err != nil {
			t.Fatal(err)
		}
		fetched += n
		fs = fs.CrashClone(vfs.CrashCloneCfg{}) // what was not made durable is lost
		to = openAt(t, "to", fs)
	}
	to = openAt(t, "to", fs.CrashClone(vfs.CrashCloneCfg{}))
	defer closeStore(t, to)
	if h := to.Head(); h.Size != 8 || len(hits(t, to, digest(1))) != 1 {
		t.Fatalf("after the last crash: %+v", h)
	}
	if head, err := to.Staged(); err != nil || head != nil {
		t.Fatalf("something is staged: %v, %v", head, err)
	}
}

// A chunk in which anything is changed is refused, and leaves nothing behind.
func TestAChunkIsBelievedInNothing(t *testing.T) {
	from, to := openAt(t, "from", vfs.NewMem()), openAt(t, "to", vfs.NewMem())
	defer closeStore(t, from)
	defer closeStore(t, to)
	grown(t, from, 8)
	k := newestKept(t, from)
	head := k.Head()
	st, err := to.Stage(&head)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	refused := func(what string, err error) {
		t.Helper()
		if c := spec.CodeOf(err); c != spec.CodeProof && c != spec.CodeMalformed {
			t.Fatalf("%s: %v", what, err)
		}
	}
	try := func(n uint32, read func(uint32) ([]byte, error), put func(uint32, []byte) error) {
		for i := range n {
			b, err := read(i)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) == 0 {
				continue
			}
			for at := range b {
				bad := slices.Clone(b)
				bad[at] ^= 1 << (at % 8)
				refused("a flipped bit", put(i, bad))
			}
			refused("a truncated chunk", put(i, b[:len(b)-1]))
			refused("an empty chunk", put(i, nil))
			refused("a chunk twice", put(i, slices.Concat(b, b)))
			refused("another chunk's content", put((i+1)%n, b))
		}
		refused("a chunk that there is not", put(n, nil))
	}
	try(LiveChunks, k.Chunk, st.Chunk)
	try(RuleChunks, k.Rules, st.Rules)
	if live, rules := st.Missing(); len(live) != LiveChunks || len(rules) != RuleChunks {
		t.Fatal("a refused chunk was taken")
	}
}

// Nodes lead from the roots to every bucket.
func TestNodesLeadToBuckets(t *testing.T) {
	s := openAt(t, "store", vfs.NewMem())
	defer closeStore(t, s)
	grown(t, s, 8)
	k := newestKept(t, s)
	for tree, want := range map[int]*bucketTree{LiveTree: s.db.live, RuleTree: s.db.rules} {
		for b := uint64(0); b < 1<<want.bits; b += 4099 {
			for level := 0; level < want.bits; level += NodeLevels {
				hashes, err := k.Nodes(tree, level, b>>(want.bits-level))
				if err != nil {
					t.Fatal(err)
				}
				to := min(level+NodeLevels, want.bits)
				first := uint64(1)<<to + b>>(want.bits-level)<<(to-level)
				if !slices.Equal(hashes, want.nodes[first:first+uint64(len(hashes))]) || len(hashes) != 1<<(to-level) {
					t.Fatalf("tree %d, level %d, bucket %d: %d hashes that are not those of the tree", tree, level, b, len(hashes))
				}
			}
		}
	}
	if _, err := k.Nodes(3, 0, 0); spec.CodeOf(err) != spec.CodeMalformed {
		t.Fatalf("a third tree: %v", err)
	}
	if _, err := k.Nodes(LiveTree, 8, 256); spec.CodeOf(err) != spec.CodeMalformed {
		t.Fatalf("a node beyond its level: %v", err)
	}
}

// A purge leaves no snapshot in which erased values lie.
func TestAPurgeReleasesSnapshots(t *testing.T) {
	s := openAt(t, "store", vfs.NewMem())
	defer closeStore(t, s)
	grown(t, s, 8)
	k := newestKept(t, s)
	if err := s.Purge(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Chunk(0); spec.CodeOf(err) != spec.CodeGone || len(s.Snapshots()) != 0 {
		t.Fatalf("a snapshot after a purge: %v", err)
	}
}

func FuzzChunks(f *testing.F) {
	f.Add([]byte{0x86, 0x63, 'm', 'd', '5', 0x41, 1, 0, 0x50}, true, false)
	f.Add([]byte{0x85, 0x58, 0x20}, true, true)
	f.Fuzz(func(t *testing.T, data []byte, live, keyed bool) {
		if live {
			leaves, err := readLeaves(data, keyed)
			var again []byte
			for i := range leaves {
				if keyed {
					again = appendKey(again, leaves[i].k[:], &leaves[i].liveView)
				} else {
					again = appendLeaf(again, &leaves[i].liveView)
				}
			}
			if err == nil && string(again) != string(data) {
				t.Fatal("a chunk of another form was read")
			}
			return
		}
		records, err := readRecords(data)
		var again []byte
		for i := range records {
			again = appendRecord(again, records[i].key, records[i].value)
		}
		if err == nil && string(again) != string(data) {
			t.Fatal("a chunk of another form was read")
		}
	})
}

func checkInclusion(t *testing.T, s *Store, h Head, index uint64) {
	t.Helper()
	leaf, err := s.LogHash(0, index)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := tlog.Inclusion(s, h.Size, index)
	if err == nil {
		err = tlog.CheckInclusion(proof, h.Size, index, h.Root, leaf)
	}
	if err != nil {
		t.Fatalf("leaf %d: %v", index, err)
	}
}

func checkConsistency(t *testing.T, s *Store, old uint64, root spec.Hash, h Head) {
	t.Helper()
	proof, err := tlog.Consistency(s, old, h.Size)
	if err == nil {
		err = tlog.CheckConsistency(proof, old, root, h.Size, h.Root)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Whoever sends the log may leave an opening out: then it is asked for elsewhere, and
// nothing is listed without it.
func TestAListedAdditionNeedsItsOpening(t *testing.T) {
	s := openAt(t, "store", vfs.NewMem())
	defer closeStore(t, s)
	a, asked := newAddition(1, sha(1), pdq(0x5a, 0)), 0
	var here *spec.Opening
	s.SetOpener(func(id spec.Hash) (*spec.Opening, error) {
		if asked++; id != a.id {
			t.Errorf("another opening is asked for")
		}
		return here, nil
	})
	list := func(state uint64, was bool) error {
		tx, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Drop()
		if err := errors.Join(tx.List(a.listing(state, was)), tx.Put(spec.EntryKey(a.id), []byte{1})); err != nil {
			return err
		}
		seal(t, tx)
		return tx.Commit(Applied{Index: s.Head().Applied.Index + 1, Term: 1, Conf: []byte("conf")})
	}
	if err := list(spec.StateProvisional, false); err != nil || asked != 0 {
		t.Fatalf("of what is provisional: %v, asked %d times", err, asked)
	}
	if err := list(spec.StateActive, true); spec.CodeOf(err) != spec.CodeOpening {
		t.Fatalf("listed without its values: %v", err)
	}
	here = &a.opening
	if err := list(spec.StateActive, true); err != nil {
		t.Fatal(err)
	}
	if len(hits(t, s, sha(1))) != 1 || len(hits(t, s, pdq(0x5a, 0))) != 1 {
		t.Fatal("what was asked for is not listed")
	}
}
