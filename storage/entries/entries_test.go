// SPDX-License-Identifier: Apache-2.0

package entries

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// said is a state, a sunset and one label.
func said(state, sunset byte) []byte { return []byte{state, sunset, 'a' + state} }

func decode(b []byte) (Said, error) {
	if len(b) != 3 {
		return Said{}, errors.New("not what a test says")
	}
	return Said{State: uint64(b[0]), Sunset: uint64(b[1]), Labels: []string{string(b[2:])}}, nil
}

func listing(entry, since uint64, said []byte) *Listing {
	l := &Listing{Since: since, Said: said}
	binary.BigEndian.PutUint64(l.Entry[:], entry)
	l.Entry[31] = byte(entry)
	return l
}

// model is what a table should hold.
type model map[Key]map[spec.Hash]spec.LiveMeta

func (m model) put(k Key, l *Listing) {
	if m[k] == nil {
		m[k] = map[spec.Hash]spec.LiveMeta{}
	}
	s, _ := decode(l.Said)
	m[k][l.Entry] = spec.LiveMeta{Entry: l.Entry, State: s.State, Since: l.Since, Sunset: s.Sunset, Labels: s.Labels}
}

func sorted(list []spec.LiveMeta) []spec.LiveMeta {
	slices.SortFunc(list, func(a, b spec.LiveMeta) int { return bytes.Compare(a.Entry[:], b.Entry[:]) })
	return list
}

func (m model) check(t *testing.T, table *Table, k Key) {
	t.Helper()
	got, known := table.Of(k, nil)
	if !known {
		t.Fatal("the table does not know")
	}
	want := sorted(slices.Collect(maps.Values(m[k])))
	if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(sorted(got), want) {
		t.Fatalf("the table has %+v, want %+v", got, want)
	}
}

func TestTableHoldsWhatWasPut(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	table, m := New(0, decode), model{}
	keys := make([]Key, 4000)
	for i := range keys {
		keys[i] = table.Key("pdq", binary.BigEndian.AppendUint64(make([]byte, 24), uint64(i)))
	}
	for n := range 60_000 {
		k := keys[rng.IntN(len(keys))]
		if rng.IntN(4) == 0 {
			k = keys[rng.IntN(8)] // listed by many
		}
		l := listing(rng.Uint64N(20), uint64(n), said(byte(rng.IntN(30)), byte(n>>8)))
		switch rng.IntN(5) {
		case 0:
			table.Remove(k, &l.Entry)
			delete(m[k], l.Entry)
		case 1:
			if rng.IntN(20) == 0 {
				table.Clear(k)
				delete(m, k)
			}
		default:
			if err := table.Put(k, l); err != nil {
				t.Fatal(err)
			}
			m.put(k, l)
		}
		m.check(t, table, k)
	}
	total := 0
	for _, k := range keys {
		m.check(t, table, k)
		total += len(m[k])
		table.Clear(k)
	}
	if table.size.Load() <= firstHeads {
		t.Fatal("the table never grew")
	}
	if total < 2*firstHeads || table.Len() != 0 || uint64(len(table.free)) != table.taken || len(table.said.numbers) != 0 {
		t.Fatalf("after all %d were removed: %d listings, %d of %d rows free, %d said", total, table.Len(), len(table.free), table.taken, len(table.said.numbers))
	}
}

// A key that too many entries list is not answered from here, until all are gone.
func TestCrowdedKey(t *testing.T) {
	for _, load := range []bool{false, true} {
		table := New(0, decode)
		other, crowded := table.Key("sha256", make([]byte, 32)), table.Key("url", []byte("one"))
		l := table.Loader()
		put := func(k Key, e uint64) {
			t.Helper()
			do := table.Put
			if load {
				do = l.Add
			}
			if err := do(k, listing(e, e, said(1, 0))); err != nil {
				t.Fatal(err)
			}
		}
		put(other, 5)
		for i := range uint64(MaxListed) {
			put(crowded, i)
		}
		if !load {
			if list, known := table.Of(crowded, nil); !known || len(list) != MaxListed {
				t.Fatalf("%d of %d entries, known %v", len(list), MaxListed, known)
			}
		}
		put(crowded, MaxListed)
		put(crowded, MaxListed+1)
		if load {
			if err := l.Finish(); err != nil {
				t.Fatal(err)
			}
		}
		first := listing(0, 0, nil).Entry
		table.Remove(crowded, &first)
		if list, known := table.Of(crowded, nil); known || list != nil || table.Len() != 2 {
			t.Fatalf("a crowded key is answered with %d entries; %d listings", len(list), table.Len())
		}
		if list, known := table.Of(other, nil); !known || len(list) != 1 {
			t.Fatal("the key beside it is lost")
		}
		table.Clear(crowded)
		if list, known := table.Of(crowded, nil); !known || len(list) != 0 {
			t.Fatal("the key is still crowded")
		}
	}
}

