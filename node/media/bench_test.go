// SPDX-License-Identifier: Apache-2.0

package media_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/tocsin-db/tocsin/node/media"
)

// BenchmarkHash shows what a child costs over decoding in this process.
func BenchmarkHash(b *testing.B) {
	for _, file := range []string{"exact/wee-34x42.png", "exact/exif-rotn-1-512x512.png", "decoded/aaa-orig.jpg"} {
		raw := readFile(b, vectorDir+"/"+file)
		for _, inProcess := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/in process %v", file, inProcess), func(b *testing.B) {
				h := newHasher(b, media.Config{InProcess: inProcess})
				b.SetBytes(int64(len(raw)))
				for b.Loop() {
					hashed(b, h, raw)
				}
			})
		}
	}
}

// BenchmarkStart shows what a child costs that is not warm.
func BenchmarkStart(b *testing.B) {
	raw := readFile(b, vectorDir+"/exact/wee-34x42.png")
	for b.Loop() {
		h := media.New(media.Config{Children: 1})
		hashed(b, h, raw)
		h.Close()
	}
}

// BenchmarkExact shows what the exact hashes cost.
func BenchmarkExact(b *testing.B) {
	raw := make([]byte, 64<<20)
	h := newHasher(b, media.Config{})
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := h.Hash(context.Background(), bytes.NewReader(raw), ""); err != nil {
			b.Fatal(err)
		}
	}
}

func hashed(b *testing.B, h *media.Hasher, raw []byte) {
	b.Helper()
	r, err := h.Hash(context.Background(), bytes.NewReader(raw), "")
	if err != nil || r.Err != nil {
		b.Fatal(err, r.Err)
	}
}
