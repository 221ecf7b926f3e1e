// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage/entries"
)

// What a lookup says of an entry is as of the last commit, whatever lookups before
// it have read.
func TestLookupSeesWhatAnEntryBecame(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	a := newAddition(1, sha(1), pdq(0x5a, 0))
	change(t, s, 1, a.list)
	index := uint64(1)
	for i, state := range []uint64{spec.StateDisputed, spec.StateActive, spec.StateSuspended, spec.StateActive, spec.StateRetracted} {
		for range 2 { // what was read is not kept
			hits(t, s, sha(1))
			hits(t, s, pdq(0x5a, 4))
		}
		index++
		was := i == 0 || i == 1 || i == 2 || i == 4
		change(t, s, index, func(tx *Tx) error { return tx.List(a.listing(state, was)) })
		for _, q := range []spec.Signal{sha(1), pdq(0x5a, 4)} {
			h := hits(t, s, q)
			if !spec.Matchable(state) && len(h) != 0 || spec.Matchable(state) && (len(h) != 1 || h[0].Entry.State != state) {
				t.Fatalf("%s after the entry became %s: %+v", q.Type, spec.StateName(state), h)
			}
		}
	}
}

// A value that more entries list than are kept in memory finds all of them, with what
// they have become, and so it does after a start.
func TestLookupOfWhatManyList(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	defer func() { closeStore(t, s) }()
	const many = entries.MaxListed + 3
	var all []addition
	for i := range byte(many) {
		all = append(all, newAddition(1+i, sha(1), pdq(0x5a, 0)))
		change(t, s, uint64(1+i), all[i].list)
	}
	check := func(want int) {
		t.Helper()
		for _, q := range []spec.Signal{sha(1), pdq(0x5a, 4)} {
			if h := hits(t, s, q); len(h) != want {
				t.Fatalf("%s finds %d of %d entries", q.Type, len(h), want)
			}
		}
	}
	check(many)
	closeStore(t, s)
	s = open(t, fs)
	check(many)
	for i := range all {
		change(t, s, uint64(100+i), func(tx *Tx) error { return tx.List(all[i].listing(spec.StateRetracted, true)) })
		check(many - 1 - i)
	}
	change(t, s, 200, newAddition(200, sha(1), pdq(0x5a, 0)).list)
	check(1)
}

// Readers never see a state that was replaced before they asked.
func TestLookupsWhileStatesChange(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	a := newAddition(1, sha(1))
	since := func(n uint64) spec.Listing {
		l := a.listing(spec.StateActive, n > 1)
		l.Meta.Since = n
		return l
	}
	change(t, s, 1, func(tx *Tx) error {
		if err := tx.Hold(a.id, &a.opening); err != nil {
			return err
		}
		return tx.List(since(1))
	})
	var mu sync.Mutex
	done, stop := uint64(1), make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				least := done
				mu.Unlock()
				h, _, err := s.Lookup([]spec.Signal{sha(1)})
				if err != nil || len(h) != 1 || h[0].Entry.Since < least {
					t.Errorf("after change %d: %+v, %v", least, h, err)
					return
				}
			}
		})
	}
	for n := uint64(2); n < 300; n++ {
		change(t, s, n, func(tx *Tx) error { return tx.List(since(n)) })
		mu.Lock()
		done = n
		mu.Unlock()
	}
	close(stop)
	wg.Wait()
}

// What a split leaves out is not found, of videos neither, and each of its parts is cut
// off for itself.
func TestASplitDecidesBeforeAnAnswerIsCut(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	film := frames(1, 20)
	for i := range byte(115) {
		a := newAddition(1+i, append(film[:20:20], pdq(0x5a, int(i)%25))...)
		change(t, s, uint64(1+i), a.list)
	}
	last := map[spec.Hash]bool{}
	for i := range byte(115) {
		if i%25 >= 23 {
			last[spec.EntryID(newAddition(1+i).id, 0)] = true
		}
	}
	for _, q := range [][]spec.Signal{film, {pdq(0x5a, 0)}, append(film[:20:20], pdq(0x5a, 0))} {
		for _, x := range []struct {
			far, near, most int // parts of the farthest and of all others; how many are found
			truncated       bool
		}{{0, 0, 100, true}, {1, 0, 100 + len(last), true}, {0, 1, 100 + len(last), true}, {0, -1, len(last), false}, {-1, 0, 100, true}, {-1, -1, 0, false}} {
			part := func(m *spec.LiveMeta) int {
				if last[m.Entry] {
					return x.far
				}
				return x.near
			}
			found, err := s.LookupSplit([][]spec.Signal{q}, Split{Parts: 2, Of: part})
			if err != nil || len(found[0].Hits) != x.most || found[0].Truncated != x.truncated {
				t.Fatalf("%d signals, %+v: %d hits, truncated %v, %v", len(q), x, len(found[0].Hits), found[0].Truncated, err)
			}
			for i, h := range found[0].Hits {
				if part(&h.Entry) < 0 || i > 0 && h.Distance < found[0].Hits[i-1].Distance {
					t.Fatalf("%d signals, %+v: hit %d is %+v", len(q), x, i, h)
				}
			}
		}
	}
	if _, err := s.LookupSplit(nil, Split{Parts: 3, Of: all.Of}); err == nil {
		t.Fatal("a split with more parts than there are is taken")
	}
}

func TestManyQueriesAreAnsweredAsEachAlone(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	film := frames(1, 20)
	change(t, s, 1, newAddition(1, sha(1), pdq(0x5a, 0)).list)
	change(t, s, 2, newAddition(2, sha(1), pdq(0x5a, 9)).list)
	change(t, s, 3, newAddition(3, film...).list)
	index := uint64(3)
	for i := range byte(120) { // more near ones than are answered
		index++
		change(t, s, index, newAddition(10+i, pdq(0x33, int(i)%30), sha(100+i)).list)
	}
	queries := [][]spec.Signal{nil, film, {film[0], film[1], film[1], sha(1)}}
	for i := range 200 {
		queries = append(queries,
			[]spec.Signal{pdq(0x5a, i%40)}, []spec.Signal{sha(byte(i))}, []spec.Signal{pdq(byte(i), 3), sha(byte(i)), sha(1)},
			[]spec.Signal{pdq(0x33, i%35), pdq(0x5a, 5)}, []spec.Signal{{Type: "md5", Value: make([]byte, 16)}})
	}
	found, err := s.LookupAll(queries)
	if err != nil || len(found) != len(queries) {
		t.Fatalf("%d answers, %v", len(found), err)
	}
	matched, truncated := 0, 0
	for i, q := range queries {
		h, cut, err := s.Lookup(q)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(h) != fmt.Sprint(found[i].Hits) || cut != found[i].Truncated || len(h) > 0 && !reflect.DeepEqual(h, found[i].Hits) {
			t.Fatalf("query %d: together %+v, %v\nalone %+v, %v", i, found[i].Hits, found[i].Truncated, h, cut)
		}
		if len(h) > 0 {
			matched++
		}
		if cut {
			truncated++
		}
	}
	if matched < 300 || truncated < 100 {
		t.Fatalf("of %d queries %d matched, %d were cut: too few to tell", len(queries), matched, truncated)
	}
	if _, err := s.LookupAll([][]spec.Signal{{sha(1)}, {{Type: "pdq", Value: []byte{1}}}}); spec.CodeOf(err) != spec.CodeSignal {
		t.Fatalf("a value of the wrong size among others: %v", err)
	}
}
