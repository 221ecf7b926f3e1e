// SPDX-License-Identifier: Apache-2.0

package pdq_test

import (
	"bytes"
	"encoding/csv"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	_ "golang.org/x/image/webp"

	"github.com/tocsin-db/tocsin/spec/pdq"
)

type vector struct {
	file    string
	hash    pdq.Hash
	quality int
}

func vectors(t *testing.T) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/expected.csv")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	for _, l := range lines[1:] {
		h, err := pdq.Parse(l[1])
		if err != nil {
			t.Fatal(err)
		}
		q, err := strconv.Atoi(l[2])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, vector{l[0], h, q})
	}
	if len(all) != 20 {
		t.Fatalf("%d vectors, want 20", len(all))
	}
	return all
}

func load(t testing.TB, file string) image.Image {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return img
}

func TestLosslessVectorsAreIdentical(t *testing.T) {
	for _, v := range vectors(t) {
		if !strings.HasPrefix(v.file, "exact/") {
			continue
		}
		h, q, err := pdq.FromImage(load(t, v.file))
		if err != nil || h != v.hash || q != v.quality {
			t.Errorf("%s: %v bits away, quality %d want %d, %v", v.file, pdq.Distance(h, v.hash), q, v.quality, err)
		}
	}
}

func TestDecodedVectorsAreNear(t *testing.T) {
	for _, v := range vectors(t) {
		if !strings.HasPrefix(v.file, "decoded/") {
			continue
		}
		h, q, err := pdq.FromImage(load(t, v.file))
		if err != nil {
			t.Fatal(err)
		}
		d := pdq.Distance(h, v.hash)
		t.Logf("%s: %d bits", v.file, d)
		if d > 4 || q != v.quality {
			t.Errorf("%s: %d bits away, quality %d want %d", v.file, d, q, v.quality)
		}
	}
}
