// SPDX-License-Identifier: Apache-2.0

package tables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func database(t *testing.T, fs vfs.FS, compactions bool) *pebble.DB {
	t.Helper()
	db, err := pebble.Open("db", &pebble.Options{
		FS: fs, FormatMajorVersion: pebble.FormatColumnarBlocks, DisableAutomaticCompactions: !compactions,
		L0StopWritesThreshold: 1000, Logger: quiet{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

func key(n int) []byte { return binary.BigEndian.AppendUint16([]byte{7}, uint16(n)) }

// change writes, overwrites and deletes records here and there, a third of them in
// one corner, so that some tables lie side by side and others one above the other.
func change(t *testing.T, db *pebble.DB, rng *rand.Rand, round int) {
	t.Helper()
	b := db.NewBatch()
	corner := rng.IntN(60000)
	for range 2000 {
		n := rng.IntN(1 << 16)
		if rng.IntN(3) == 0 {
			n = corner + rng.IntN(3000)
		}
		var err error
		if rng.IntN(4) == 0 {
			err = b.Delete(key(n), nil)
		} else {
			err = b.Set(key(n), fmt.Appendf(nil, "%d in round %d %x", n, round, make([]byte, rng.IntN(200))), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		t.Fatal(err)
	}
}

type record struct{ key, value []byte }

func listed(t *testing.T, db *pebble.DB, lower, upper []byte) (all []record) {
	t.Helper()
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		all = append(all, record{bytes.Clone(it.Key()), bytes.Clone(it.Value())})
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		t.Fatal(err)
	}
	return all
}

// same compares what a Scanner reads in many ranges with what the database says.
func same(t *testing.T, db *pebble.DB, fs vfs.FS, rng *rand.Rand) *Set {
	t.Helper()
	set, err := Open(db, fs, "db")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	}()
	sc := set.Scanner()
	defer sc.Close()
	for i := range 12 {
		a, b := rng.IntN(1<<16), rng.IntN(1<<16)
		lower, upper := key(min(a, b)), key(max(a, b))
		if i == 0 {
			lower, upper = []byte{0}, []byte{0xff}
		}
		want := listed(t, db, lower, upper)
		err := sc.Each(lower, upper, func(k, v []byte) error {
			if len(want) == 0 || !bytes.Equal(want[0].key, k) || !bytes.Equal(want[0].value, v) {
				return fmt.Errorf("%x: %q", k, v)
			}
			want = want[1:]
			return nil
		})
		if err != nil || len(want) != 0 {
			t.Fatalf("range %d: %v, and %d records are not read", i, err, len(want))
		}
	}
	return set
}

// What a Scanner reads is what the database says, however its tables lie.
func TestReadsWhatTheDatabaseHolds(t *testing.T) {
	for _, compactions := range []bool{false, true} {
		t.Run(fmt.Sprint("compactions ", compactions), func(t *testing.T) {
			rng, fs := rand.New(rand.NewPCG(1, 2)), vfs.NewMem()
			db := database(t, fs, compactions)
			runs := 0
			for round := range 12 {
				change(t, db, rng, round)
				switch round {
				case 3, 8: // something in the lowest level
					if err := db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
						t.Fatal(err)
					}
				case 5: // a snapshot keeps the records that are overwritten
					snap := db.NewSnapshot()
					defer snap.Close()
				}
				set := same(t, db, fs, rng)
				if !set.plain {
					t.Fatal("nothing but records was written")
				}
				runs = max(runs, len(set.runs))
			}
			if !compactions && runs < 4 {
				t.Errorf("at most %d runs of tables lay one above the other: the test shows little", runs)
			}
		})
	}
}

// Ranges that are deleted as such are the database's business.
func TestRangesThatAreDeleted(t *testing.T) {
	rng, fs := rand.New(rand.NewPCG(3, 4)), vfs.NewMem()
	db := database(t, fs, false)
	change(t, db, rng, 0)
	if err := db.DeleteRange(key(1000), key(30000), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	change(t, db, rng, 1)
	if set := same(t, db, fs, rng); set.plain {
		t.Error("a deleted range was not noticed")
	}
}

// A record that is refused ends a range at once, and the Scanner goes on with others.
func TestWhatIsRefusedEndsARange(t *testing.T) {
	rng, fs := rand.New(rand.NewPCG(5, 6)), vfs.NewMem()
	db := database(t, fs, false)
	change(t, db, rng, 0)
	set, err := Open(db, fs, "db")
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	sc := set.Scanner()
	defer sc.Close()
	refused := errors.New("refused")
	n := 0
	err = sc.Each([]byte{0}, []byte{0xff}, func([]byte, []byte) error { n++; return refused })
	if !errors.Is(err, refused) || n != 1 {
		t.Errorf("%d records were read, then %v", n, err)
	}
	n = 0
	err = sc.Each([]byte{0}, []byte{0xff}, func([]byte, []byte) error { n++; return nil })
	if want := len(listed(t, db, []byte{0}, []byte{0xff})); err != nil || n != want {
		t.Errorf("%d records of %d, %v", n, want, err)
	}
}

// Any byte of a block that is not as it was written is found.
func TestADamagedTable(t *testing.T) {
	rng, fs := rand.New(rand.NewPCG(7, 8)), vfs.NewMem()
	db := database(t, fs, false)
	change(t, db, rng, 0)
	set, err := Open(db, fs, "db")
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	path := set.runs[0][0].path
	for range 20 {
		whole := readAll(t, fs, path)
		b := bytes.Clone(whole)
		b[rng.IntN(len(b)/2)] ^= 1 << rng.IntN(8) // in the blocks of the records, which stand first
		write(t, fs, path, b)
		sc := set.Scanner()
		if err := sc.Each([]byte{0}, []byte{0xff}, func([]byte, []byte) error { return nil }); !pebble.IsCorruptionError(err) {
			t.Errorf("a flipped bit: %v", err)
		}
		sc.Close()
		write(t, fs, path, whole)
	}
}

func readAll(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, fs vfs.FS, path string, b []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
