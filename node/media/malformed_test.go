// SPDX-License-Identifier: Apache-2.0

package media_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/node/media/internal/corpus"
	"github.com/tocsin-db/tocsin/spec"
)

// wantAnswer checks that a file of the corpus got its exact hashes, and either
// a perceptual one or an error that says why not.
func wantAnswer(t *testing.T, h *media.Hasher, f corpus.File) media.Record {
	t.Helper()
	r, err := h.Hash(context.Background(), bytes.NewReader(f.Data), f.Name)
	if err != nil {
		t.Errorf("%s: %v", f.Name, err)
		return r
	}
	wantExact(t, r, f.Data)
	_, hashed := signal(r, "pdq")
	if hashed == (r.Err != nil) {
		t.Errorf("%s: hashed %v, error %v", f.Name, hashed, r.Err)
	}
	if r.Err == nil {
		return r
	}
	switch r.Err.Code {
	case spec.CodeMalformed, spec.CodeTooLarge, spec.CodeUnsupported:
	default:
		t.Errorf("%s: %s (%v)", f.Name, r.Err.Code, r.Err)
	}
	if len(r.Unsupported) == 0 || r.Unsupported[0].Code != r.Err.Code {
		t.Errorf("%s: unsupported %v, error %v", f.Name, r.Unsupported, r.Err)
	}
	return r
}

// maxResident is the most memory that a child may take for one file.
const maxResident = 256 << 20

// Every file of the corpus must be answered within two seconds of a processor,
// which is the hasher's own limit here.
func TestMalformedFiles(t *testing.T) {
	limit := 2 * time.Second
	if raceDetector {
		limit *= 30
	}
	for _, inProcess := range []bool{false, true} {
		t.Run(fmt.Sprintf("in process %v", inProcess), func(t *testing.T) {
			h := newHasher(t, media.Config{CPU: limit, InProcess: inProcess})
			count, answered := 0, map[bool]int{}
			for f := range corpus.All() {
				r := wantAnswer(t, h, f)
				count++
				answered[r.Err == nil]++
			}
			if count < 2000 || answered[true] < 100 || answered[false] < 1000 {
				t.Errorf("%d files, %v answered with a hash", count, answered)
			}
			h.Close()
			stats := h.Stats()
			t.Logf("%d files, %v with a hash, %+v", count, answered, stats)
			if stats.Failed != 0 {
				t.Errorf("%d children died", stats.Failed)
			}
			if stats.Peak > maxResident && !raceDetector {
				t.Errorf("a child used %d MiB", stats.Peak>>20)
			}
		})
	}
}

func TestTheCorpusIsTheSameEveryTime(t *testing.T) {
	var first []corpus.File
	for f := range corpus.All() {
		first = append(first, f)
	}
	i := 0
	for f := range corpus.All() {
		if f.Name != first[i].Name || !bytes.Equal(f.Data, first[i].Data) {
			t.Fatalf("file %d changed: %s, %s", i, first[i].Name, f.Name)
		}
		i++
	}
}

func TestSeedsAreHashed(t *testing.T) {
	modes(t, func(t *testing.T, h *media.Hasher) {
		for _, f := range corpus.Seeds() {
			r := wantAnswer(t, h, f)
			unreadable := f.Name == "jpeg.tiff" || f.Name == "animated.webp"
			if unreadable != (r.Err != nil) || unreadable && r.Err.Code != spec.CodeUnsupported {
				t.Errorf("%s: %v", f.Name, r.Err)
			}
		}
	})
}

// bombs says what becomes of each: the code of its error, or of what is
// missing beside its hash.
var bombs = map[string]spec.Code{
	"png of 60,000 squared in 58 bytes":     spec.CodeTooLarge,
	"png of 2^31-1 squared":                 spec.CodeTooLarge,
	"png of 16,384 squared":                 spec.CodeTooLarge,
	"png of no pixels":                      spec.CodeMalformed,
	"png of 7,000 squared in 16 bits":       spec.CodeTooLarge,
	"gif of 65,535 squared":                 spec.CodeTooLarge,
	"gif frame beyond its screen":           spec.CodeTooLarge,
	"jpeg of 65,535 squared":                spec.CodeTooLarge,
	"progressive jpeg of 7,000 squared":     spec.CodeTooLarge,
	"progressive jpeg of 30,000 scans":      spec.CodeTooLarge,
	"webp of 16,384 squared":                spec.CodeTooLarge,
	"bmp of 2^31-1 squared":                 spec.CodeUnsupported,
	"bmp upside down by 2^31":               spec.CodeTooLarge,
	"tiff whose directory points at itself": spec.CodeMalformed,
	"tiff of 2^32-1 squared":                spec.CodeMalformed,
	"zeros":                                 spec.CodeUnsupported,
}

func TestBombsAreRefusedByTheirCode(t *testing.T) {
	wantCodes(t, newHasher(t, media.Config{}), corpus.Bombs(), bombs)
}

// What is just within the limits stays within the memory of a child. The race
// detector multiplies both, so that the plain build alone says anything here.
func TestHeavyFilesKeepWithinTheMemory(t *testing.T) {
	if raceDetector {
		t.Skip("memory and time mean nothing under the race detector; the plain build runs this")
	}
	h := newHasher(t, media.Config{Children: 1})
	wantCodes(t, h, corpus.Heavy(), map[string]spec.Code{
		"png of 7,000 squared, all there": "",
		"png whose data go on for ever":   spec.CodeMalformed,
		"gif of 200,000 frames":           spec.CodeTooLarge,
		"gif of large frames":             spec.CodeTooLarge,
	})
	h.Close()
	if s := h.Stats(); s.Failed != 0 || s.Peak > maxResident || s.Peak < 100<<20 {
		t.Errorf("%+v", s)
	}
}

func wantCodes(t *testing.T, h *media.Hasher, files []corpus.File, want map[string]spec.Code) {
	t.Helper()
	for _, f := range files {
		r := wantAnswer(t, h, f)
		var code spec.Code
		if len(r.Unsupported) != 0 {
			code = r.Unsupported[0].Code
		}
		if w, ok := want[f.Name]; !ok || code != w {
			t.Errorf("%s (%d bytes): %q, want %q: %v", f.Name, len(f.Data), code, w, r.Err)
		}
	}
	if len(files) != len(want) {
		t.Errorf("%d files of %d", len(files), len(want))
	}
}
