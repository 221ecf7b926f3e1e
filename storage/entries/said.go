// SPDX-License-Identifier: Apache-2.0

package entries

import "sync/atomic"

// dictionary numbers what entries say: millions say the same. A number is used again
// once no row has it; number 0 is of a crowded key.
type dictionary struct {
	all     atomic.Pointer[[]atomic.Pointer[Said]]
	numbers map[string]uint32
	names   []string
	uses    []uint64
	free    []uint32
}

func (d *dictionary) init() {
	first := make([]atomic.Pointer[Said], 16)
	d.all.Store(&first)
	d.numbers, d.names, d.uses = map[string]uint32{}, []string{""}, []uint64{1}
}

// at returns nil for a number that nothing has.
func (d *dictionary) at(n uint32) *Said {
	all := *d.all.Load()
	if uint64(n) >= uint64(len(all)) {
		return nil
	}
	return all[n].Load()
}

// take returns the number of what is said and counts so many uses of it.
func (d *dictionary) take(said []byte, uses uint64, decode func([]byte) (Said, error)) (uint32, error) {
	if n, ok := d.numbers[string(said)]; ok {
		d.uses[n] += uses
		return n, nil
	}
	s, err := decode(said)
	if err != nil {
		return 0, err
	}
	n := d.number()
	d.names[n], d.uses[n] = string(said), uses
	d.numbers[d.names[n]] = n
	(*d.all.Load())[n].Store(&s)
	return n, nil
}

func (d *dictionary) number() (n uint32) {
	if last := len(d.free) - 1; last >= 0 {
		n, d.free = d.free[last], d.free[:last]
		return n
	}
	n = uint32(len(d.uses))
	d.uses, d.names = append(d.uses, 0), append(d.names, "")
	if all := *d.all.Load(); int(n) == len(all) {
		more := make([]atomic.Pointer[Said], 2*len(all))
		for i := range all {
			more[i].Store(all[i].Load())
		}
		d.all.Store(&more)
	}
	return n
}

// drop takes back one use. Rows that had the number have another, or none, already.
func (d *dictionary) drop(n uint32) {
	if n == 0 {
		return
	}
	if d.uses[n]--; d.uses[n] == 0 {
		delete(d.numbers, d.names[n])
		d.names[n] = ""
		(*d.all.Load())[n].Store(nil)
		d.free = append(d.free, n)
	}
}
