// SPDX-License-Identifier: Apache-2.0

// Package media turns a file into signals: exact hashes of its bytes and the
// perceptual hashes of what it shows. A file is read once for all of them.
//
// Exact hashes are always delivered. What a file could have had and could not
// be decoded is reported as unsupported with a code, never left out silently.
// Decoders of hostile bytes run in a re-executed child process with little
// memory, no files and no network (package sandbox); a crash there costs one
// answer. Extractors for further media plug in through package extract.
//
// A program that hashes media calls RunChild first thing in main.
package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/node/media/sandbox"
	"github.com/tocsin-db/tocsin/node/media/video"
	"github.com/tocsin-db/tocsin/spec"
)

// Config bounds and equips a Hasher. Zero fields take the defaults.
type Config struct {
	MaxBytes    int64         // largest file; 4 GiB
	MaxPixels   int           // of one image; 50 million
	MaxSide     int           // of one image; 16,384
	MaxFrames   int           // hashed of an animation; 1,000
	DecodeBytes int64         // memory for decoded samples; 224 MiB
	FrameEvery  time.Duration // between hashed frames of a video, or video.AllFrames; one second
	CPU         time.Duration // processor time of one decoding in a child; 10 s
	Timeout     time.Duration // wall time of one decoding; 30 s
	Children    int           // decoding processes at a time; one per processor
	InProcess   bool          // decode in this process, without the child's limits
	TempDir     string        // for files that do not fit in memory; os.TempDir
	Log         *slog.Logger  // never sees names, bytes or hashes; discards
}

func (c Config) withDefaults() Config {
	set(&c.MaxBytes, 4<<30)
	set(&c.MaxPixels, 50_000_000)
	set(&c.MaxSide, 16384)
	set(&c.MaxFrames, 1000)
	set(&c.DecodeBytes, 224<<20)
	set(&c.CPU, 10*time.Second)
	set(&c.Timeout, 30*time.Second)
	set(&c.TempDir, os.TempDir())
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) limits() extract.Limits {
	return extract.Limits{
		MaxPixels: c.MaxPixels, MaxSide: c.MaxSide, MaxFrames: c.MaxFrames,
		DecodeBytes: c.DecodeBytes, TotalPixels: 2 * c.MaxPixels, MaxTextSize: c.DecodeBytes / 8,
	}
}

// A Hasher hashes files. Its methods may be called by several goroutines.
type Hasher struct {
	conf Config
	pool *sandbox.Pool // nil: decode in this process
	// video hashes frames at another rate than the default one, or is nil.
	video *video.Extractor
}

// New returns a Hasher. Where child processes cannot be confined it says so in
// the log and decodes in this process.
func New(c Config) *Hasher {
	h := &Hasher{conf: c.withDefaults()}
	if c.FrameEvery != 0 {
		h.video = video.New(video.Config{Every: c.FrameEvery})
	}
	if !c.InProcess && sandbox.Available() {
		h.pool = sandbox.NewPool(sandbox.Config{Children: h.conf.Children, Memory: h.conf.DecodeBytes, CPU: h.conf.CPU, Wall: h.conf.Timeout, Log: h.conf.Log})
	} else if !c.InProcess {
		h.conf.Log.Warn("media is decoded in this process: child processes cannot be confined on this platform")
	}
	return h
}

// Close ends the child processes, after the files that they are at. Later calls
// of Hash, and those that wait for a child, have DECODER_FAILED in their Record.
func (h *Hasher) Close() error {
	if h.pool != nil {
		h.pool.Close()
	}
	return nil
}

// Stats says what the decoding children have cost; zero without children.
func (h *Hasher) Stats() sandbox.Stats {
	if h.pool == nil {
		return sandbox.Stats{}
	}
	return h.pool.Stats()
}

// RunChild serves as a decoding child when the program was started as one, and
// then never returns. Call it before anything else in main and in TestMain.
func RunChild() { sandbox.RunChild(serve) }

// Hash reads r to its end and returns what the bytes are. The name is the
// client's and only breaks ties between formats.
//
// The error is a failure to read: TOO_LARGE for a file above MaxBytes, the
// reader's own error, or that of ctx. A failure to decode is in Record.Err.
func (h *Hasher) Hash(ctx context.Context, r io.Reader, name string) (Record, error) {
	head := make([]byte, extract.HeadSize)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return Record{}, fmt.Errorf("reading the file: %w", err)
	}
	head = head[:n]
	ex, format := claim(head, name)
	in := &intake{ctx: ctx, max: h.conf.MaxBytes, sums: newSums()}
	if ex != nil {
		in.spool = &spool{dir: h.conf.TempDir}
		defer in.spool.close()
	}
	if err := in.readAll(head, r); err != nil {
		return Record{}, err
	}
	rec := Record{Kind: extract.Other, Size: in.size, Signals: in.sums.signals()}
	if ex == nil {
		rec.unclaimed(head)
		return rec, nil
	}
	rec.Kind, rec.Format = ex.Kind(), format
	if in.spool.err != nil {
		h.conf.Log.Error("a file could not be kept for its decoder", "cause", in.spool.err)
		rec.fail(ex.Types(), spec.Errorf(spec.CodeUnavailable, "the file could not be kept for its decoder"))
		return rec, nil
	}
	if rec.Kind == extract.Video {
		// The MD5 of the bytes again, under the name that lists of videos use.
		rec.Signals = append(rec.Signals, Signal{Type: "video_md5", Value: rec.Signals[1].Value})
		if h.video != nil {
			ex = h.video
		}
	}
	src := extract.Source{File: in.spool.file, Size: in.size, Format: format, Name: name}
	res, err := h.run(ctx, ex, src)
	if ctx.Err() != nil {
		return rec, ctx.Err()
	}
	rec.add(ex, res, err)
	return rec, nil
}

// run extracts in a child process where the extractor needs one.
func (h *Hasher) run(ctx context.Context, ex extract.Extractor, src extract.Source) (extract.Result, error) {
	if ex.Trusted() {
		return ex.Extract(ctx, src, h.conf.limits())
	}
	if h.pool != nil {
		return h.inChild(ctx, ex, src)
	}
	ctx, cancel := context.WithTimeout(ctx, h.conf.Timeout)
	defer cancel()
	return recovered(ctx, ex, src, h.conf.limits())
}

// recovered extracts in this process and turns a panic into an error.
func recovered(ctx context.Context, ex extract.Extractor, src extract.Source, lim extract.Limits) (res extract.Result, err error) {
	defer func() {
		if recover() != nil {
			res, err = extract.Result{}, spec.Errorf(extract.CodeDecoder, "the decoder of %s failed", ex.Kind())
		}
	}()
	res, err = ex.Extract(ctx, src, lim)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return extract.Result{}, spec.Errorf(extract.CodeTimeout, "decoding took too long")
	}
	return res, err
}
