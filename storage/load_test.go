// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Who opens a store is told how far it is, from little to all.
func TestAStartSaysHowFarItIs(t *testing.T) {
	fs := vfs.NewMem()
	s, _ := stocked(t, "store", fs)
	closeStore(t, s)
	o := options(t, fs)
	var mu sync.Mutex
	var said []uint64
	o.Progress = func(done, of uint64) {
		mu.Lock()
		defer mu.Unlock()
		if of != 200 || done > of {
			t.Errorf("%d of %d live signals, where 200 are stored", done, of)
		}
		said = append(said, done)
	}
	s, err := Open("store", o)
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	little, half := false, false
	for _, done := range said {
		little, half = little || done > 0 && done < 50, half || done > 80 && done < 120
	}
	if !little || !half || said[len(said)-1] != 200 {
		t.Errorf("it said %v", said)
	}
}
