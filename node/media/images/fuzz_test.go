// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bufio"
	"bytes"
	"context"
	"testing"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/node/media/internal/corpus"
	"github.com/tocsin-db/tocsin/spec"
)

func addSeeds(f *testing.F) {
	for _, s := range corpus.Seeds() {
		f.Add(s.Data)
	}
	for _, s := range corpus.Bombs() {
		if len(s.Data) < 4096 {
			f.Add(s.Data)
		}
	}
}

// FuzzExtract runs every decoder behind the limits of a small image.
func FuzzExtract(f *testing.F) {
	addSeeds(f)
	lim := extract.Limits{MaxPixels: 1 << 16, MaxSide: 4096, MaxFrames: 8, DecodeBytes: 1 << 20, TotalPixels: 1 << 17}
	f.Fuzz(func(t *testing.T, raw []byte) {
		format, ok := Extractor{}.Claim(raw, "")
		if !ok {
			return
		}
		r, err := Extractor{}.Extract(context.Background(), source(t, raw, format), lim)
		if err != nil && spec.CodeOf(err) == "" {
			t.Fatalf("an error without a code: %v", err)
		}
		if (err == nil) != (len(r.Signals) > 0) || len(r.Signals) != len(r.Dihedral) || len(r.Signals) > lim.MaxFrames {
			t.Fatalf("%d signals, %d dihedral, %v", len(r.Signals), len(r.Dihedral), err)
		}
	})
}

// FuzzGIFWalker checks that frames lie within the file, one behind the other.
func FuzzGIFWalker(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		g, err := newGIFWalker(bytes.NewReader(raw))
		if err != nil {
			return
		}
		for at := int64(len(g.header)); ; {
			fr, err := g.next()
			if err != nil {
				return
			}
			if fr.from < at || fr.to <= fr.from || fr.to > int64(len(raw)) || raw[fr.from] != 0x2c || raw[fr.to-1] != 0 {
				t.Fatalf("frame at %d to %d of %d, after %d", fr.from, fr.to, len(raw), at)
			}
			at = fr.to
		}
	})
}

// FuzzJPEGShape checks that the walk over the markers ends and keeps its bounds.
func FuzzJPEGShape(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := readShape(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatal(err)
		}
		if s.scans > maxScans+1 || len(s.parts) > 255 {
			t.Fatalf("%+v", s)
		}
		if s.samples(1000) < 0 {
			t.Fatal("negative")
		}
	})
}
