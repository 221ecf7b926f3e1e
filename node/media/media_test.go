// SPDX-License-Identifier: Apache-2.0

package media_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/pdq"
)

const vectorDir = "../../spec/pdq/testdata"

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// newHasher leaves time to machines that are busy with other things.
func newHasher(t testing.TB, c media.Config) *media.Hasher {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Minute
	}
	if c.CPU == 0 {
		c.CPU = 2 * time.Minute
	}
	h := media.New(c)
	t.Cleanup(func() { h.Close() })
	return h
}

// modes runs a test with and without child processes.
func modes(t *testing.T, test func(t *testing.T, h *media.Hasher)) {
	for name, inProcess := range map[string]bool{"child": false, "in process": true} {
		t.Run(name, func(t *testing.T) { test(t, newHasher(t, media.Config{InProcess: inProcess})) })
	}
}

func signal(r media.Record, typ string) (media.Signal, bool) {
	for _, s := range r.Signals {
		if s.Type == typ {
			return s, true
		}
	}
	return media.Signal{}, false
}

// wantExact checks the exact hashes against the standard library's.
func wantExact(t *testing.T, r media.Record, raw []byte) {
	t.Helper()
	want := map[string]string{
		"sha256": fmt.Sprintf("%x", sha256.Sum256(raw)),
		"md5":    fmt.Sprintf("%x", md5.Sum(raw)),
		"sha1":   fmt.Sprintf("%x", sha1.Sum(raw)),
	}
	for typ, value := range want {
		if s, ok := signal(r, typ); !ok || s.Value != value || s.HasQuality {
			t.Errorf("%s is %+v", typ, s)
		}
	}
	if r.Size != int64(len(raw)) {
		t.Errorf("size %d of %d", r.Size, len(raw))
	}
}

func TestVectorsThroughTheHasher(t *testing.T) {
	lines, err := csv.NewReader(bytes.NewReader(readFile(t, vectorDir+"/expected.csv"))).ReadAll()
	if err != nil || len(lines) != 21 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	modes(t, func(t *testing.T, h *media.Hasher) {
		for _, l := range lines[1:] {
			raw := readFile(t, vectorDir+"/"+l[0])
			r, err := h.Hash(context.Background(), bytes.NewReader(raw), "misleading.pdf")
			if err != nil || r.Err != nil || r.Kind != "image" || len(r.Unsupported) != 0 {
				t.Fatalf("%s: %v, %+v", l[0], err, r)
			}
			wantExact(t, r, raw)
			s, _ := signal(r, "pdq")
			got, err := pdq.Parse(s.Value)
			if err != nil {
				t.Fatal(err)
			}
			want, err := pdq.Parse(l[1])
			if err != nil {
				t.Fatal(err)
			}
			limit := 0
			if strings.HasPrefix(l[0], "decoded/") {
				limit = 4
			}
			if d := pdq.Distance(got, want); d > limit || strconv.Itoa(s.Quality) != l[2] || !s.HasQuality {
				t.Errorf("%s: %d bits away, quality %d", l[0], d, s.Quality)
			}
			if len(r.Dihedral) != 1 || r.Dihedral[0][pdq.Original] != got {
				t.Errorf("%s: the copies do not start with the signal", l[0])
			}
		}
	})
}

func TestOtherFilesKeepTheirExactHashes(t *testing.T) {
	for name, c := range map[string]struct {
		raw          string
		kind, format string
		code         spec.Code
		missing      string
	}{
		"empty":   {"", "other", "", spec.CodeUnsupported, "pdq"},
		"unknown": {"\x01\x02 no medium at all", "other", "", spec.CodeUnsupported, "pdq"},
		"heic":    {"\x00\x00\x00\x18ftypheic....", "image", "heic", spec.CodeUnsupported, "pdq"},
		"pdf":     {"%PDF-1.7\n", "pdf", "pdf", spec.CodeMalformed, "text_tlsh text_tlsh_norm"},
	} {
		r, err := newHasher(t, media.Config{}).Hash(context.Background(), strings.NewReader(c.raw), "a.png")
		if err != nil || r.Kind != c.kind || r.Format != c.format {
			t.Errorf("%s: %v, %+v", name, err, r)
		}
		wantExact(t, r, []byte(c.raw))
		var missing []string
		for _, u := range r.Unsupported {
			missing = append(missing, u.Type)
			if u.Code != c.code {
				t.Errorf("%s: %v", name, u)
			}
		}
		if strings.Join(missing, " ") != c.missing {
			t.Errorf("%s: unsupported %v", name, r.Unsupported)
		}
	}
}

