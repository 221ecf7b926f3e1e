// SPDX-License-Identifier: Apache-2.0

// Package video computes the vPDQ signal of a video: an installed ffmpeg,
// confined by package program, decodes it, and the frames are hashed here as they
// come. Without ffmpeg a video has exact hashes only, which Available says.
package video

import (
	"context"
	"runtime"
	"time"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/node/media/video/program"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/vpdq"
)

// Type is the signal type that the extractor computes. Its value is the
// canonical text of spec/vpdq.
const Type = "vpdq"

// AllFrames, as Config.Every, hashes every frame.
const AllFrames = time.Nanosecond

// Config bounds an Extractor. Zero fields take the defaults.
type Config struct {
	Every     time.Duration // between hashed frames; one second, as others have it
	MaxFrames int           // hashed of one video; 14,400: four hours
	Timeout   time.Duration // of decoding, on the clock and on the processors; 5 minutes
	Memory    int64         // of the decoder; 1 GiB
	Processes int           // decoders at a time; one per processor
}

func (c Config) withDefaults() Config {
	set(&c.Every, time.Second)
	set(&c.MaxFrames, 14400)
	set(&c.Timeout, 5*time.Minute)
	set(&c.Processes, runtime.GOMAXPROCS(0))
	c.MaxFrames = min(c.MaxFrames, vpdq.MaxFrames)
	return c
}

func set[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// An Extractor implements extract.Extractor.
type Extractor struct {
	conf  Config
	slots chan struct{}
}

// New returns an extractor. Whether ffmpeg is installed shows when it is asked.
func New(c Config) *Extractor {
	c = c.withDefaults()
	return &Extractor{conf: c, slots: make(chan struct{}, c.Processes)}
}

// Kind is Video.
func (*Extractor) Kind() string { return extract.Video }

// Types is vpdq alone.
func (*Extractor) Types() []string { return []string{Type} }

// Trusted is true: hostile bytes are decoded by ffmpeg.
func (*Extractor) Trusted() bool { return true }

// Available returns nil if videos can be decoded, else spec.CodeUnsupported.
func (*Extractor) Available() error {
	_, err := tools()
	return err
}

// Extract hashes the frames of the first video stream. What was hashed before
// a limit or a fault is delivered, with the type reported as unsupported besides;
// without a single frame Extract fails.
func (e *Extractor) Extract(ctx context.Context, src extract.Source, lim extract.Limits) (extract.Result, error) {
	t, err := tools()
	if err != nil {
		return extract.Result{}, err
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return extract.Result{}, spec.Errorf(extract.CodeTimeout, "too many videos are being decoded")
	}
	// Waiting for a place is not decoding: the time runs from here.
	ctx, cancel := context.WithTimeout(ctx, e.conf.Timeout)
	defer cancel()
	j := job{tools: t, conf: e.conf, src: src, lim: lim}
	frames, err := j.run(ctx)
	if len(frames) == 0 && err == nil {
		err = spec.Errorf(spec.CodeMalformed, "no frame of this video can be decoded")
	}
	if len(frames) == 0 {
		return extract.Result{}, err
	}
	res := extract.Result{Signals: []extract.Signal{{Type: Type, Value: vpdq.Format(frames)}}}
	if err != nil {
		res.Unsupported = []extract.Unsupported{{Type: Type, Code: spec.CodeOf(err)}}
	}
	return res, nil
}

// A toolset holds the two programs that are needed.
type toolset struct{ ffmpeg, ffprobe string }

func tools() (t toolset, err error) {
	if t.ffmpeg, err = program.Find("ffmpeg"); err != nil {
		return t, err
	}
	t.ffprobe, err = program.Find("ffprobe")
	return t, err
}
