// SPDX-License-Identifier: Apache-2.0

// Package images computes the PDQ hashes of still images and of the frames of
// animated GIFs. It reads JPEG, PNG, GIF, WebP, BMP and TIFF, known by their
// first bytes and never by their name, and refuses by its header whatever
// would cost too much, before anything is decoded.
package images

import (
	"context"
	"io"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/pdq"
)

// Type is the signal type of this package.
const Type = "pdq"

// Extractor implements extract.Extractor.
type Extractor struct{}

// Kind is extract.Image.
func (Extractor) Kind() string { return extract.Image }

// Types is pdq alone.
func (Extractor) Types() []string { return []string{Type} }

// Trusted is false: the decoders run on hostile bytes.
func (Extractor) Trusted() bool { return false }

// Claim knows the six formats by their first bytes.
func (Extractor) Claim(head []byte, _ string) (string, bool) {
	for name, f := range formats {
		if f.claim(head) {
			return name, true
		}
	}
	return "", false
}

// Extract hashes the image. Its failures are TOO_LARGE for what exceeds the
// limits, UNSUPPORTED_MEDIUM for a variant that no decoder here reads and
// MALFORMED for everything else.
func (Extractor) Extract(ctx context.Context, src extract.Source, lim extract.Limits) (extract.Result, error) {
	f, ok := formats[src.Format]
	if !ok {
		return extract.Result{}, spec.Errorf(spec.CodeUnsupported, "no decoder reads this image")
	}
	if err := f.check(ctx, src, lim); err != nil {
		return extract.Result{}, err
	}
	if src.Format == "gif" {
		return animation(ctx, src, lim)
	}
	img, err := f.decode(reader(ctx, src))
	if err != nil {
		return extract.Result{}, decodeError(ctx, err)
	}
	t, err := pdq.TransformImage(img)
	if err != nil {
		return extract.Result{}, err
	}
	return result(t), nil
}

// result is that of a single image.
func result(t pdq.Transform) extract.Result {
	var r extract.Result
	add(&r, t)
	return r
}

func add(r *extract.Result, t pdq.Transform) {
	all := t.Dihedral()
	r.Signals = append(r.Signals, extract.Signal{
		Type: Type, Value: all[pdq.Original].String(), Quality: t.Quality(), HasQuality: true,
	})
	r.Dihedral = append(r.Dihedral, all)
}

// reader reads the whole file until ctx is done: the decoders know no context.
func reader(ctx context.Context, src extract.Source) io.Reader {
	return bounded{ctx, src.Reader()}
}

type bounded struct {
	ctx context.Context
	*io.SectionReader
}

func (b bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.SectionReader.Read(p)
}

func (b bounded) ReadAt(p []byte, off int64) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.SectionReader.ReadAt(p, off)
}
