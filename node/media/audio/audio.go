// SPDX-License-Identifier: Apache-2.0

// Package audio computes the fingerprint of a sound: an installed fpcalc
// (Chromaprint), confined by package program, decodes and fingerprints it. Without
// fpcalc a sound has exact hashes only, which Available says.
package audio

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/node/media/video/program"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/chromaprint"
)

// Type is the signal type that the extractor computes. Its value is the
// canonical text of spec/chromaprint.
const Type = "chromaprint"

// Config bounds an Extractor. Zero fields take the defaults.
type Config struct {
	Length    time.Duration // fingerprinted from the start; two minutes, as fpcalc has it
	Timeout   time.Duration // of decoding, on the clock and on the processors; one minute
	Memory    int64         // of the decoder; 512 MiB
	Processes int           // decoders at a time; one per processor
}

func (c Config) withDefaults() Config {
	set(&c.Length, 2*time.Minute)
	set(&c.Timeout, time.Minute)
	set(&c.Memory, 512<<20)
	set(&c.Processes, runtime.GOMAXPROCS(0))
	return c
}

func set[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// An Extractor implements extract.Extractor.
type Extractor struct {
	conf  Config
	slots chan struct{}
}

// New returns an extractor. Whether fpcalc is installed shows when it is asked.
func New(c Config) *Extractor {
	c = c.withDefaults()
	return &Extractor{conf: c, slots: make(chan struct{}, c.Processes)}
}

// Kind is Audio.
func (*Extractor) Kind() string { return extract.Audio }

// Types is chromaprint alone.
func (*Extractor) Types() []string { return []string{Type} }

// Trusted is true: hostile bytes are decoded by fpcalc.
func (*Extractor) Trusted() bool { return true }

// Available returns nil if sounds can be fingerprinted, else spec.CodeUnsupported.
func (*Extractor) Available() error {
	_, err := program.Find("fpcalc")
	return err
}

// Extract fingerprints the first minutes of a sound. One that is too short or
// too steady to be told from others has no signal; the type is reported as unsupported.
func (e *Extractor) Extract(ctx context.Context, src extract.Source, _ extract.Limits) (extract.Result, error) {
	fpcalc, err := program.Find("fpcalc")
	if err != nil {
		return extract.Result{}, err
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return extract.Result{}, spec.Errorf(extract.CodeTimeout, "too many sounds are being decoded")
	}
	// Waiting for a place is not decoding: the time runs from here.
	ctx, cancel := context.WithTimeout(ctx, e.conf.Timeout)
	defer cancel()
	f, err := e.fingerprint(ctx, fpcalc, src)
	if err != nil {
		return extract.Result{}, err
	}
	if len(f.Items) < chromaprint.MinOverlap || f.Distinct() < chromaprint.MinDistinct {
		return extract.Result{Unsupported: []extract.Unsupported{{Type: Type, Code: spec.CodeSignal}}}, nil
	}
	return extract.Result{Signals: []extract.Signal{{Type: Type, Value: f.String()}}}, nil
}

// fingerprint runs fpcalc on the file. It often complains of the end of a file
// after it has printed a fingerprint: what it printed counts.
func (e *Extractor) fingerprint(ctx context.Context, fpcalc string, src extract.Source) (chromaprint.Fingerprint, error) {
	demuxer := demuxers[src.Format]
	if demuxer == "" {
		return chromaprint.Fingerprint{}, spec.Errorf(spec.CodeUnsupported, "no decoder reads %s", src.Format)
	}
	args := []string{"-plain", "-format", demuxer, "-length", strconv.Itoa(int(e.conf.Length / time.Second)), program.Input}
	out, err := program.Output(ctx, fpcalc, args, src.File, program.Limits{Memory: e.conf.Memory, CPU: e.conf.Timeout})
	text := strings.TrimSpace(string(out))
	if text == "" {
		if err == nil {
			err = spec.Errorf(spec.CodeMalformed, "the decoder gave no fingerprint")
		}
		return chromaprint.Fingerprint{}, err
	}
	f, perr := chromaprint.Parse(text)
	if perr == nil {
		perr = f.Check()
	}
	return f, perr
}
