// SPDX-License-Identifier: Apache-2.0

package nearby

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// The pairs of 100 needles and 1,350 hashes of images within each radius, as
// brute force counts them.
func TestPairsOfKnownImages(t *testing.T) {
	eachKernel(t, func(t *testing.T, kernel string) {
		x := New(WithKernel(kernel))
		for i, h := range readHashes(t, "testdata/haystack.txt") {
			mustAdd(t, x, h, uint64(i))
		}
		for radius, want := range map[int]int{15: 151, 31: 250, 47: 287, 63: 352} {
			pairs := 0
			for _, q := range readHashes(t, "testdata/needles.txt") {
				ms, _ := x.Search(&q, radius, nil)
				pairs += len(ms)
			}
			if pairs != want {
				t.Errorf("radius %d: %d pairs, want %d", radius, pairs, want)
			}
		}
	})
}

func readHashes(t *testing.T, name string) (hs [][32]byte) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil || len(b) != 32 {
			t.Fatalf("%s holds a line that is not a hash: %v", name, err)
		}
		hs = append(hs, [32]byte(b))
	}
	return hs
}
