// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// backlog leaves a store with more overlapping tables than its database would keep.
func backlog(t *testing.T, fs vfs.FS, tables int) {
	t.Helper()
	s, _ := stocked(t, "store", fs)
	closeStore(t, s)
	s.opts.cache = pebble.NewCache(1 << 20)
	p, err := s.openStaging(s.db.name, false) // which merges nothing
	if err != nil {
		t.Fatal(err)
	}
	for range tables {
		for _, key := range []string{"\xf0first", "\xf0last"} {
			if err := p.Set([]byte(key), []byte("v"), pebble.Sync); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func merges(p *pebble.DB) int64 { m := p.Metrics(); return m.Compact.Count + m.Compact.NumInProgress }

func TestNothingIsMergedUntilCompactionsBegin(t *testing.T) {
	fs := vfs.NewMem()
	backlog(t, fs, 8)
	held := holdCompactions()
	o := options(t, fs)
	o.cache, o.damage, o.compactions = pebble.NewCache(1<<20), &spotter{log: o.Logger}, held
	p, err := openPebble("store/db-1", &o, false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Set([]byte("\xf0other"), nil, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := merges(p); n != 0 {
		t.Fatalf("%d compactions before they begin", n)
	}
	held.begin()
	awaitMerge(t, p)
}

// A store that was opened merges what there is to merge, and not before it was loaded.
func TestAStoreMergesOnceItIsLoaded(t *testing.T) {
	mem := vfs.NewMem()
	backlog(t, mem, 8)
	fs := &watchedFS{FS: mem}
	o := options(t, fs)
	o.Progress = func(done, of uint64) {
		if done == of {
			fs.loaded.Store(true)
		}
	}
	s, err := Open("store", o)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	if n := fs.early.Load(); n != 0 {
		t.Errorf("%d tables were merged while the store was loaded", n)
	}
	awaitMerge(t, s.db.pebble)
}

// Pebble takes no more writes when too much waits to be merged, not even those that a
// load begins with.
func TestAStoreWithTooMuchToMergeOpens(t *testing.T) {
	fs := vfs.NewMem()
	backlog(t, fs, 20)
	s := open(t, fs)
	defer closeStore(t, s)
	awaitMerge(t, s.db.pebble)
}

func awaitMerge(t *testing.T, p *pebble.DB) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(time.Minute); merges(p) == 0; <-poll.C {
		if time.Now().After(end) {
			t.Fatal("nothing is merged")
		}
	}
}

// A watchedFS counts the tables that compactions begin before the store is loaded.
type watchedFS struct {
	vfs.FS
	loaded atomic.Bool
	early  atomic.Int64
}

func (w *watchedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.Contains(string(c), "compaction") && !w.loaded.Load() {
		w.early.Add(1)
	}
	return w.FS.Create(name, c)
}
