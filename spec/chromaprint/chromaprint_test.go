// SPDX-License-Identifier: Apache-2.0

package chromaprint

import (
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func print(t *testing.T, name string) Fingerprint {
	t.Helper()
	f, err := Parse(read(t, name+".txt"))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return f
}

func TestBothFormsOfFpcalcAgree(t *testing.T) {
	files, err := filepath.Glob("testdata/*.raw")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".raw")
		raw, err := ParseRaw(read(t, name+".raw"))
		f := print(t, name)
		if err != nil || raw.Algorithm != f.Algorithm || !slices.Equal(raw.Items, f.Items) {
			t.Errorf("%s: the forms differ, %v", name, err)
		}
		if f.String() != read(t, name+".txt") {
			t.Errorf("%s: the compressed form comes back changed", name)
		}
		if err := Check(f.String()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCopiesMatchAndOthersDoNot(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"speech", "speech", true},
		{"speech", "speech-24kbit", true},
		{"speech", "speech-cut", true},
		{"speech", "speech-faster", true},
		{"music", "music-opus", true},
		{"speech", "speech-other", false}, // same voice, some of the same words
		{"speech", "music", false},
		{"speech-other", "music", false},
		{"tone", "tone", false}, // a tone is nobody's
		{"tone", "music", false},
		{"speech", "speech-higher", false}, // by 3 %: beyond what the fingerprint stands
	} {
		a, b := print(t, c.a), print(t, c.b)
		got, back := Align(a, b), Align(b, a)
		t.Logf("%s, %s: %+v, %d‰", c.a, c.b, got, got.Rate())
		if got.Match() != c.want || back.Match() != c.want {
			t.Errorf("%s, %s: match %v, the other way round %v", c.a, c.b, got.Match(), back.Match())
		}
		if got.Rate() != back.Rate() {
			t.Errorf("%s, %s: %d‰, the other way round %d‰", c.a, c.b, got.Rate(), back.Rate())
		}
	}
	// The cut copy lacks 7.35 s at 8.07 items a second.
	if got := Align(print(t, "speech-cut"), print(t, "speech")); got.Offset < 57 || got.Offset > 61 {
		t.Errorf("the cut copy begins at item %d", got.Offset)
	}
}

func random(r *rand.Rand, n int) Fingerprint {
	f := Fingerprint{Algorithm: Algorithm, Items: make([]uint32, n)}
	for i := range f.Items {
		f.Items[i] = r.Uint32()
	}
	return f
}

// slowRate tries every offset and counts bit by bit.
func slowRate(a, b Fingerprint) int {
	best := 1000
	for offset := -len(a.Items); offset <= len(b.Items); offset++ {
		errors, n := 0, 0
		for i, v := range a.Items {
			if j := i + offset; j >= 0 && j < len(b.Items) {
				errors += bits.OnesCount32(v ^ b.Items[j])
				n++
			}
		}
		if n >= MinOverlap {
			best = min(best, (1000*errors+32*n-1)/(32*n))
		}
	}
	return best
}

func TestAlignFindsTheBestOffset(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 60 {
		a := random(r, 60+r.IntN(80))
		b := random(r, 60+r.IntN(80))
		copy(b.Items[r.IntN(len(b.Items)):], a.Items[r.IntN(len(a.Items)):])
		if got, want := Align(a, b).Rate(), slowRate(a, b); got != want {
			t.Fatalf("%d and %d items: %d‰, want %d‰", len(a.Items), len(b.Items), got, want)
		}
	}
}

func TestBoundsOfAMatch(t *testing.T) {
	ok := Alignment{Overlap: 100, Errors: 800, Distinct: MinDistinct}
	for name, c := range map[string]struct {
		a    Alignment
		want bool
	}{
		"at the threshold":   {ok, true},
		"one bit over it":    {Alignment{Overlap: 100, Errors: 801, Distinct: MinDistinct}, false},
		"shortest":           {Alignment{Overlap: MinOverlap, Distinct: MinDistinct}, true},
		"too short":          {Alignment{Overlap: MinOverlap - 1, Distinct: MinDistinct}, false},
		"too much alike":     {Alignment{Overlap: 100, Distinct: MinDistinct - 1}, false},
		"nothing in common":  {Alignment{}, false},
		"of one algorithm":   {Align(Fingerprint{1, make([]uint32, 100)}, Fingerprint{1, make([]uint32, 100)}), false},
		"of two algorithms":  {Align(random(rand.New(rand.NewPCG(2, 2)), 100), Fingerprint{2, random(rand.New(rand.NewPCG(2, 2)), 100).Items}), false},
		"the same algorithm": {Align(random(rand.New(rand.NewPCG(2, 2)), 100), random(rand.New(rand.NewPCG(2, 2)), 100)), true},
	} {
		if got := c.a.Match(); got != c.want {
			t.Errorf("%s: %+v: %v", name, c.a, got)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		f    Fingerprint
		code spec.Code
	}{
		"other algorithm": {Fingerprint{2, []uint32{1}}, spec.CodeSignal},
		"no items":        {Fingerprint{1, nil}, spec.CodeSignal},
		"too many items":  {Fingerprint{1, make([]uint32, MaxItems+1)}, spec.CodeTooLarge},
	} {
		if err := c.f.Check(); spec.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
		if err := Check(c.f.String()); spec.CodeOf(err) != c.code {
			t.Errorf("%s, as text: %v", name, err)
		}
	}
}

func BenchmarkAlign(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 3))
	x, y := random(r, 948), random(r, 948) // two minutes each
	for b.Loop() {
		Align(x, y)
	}
}
