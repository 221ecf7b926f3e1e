// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/node/media/video"
	"github.com/tocsin-db/tocsin/spec"
)

func (p *program) hashCommand() *cli.Command {
	return &cli.Command{
		Name: "hash", Usage: "compute the signals of files, without a node", ArgsUsage: "FILE...",
		Description: "Prints the exact hashes of each file and the perceptual ones of what it shows. \"-\" is the standard input.\n" +
			"Ends with 2 when a file could not be read or decoded; its exact hashes are printed all the same.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "frames-per-second", Usage: "hash `N` frames of each second of a video, or all", Value: "1"}, jsonFlag(),
		},
		Action: p.hash,
	}
}

// A hashRecord is what is printed of one file.
type hashRecord struct {
	File        string              `json:"file"`
	Kind        string              `json:"kind"`
	Signals     []hashSignal        `json:"signals"`
	Unsupported []media.Unsupported `json:"unsupported"`
	Error       *hashError          `json:"error,omitempty"`
}

type hashSignal struct {
	Type    string `json:"type"`
	Value   string `json:"value"`
	Quality *int   `json:"quality,omitempty"`
}

type hashError struct {
	Code    spec.Code `json:"code"`
	Message string    `json:"message"`
}

func (p *program) hash(c *cli.Context) error {
	if c.NArg() == 0 {
		return usage("tocsin hash takes at least one file")
	}
	every, err := frameEvery(c.String("frames-per-second"))
	if err != nil {
		return err
	}
	h := media.New(media.Config{Log: slog.New(slog.DiscardHandler), FrameEvery: every})
	defer h.Close()
	records := p.hashAll(c.Context, h, c.Args().Slice())
	failed := 0
	for i := range records {
		if e := records[i].Error; e != nil {
			failed++
			fmt.Fprintf(p.talk, "tocsin: %s: %s\n", records[i].File, e.Message)
		}
	}
	if err := p.printHashes(c, records); err != nil {
		return err
	}
	if failed > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}

// frameEvery reads how many frames of a second are hashed.
func frameEvery(text string) (time.Duration, error) {
	if text == "all" {
		return video.AllFrames, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0.001 && n <= 1000) {
		return 0, usage("--frames-per-second takes a number from 0.001 to 1000, or all")
	}
	return time.Duration(float64(time.Second) / n), nil
}

// hashAll hashes files side by side and returns their records in order.
func (p *program) hashAll(ctx context.Context, h *media.Hasher, files []string) []hashRecord {
	records := make([]hashRecord, len(files))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	read := p.reading(files)
	defer read.end()
	var wg sync.WaitGroup
	for i, name := range files {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			records[i] = p.hashOne(ctx, h, name, read)
		})
	}
	wg.Wait()
	return records
}

// quietBytes is how much is read without showing progress.
const quietBytes = 256 << 20

// A reading counts the bytes that were read of all files and shows them.
type reading struct {
	mu   sync.Mutex
	done int64
	bar  progress // nil: too little to show
}

func (p *program) reading(files []string) *reading {
	var total int64
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			total += info.Size()
		}
	}
	if total < quietBytes {
		return &reading{}
	}
	return &reading{bar: p.progress(total)}
}

func (r *reading) end() {
	if r.bar != nil {
		r.bar.end()
	}
}

// Write counts; with io.TeeReader it sees what is read.
func (r *reading) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done += int64(len(b))
	if r.bar != nil {
		r.bar.at(r.done)
	}
	return len(b), nil
}

func (p *program) hashOne(ctx context.Context, h *media.Hasher, name string, read *reading) hashRecord {
	out := hashRecord{File: name, Kind: "other", Signals: []hashSignal{}, Unsupported: []media.Unsupported{}}
	r, err := p.open(name)
	if err != nil {
		out.Error = &hashError{spec.CodeNotFound, err.Error()}
		if !errors.Is(err, fs.ErrNotExist) {
			out.Error.Code = spec.CodeUnavailable
		}
		return out
	}
	defer r.Close()
	rec, err := h.Hash(ctx, io.TeeReader(r, read), filepath.Base(name))
	out.fill(&rec)
	switch {
	case err != nil:
		out.Error = &hashError{spec.CodeOf(err), err.Error()}
		if out.Error.Code == "" {
			out.Error.Code = spec.CodeUnavailable
		}
	case rec.Err != nil:
		out.Error = &hashError{rec.Err.Code, rec.Err.Error()}
	}
	return out
}

func (out *hashRecord) fill(rec *media.Record) {
	if rec.Kind != "" {
		out.Kind = rec.Kind
	}
	for _, s := range rec.Signals {
		hs := hashSignal{Type: s.Type, Value: s.Value}
		if s.HasQuality {
			hs.Quality = &s.Quality
		}
		out.Signals = append(out.Signals, hs)
	}
	out.Unsupported = append(out.Unsupported, rec.Unsupported...)
}

// open opens a file, or the standard input for "-".
func (p *program) open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(p.in), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, errors.New("it is a directory")
	}
	return f, nil
}

func (p *program) printHashes(c *cli.Context, records []hashRecord) error {
	if c.Bool("json") {
		return p.json(records)
	}
	var rows [][]string
	for _, r := range records {
		for _, s := range r.Signals {
			quality := ""
			if s.Quality != nil {
				quality = fmt.Sprintf("quality %d", *s.Quality)
			}
			rows = append(rows, []string{s.Type, s.Value, quality, r.File})
		}
	}
	return p.table(rows)
}