func TestLoadersFillTheTable(t *testing.T) {
	for _, hint := range []int{0, 20_000} { // of 20,000
		table, m := New(hint, decode), model{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for w := range uint64(4) {
			wg.Go(func() {
				l := table.Loader()
				for i := range uint64(5000) {
					k := table.Key("pdq", binary.BigEndian.AppendUint64(make([]byte, 24), w<<32|i/3))
					one := listing(i, i, said(byte(i/700), byte(w)))
					if err := l.Add(k, one); err != nil {
						t.Error(err)
					}
					mu.Lock()
					m.put(k, one)
					mu.Unlock()
				}
				if err := l.Finish(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if table.Len() != 20_000 {
			t.Fatalf("%d listings", table.Len())
		}
		for k := range m {
			m.check(t, table, k)
		}
		for k := range m { // and what is said is counted rightly
			table.Clear(k)
		}
		if len(table.said.numbers) != 0 {
			t.Fatalf("%d things are still said by nobody", len(table.said.numbers))
		}
	}
}

// Readers see each key as it was at one moment, while rows come, go and are used
// again and heads split. A pair of entries on a key always says the same.
func TestReadersWhileListingsChange(t *testing.T) {
	table := New(0, decode)
	keys := make([]Key, 64)
	for i := range keys {
		keys[i] = table.Key("pdq", binary.BigEndian.AppendUint64(make([]byte, 24), uint64(i)))
		if err := table.Put(keys[i], listing(uint64(i), 0, said(0, 0))); err != nil {
			t.Fatal(err)
		}
	}
	var stop atomic.Bool
	var seen atomic.Int64
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			var list []spec.LiveMeta
			for i := w; !stop.Load() || seen.Load() == 0; i++ {
				n := i % len(keys)
				var known bool
				if list, known = table.Of(keys[n], list[:0]); !known {
					continue
				}
				if len(list) != 1 || list[0].Entry != listing(uint64(n), 0, nil).Entry {
					t.Errorf("key %d is listed by %+v", n, list)
					return
				}
				m := list[0]
				if byte(m.Since) != byte(m.State) || m.Labels[0] != string(rune('a'+m.State)) {
					t.Errorf("half of one listing with half of another: %+v", m)
					return
				}
				seen.Add(1)
			}
		})
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for n := range 10_000 {
		i := rng.IntN(len(keys))
		state := byte(rng.IntN(20))
		if err := table.Put(keys[i], listing(uint64(i), uint64(state), said(state, 0))); err != nil {
			t.Fatal(err)
		}
		come := table.Key("vpdq", binary.BigEndian.AppendUint64(make([]byte, 24), uint64(n%3000)))
		l := listing(uint64(n), 7, said(byte(n%50), 1))
		if err := table.Put(come, l); err != nil {
			t.Fatal(err)
		}
		if n%3 != 0 {
			table.Remove(come, &l.Entry)
		}
	}
	stop.Store(true)
	wg.Wait()
}

func TestKeysTellTypesApart(t *testing.T) {
	table := New(0, decode)
	value := make([]byte, 32)
	long := bytes.Repeat([]byte{1}, 40)
	hash := spec.Signal{Type: "url", Value: long}.Key()
	if table.Key("pdq", value) == table.Key("vpdq", value) || table.Key("pdq", value) == table.Key("sha256", value) {
		t.Fatal("two types have one key")
	}
	if table.Key("url", long) != table.KeyOf("url", long, &hash) {
		t.Fatal("a key that is known is another")
	}
	if table.Key("url", long) == New(0, decode).Key("url", long) {
		t.Fatal("another table has the same secret")
	}
}
