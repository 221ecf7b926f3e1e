// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// A mark survives a restart, a write that a crash cut short, and every flipped bit:
// what is read is one that was written, the newest unless that was damaged.
func TestAMarkNeverGoesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mark", "accepted")
	k, err := OpenMarkFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(5) {
		if err := k.Raise(Mark{Note: []byte{byte(i)}, Size: 10 * (i + 1), Root: spec.Hash{byte(i + 1)}, Shown: 5 * (i + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	for name, m := range map[string]Mark{
		"a smaller size":    {Size: 49, Root: spec.Hash{5}, Shown: 99},
		"another root":      {Size: 50, Root: spec.Hash{6}, Shown: 99},
		"less that is seen": {Size: 60, Root: spec.Hash{5}, Shown: 24},
	} {
		if err := k.Raise(m); spec.CodeOf(err) != spec.CodeForked {
			t.Errorf("%s: %v", name, err)
		}
	}
	fork := &Fork{Other: []byte("a"), Final: []byte("b"), Root: spec.Hash{1}, Proof: []spec.Hash{{2}}}
	m := k.Mark()
	m.Fork = fork
	if err := k.Raise(m); err != nil {
		t.Fatal(err)
	}
	if err := k.Raise(Mark{Size: 60, Shown: 60}); err == nil {
		t.Error("a fork is forgotten")
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reopen := func(b []byte) (Mark, error) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := OpenMarkFile(path)
		if err != nil {
			return Mark{}, err
		}
		defer k.Close()
		return k.Mark(), nil
	}
	if m, err := reopen(whole); err != nil || m.Size != 50 || m.Shown != 25 || m.Fork == nil || len(m.Fork.Proof) != 1 {
		t.Fatalf("after a restart: %+v, %v", m, err)
	}
	for i := 0; i < len(whole); i += 1 + i/64 {
		b := append([]byte(nil), whole...)
		b[i] ^= 4
		m, err := reopen(b)
		if err != nil || m.Size != 50 || m.Root != (spec.Hash{5}) {
			t.Fatalf("bit flipped in byte %d: %+v, %v", i, m, err)
		}
	}
	if _, err := reopen(make([]byte, len(whole))); spec.CodeOf(err) != spec.CodeCorrupt {
		t.Fatalf("nothing is left: %v", err)
	}
	if _, err := reopen(nil); spec.CodeOf(err) != spec.CodeCorrupt {
		t.Fatalf("an empty file: %v", err)
	}
}