func TestLongFilesGoToDiskAndAreReadOnce(t *testing.T) {
	dir := t.TempDir()
	h := newHasher(t, media.Config{TempDir: dir})
	raw := append(readFile(t, vectorDir+"/exact/c-500x333.png"), make([]byte, 33<<20)...)
	r, err := h.Hash(context.Background(), bytes.NewReader(raw), "")
	if err != nil {
		t.Fatal(err)
	}
	wantExact(t, r, raw)
	if s, _ := signal(r, "pdq"); s.Value != "e64cc9d91c623842f8d1f1d9a398e78c9f199b3bd83924f2b7e11e0bf861b064" {
		t.Errorf("bytes after the image changed its hash, or lost it: %+v %v", s, r.Err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestAFullDiskCostsThePerceptualHashesOnly(t *testing.T) {
	h := newHasher(t, media.Config{TempDir: filepath.Join(t.TempDir(), "missing")})
	raw := append(readFile(t, vectorDir+"/exact/c-500x333.png"), make([]byte, 33<<20)...)
	r, err := h.Hash(context.Background(), bytes.NewReader(raw), "")
	if err != nil || r.Err == nil || r.Err.Code != spec.CodeUnavailable || len(r.Unsupported) != 1 {
		t.Fatalf("%v %v %v", err, r.Err, r.Unsupported)
	}
	wantExact(t, r, raw)
}

func TestFilesAboveTheCapAreRefused(t *testing.T) {
	h := newHasher(t, media.Config{MaxBytes: 10_000})
	for n, code := range map[int]spec.Code{10_000: "", 10_001: spec.CodeTooLarge} {
		if _, err := h.Hash(context.Background(), bytes.NewReader(make([]byte, n)), ""); spec.CodeOf(err) != code {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestAReaderThatFailsIsAnError(t *testing.T) {
	want := errors.New("line lost")
	if _, err := newHasher(t, media.Config{}).Hash(context.Background(), failing{want}, ""); !errors.Is(err, want) {
		t.Fatal(err)
	}
}

func TestACancelledContextEndsTheCall(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	raw := readFile(t, vectorDir+"/exact/c-500x333.png")
	if _, err := newHasher(t, media.Config{}).Hash(ctx, bytes.NewReader(raw), ""); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestDecodingThatTakesTooLongIsStopped(t *testing.T) {
	raw := readFile(t, vectorDir+"/decoded/aaa-orig.jpg")
	for _, c := range []media.Config{
		{Timeout: time.Nanosecond}, {Timeout: time.Nanosecond, InProcess: true}, {CPU: time.Millisecond},
	} {
		h := newHasher(t, c)
		r, err := h.Hash(context.Background(), bytes.NewReader(raw), "")
		if err != nil || r.Err == nil || r.Err.Code != extract.CodeTimeout {
			t.Fatalf("%v %v", err, r.Err)
		}
		wantExact(t, r, raw)
		if len(r.Unsupported) != 1 || r.Unsupported[0].Code != extract.CodeTimeout {
			t.Errorf("unsupported %v", r.Unsupported)
		}
	}
}

func TestPixelLimitsComeFromTheConfiguration(t *testing.T) {
	raw := readFile(t, vectorDir+"/exact/c-500x333.png")
	for name, c := range map[string]struct {
		conf media.Config
		ok   bool
	}{
		"pixels enough": {media.Config{MaxPixels: 500 * 333}, true},
		"pixels short":  {media.Config{MaxPixels: 500*333 - 1}, false},
		"side enough":   {media.Config{MaxSide: 500}, true},
		"side short":    {media.Config{MaxSide: 499}, false},
		"memory enough": {media.Config{DecodeBytes: 500 * 333 * 4}, true},
		"memory short":  {media.Config{DecodeBytes: 500*333*4 - 1}, false},
	} {
		r, err := newHasher(t, c.conf).Hash(context.Background(), bytes.NewReader(raw), "")
		if err != nil || c.ok != (r.Err == nil) || !c.ok && r.Err.Code != spec.CodeTooLarge {
			t.Errorf("%s: %v %v", name, err, r.Err)
		}
	}
}

func TestAClosedHasherStillGivesExactHashes(t *testing.T) {
	h := media.New(media.Config{})
	h.Close()
	raw := readFile(t, vectorDir+"/exact/c-500x333.png")
	r, err := h.Hash(context.Background(), bytes.NewReader(raw), "")
	if err != nil || r.Err == nil || r.Err.Code != extract.CodeDecoder {
		t.Fatalf("%v %v", err, r.Err)
	}
	wantExact(t, r, raw)
}
