// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"testing"
	"unsafe"
)

func TestAreaIsZeroedAlignedAndWritable(t *testing.T) {
	a, err := Reserve(8 << 20)
	if err != nil {
		t.Fatal(err)
	}
	a.Huge()
	words := View[uint64](a)
	if len(words) != 1<<20 || a.Len() != 8<<20 {
		t.Fatalf("%d words, %d bytes", len(words), a.Len())
	}
	if uintptr(unsafe.Pointer(&words[0]))%64 != 0 {
		t.Fatal("not aligned to a cache line")
	}
	for i := 0; i < len(words); i += 511 {
		if words[i] != 0 {
			t.Fatalf("word %d is not zero", i)
		}
		words[i] = uint64(i)
	}
	if words[511*7] != 511*7 {
		t.Fatal("a write was lost")
	}
	if err := a.Free(); err != nil {
		t.Fatal(err)
	}
	if err := a.Free(); err != nil {
		t.Fatal("a second Free must do nothing:", err)
	}
}
