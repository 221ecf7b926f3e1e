// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
)

// tamper changes the files of a store that is closed.
func tamper(t *testing.T, dir string, fs vfs.FS, fn func(p *pebble.DB) error) {
	t.Helper()
	o := options(t, fs)
	o.anyTier, o.cache, o.damage = true, pebble.NewCache(1<<20), &spotter{log: o.Logger}
	defer o.cache.Unref()
	s := &Store{dir: dir, opts: o}
	name, _, err := s.current()
	if err != nil {
		t.Fatal(err)
	}
	p, err := openPebble(fs.PathJoin(dir, name), &o, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(fn(p), p.Close()); err != nil {
		t.Fatal(err)
	}
}

func flipAt(p *pebble.DB, key []byte, at int) error {
	v, err := get(p, key)
	if err != nil || len(v) <= at {
		return fmt.Errorf("nothing to flip: %w", err)
	}
	v[at] ^= 1
	return p.Set(key, v, pebble.Sync)
}

// mend repairs whatever is found in a store that Open refuses, from the chunks of a
// snapshot, and reports how many buckets that were.
func mend(t *testing.T, s *Store, k *Kept) (n int) {
	t.Helper()
	rules, err := s.CheckRules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	live, err := s.CheckLive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range damagedIn(&rules.TreeCheck, RuleBits) {
		i := RuleChunkOfBucket(uint64(b))
		data, err := k.Rules(i)
		if err == nil {
			err = s.RepairRules(rules, b, data, k.Head().RuleRoots[i])
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	for _, b := range damagedIn(live, LiveBits) {
		i := ChunkOfBucket(uint64(b))
		data, err := k.Chunk(i)
		if err == nil {
			err = s.RepairLive(b, data, k.Head().ChunkRoots[i])
		}
		if spec.CodeOf(err) == spec.CodeCorrupt {
			continue // nothing is known of live signals yet
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// What keeps a store from being opened is put in place again by chunks of another,
// and it opens as before.
func TestAStoreThatDoesNotOpenIsRepaired(t *testing.T) {
	other := openAt(t, "other", vfs.NewMem())
	defer closeStore(t, other)
	all := grown(t, other, 8)
	k := newestKept(t, other)
	entry := func(i int) []byte { return spec.EntryKey(spec.EntryID(all[i].id, 0)) }
	live := func(i int) []byte { return liveKey(digest(uint64(i)).Key(), spec.EntryID(all[i].id, 0)) }
	for name, c := range map[string]struct {
		damage func(p *pebble.DB) error
		rounds []int // buckets that are repaired each time it is opened
	}{
		"a record":                        {func(p *pebble.DB) error { return flipAt(p, recordKey(entry(3)), 40) }, []int{1}},
		"a leaf of the rules":             {func(p *pebble.DB) error { return flipAt(p, ruleLeafKey(spec.RulePlace(entry(3))), 7) }, []int{1}},
		"a record that is gone":           {func(p *pebble.DB) error { return p.Delete(recordKey(entry(3)), pebble.Sync) }, []int{1}},
		"a live signal":                   {func(p *pebble.DB) error { return flipAt(p, live(2), 60) }, []int{1}},
		"a live signal that is gone":      {func(p *pebble.DB) error { return p.Delete(live(2), pebble.Sync) }, []int{1}},
		"a live signal that is no object": {func(p *pebble.DB) error { return p.Set(live(2), []byte{0xff}, pebble.Sync) }, []int{1}},
		"records, leaves and signals": {func(p *pebble.DB) error {
			return errors.Join(flipAt(p, recordKey(entry(3)), 40), flipAt(p, ruleLeafKey(spec.RulePlace(entry(5))), 7), flipAt(p, live(2), 60), p.Delete(live(6), pebble.Sync))
		}, []int{2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := openAt(t, "store", fs)
			grown(t, s, 8)
			want := s.Head()
			closeStore(t, s)
			tamper(t, "store", fs, c.damage)
			o := options(t, fs)
			o.SnapshotEvery = every
			if _, err := Open("store", o); spec.CodeOf(err) != spec.CodeCorrupt {
				t.Fatalf("it opens: %v", err)
			}
			for _, n := range c.rounds {
				s, err := OpenDamaged(t.Context(), "store", o)
				if err != nil {
					t.Fatal(err)
				}
				if s.Damage() == nil {
					t.Error("the damage is not named")
				}
				if got := mend(t, s, k); got != n {
					t.Errorf("%d buckets were repaired, not %d", got, n)
				}
				if v, err := s.Verify(t.Context()); len(c.rounds) == 1 && (err != nil || len(v.Bad) > 0) {
					t.Errorf("afterwards: %+v, %v", v, err)
				}
				closeStore(t, s)
			}
			s = openAt(t, "store", fs)
			defer closeStore(t, s)
			if got := s.Head(); got.Root != want.Root || got.Live != want.Live || got.Entries != want.Entries {
				t.Errorf("it is %+v, was %+v", got, want)
			}
			for i := range uint64(8) {
				if len(hits(t, s, digest(i))) != 1 {
					t.Errorf("signal %d is not found", i)
				}
			}
		})
	}
}

// Where neither records nor leaves say what stood in a bucket, a repair does not
// begin: it could make anything of it.
func TestWhatCannotBeToldIsNotRepaired(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, "store", fs)
	key := spec.EntryKey(spec.EntryID(grown(t, s, 8)[3].id, 0))
	closeStore(t, s)
	tamper(t, "store", fs, func(p *pebble.DB) error {
		return errors.Join(flipAt(p, recordKey(key), 40), flipAt(p, ruleLeafKey(spec.RulePlace(key)), 7))
	})
	if _, err := OpenDamaged(t.Context(), "store", options(t, fs)); spec.CodeOf(err) != spec.CodeCorrupt {
		t.Fatalf("it is opened: %v", err)
	}
	if err := fs.MkdirAll("nowhere", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDamaged(t.Context(), "nowhere", options(t, fs)); spec.CodeOf(err) != spec.CodeUsage {
		t.Fatalf("no store: %v", err)
	}
}
