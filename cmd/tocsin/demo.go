// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/node/trial"
)

// demoOptions are the flags of the demonstration.
type demoOptions struct {
	Once bool // tell the story and end
	JSON bool // tell it as one JSON object
}

// demoReport is the machine-readable story.
type demoReport struct {
	OK    bool       `json:"ok"`
	Steps []demoStep `json:"steps"`
}

// runDemo tells the story of a listing with three members and a reader, all in
// this process, and reports whether every step held. Without Once it stays up
// until ctx ends. Its folder is removed in the end.
func runDemo(ctx context.Context, o demoOptions, out, talk io.Writer) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "tocsin-demo-")
	if err != nil {
		return false, fmt.Errorf("making a folder for the demonstration: %w", err)
	}
	defer os.RemoveAll(dir)
	log := slog.New(slog.DiscardHandler) // a node that fails is told of below
	hasher := media.New(media.Config{Log: log, Children: 1})
	defer hasher.Close()
	report := demoReport{Steps: []demoStep{}}
	s := &story{
		hasher: hasher,
		options: trial.Options{Dir: dir, Members: 3, HTTP: true, Logger: log, Fatal: func(who string, err error) {
			fmt.Fprintf(talk, "the node of %s failed: %v\n", who, err)
		}},
		tell: func(step demoStep) {
			report.Steps = append(report.Steps, step)
			if !o.JSON {
				printStep(out, len(report.Steps), step)
			}
		},
	}
	report.OK = s.run(ctx)
	if o.JSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	}
	if err == nil && report.OK && !o.Once {
		err = stayUp(ctx, s, talk)
	}
	return report.OK, errors.Join(err, stopDemo(s))
}

func printStep(out io.Writer, number int, s demoStep) {
	mark := "ok"
	if !s.OK {
		mark = "FAILED"
	}
	fmt.Fprintf(out, "%2d. %-45s %9.1f ms  %s\n    %s\n", number, s.Name, s.MS, mark, s.Detail)
}

// stayUp keeps the consortium running and says how to ask it.
func stayUp(ctx context.Context, s *story, talk io.Writer) error {
	path, err := s.stay(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(talk, "\nThe consortium stays up until you press Ctrl-C. Another picture is listed now; ask the reader's node for it:\n\n")
	reader := s.c.Readers[0]
	fmt.Fprintf(talk, "  curl --data-binary @%s -H 'Content-Type: application/octet-stream' http://%s/v1/match\n\n", path, reader.HTTP)
	for _, p := range s.c.All() {
		fmt.Fprintf(talk, "  %-8s lookups http://%s  all else: tocsin --data %s status\n", p.ID, p.HTTP, p.Dir)
	}
	<-ctx.Done()
	return nil
}

func stopDemo(s *story) error {
	if s.c == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return s.c.Stop(ctx)
}
