// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/chromaprint"
	"github.com/tocsin-db/tocsin/spec/pdq"
	"github.com/tocsin-db/tocsin/spec/tlsh"
	"github.com/tocsin-db/tocsin/spec/vpdq"
)

func (p *program) explainCommand() *cli.Command {
	return &cli.Command{
		Name: "explain", Usage: "compare two files signal by signal, without a node", ArgsUsage: "LISTED UPLOAD",
		Description: "Tells for each type that both files have how far apart they are and whether an upload of the second would match an entry of the first.\n" +
			"Ends with 1 when it would, with 0 when it would not.",
		Flags:  []cli.Flag{jsonFlag()},
		Action: p.explain,
	}
}

// A comparison is how two files stand to each other in one type.
type comparison struct {
	Type      string `json:"type"`
	Match     bool   `json:"match"`
	Distance  int    `json:"distance"`
	Threshold int    `json:"threshold"`
	Note      string `json:"note,omitempty"`
}

func (p *program) explain(c *cli.Context) error {
	if c.NArg() != 2 {
		return usage("tocsin explain takes two files: the listed one and the upload")
	}
	h := media.New(media.Config{Log: slog.New(slog.DiscardHandler)})
	defer h.Close()
	var recs [2]media.Record
	for i := range recs {
		f, err := os.Open(c.Args().Get(i))
		if err != nil {
			return err
		}
		recs[i], err = h.Hash(c.Context, f, f.Name())
		f.Close()
		if err != nil {
			return err
		}
	}
	out := []comparison{}
	match := false
	for _, a := range recs[0].Signals {
		for _, b := range recs[1].Signals {
			if a.Type == b.Type {
				one, err := compare(a, b, recs[1].Dihedral)
				if err != nil {
					return err
				}
				out, match = append(out, one), match || one.Match
				break
			}
		}
	}
	if err := p.printComparisons(c, out); err != nil || !match {
		return err
	}
	return &exitError{code: exitFound}
}

func (p *program) printComparisons(c *cli.Context, out []comparison) error {
	if c.Bool("json") {
		return p.json(out)
	}
	for _, x := range out {
		verdict := "no match"
		if x.Match {
			verdict = "match"
		}
		fmt.Fprintf(p.out, "%-15s %-9s distance %d, threshold %d%s\n", x.Type, verdict, x.Distance, x.Threshold, x.Note)
	}
	return nil
}

// compare compares the values of one type as a lookup would: the upload's turned
// and mirrored copies count too.
func compare(listed, upload media.Signal, copies [][8]pdq.Hash) (comparison, error) {
	t, _ := spec.SignalTypeOf(listed.Type)
	c := comparison{Type: listed.Type, Threshold: t.Threshold}
	switch listed.Type {
	case "pdq":
		return comparePictures(c, listed, upload, copies)
	case "vpdq":
		a, err := vpdq.Parse(listed.Value)
		if err != nil {
			return c, err
		}
		b, err := vpdq.Parse(upload.Value)
		if err != nil {
			return c, err
		}
		o := vpdq.Compare(b, a)
		c.Distance, c.Match = 100, o.Match()
		if o.Query > 0 {
			c.Distance = (100*(o.Query-o.QueryMatched) + o.Query - 1) / o.Query
		}
		c.Note = "; frames found: " + o.String()
		return c, nil
	case "text_tlsh", "text_tlsh_norm":
		a, err := tlsh.Parse(listed.Value)
		if err != nil {
			return c, err
		}
		b, err := tlsh.Parse(upload.Value)
		if err != nil {
			return c, err
		}
		c.Distance = tlsh.DiffXLen(&a, &b)
	case "chromaprint":
		a, err := chromaprint.Parse(listed.Value)
		if err != nil {
			return c, err
		}
		b, err := chromaprint.Parse(upload.Value)
		if err != nil {
			return c, err
		}
		al := chromaprint.Align(a, b)
		c.Distance, c.Match = al.Rate(), al.Match()
		return c, nil
	default:
		c.Match = listed.Value == upload.Value
		if !c.Match {
			c.Distance = 1
		}
		return c, nil
	}
	c.Match = c.Distance <= c.Threshold
	return c, nil
}

func comparePictures(c comparison, listed, upload media.Signal, copies [][8]pdq.Hash) (comparison, error) {
	a, err := pdq.Parse(listed.Value)
	if err != nil {
		return c, err
	}
	b, err := pdq.Parse(upload.Value)
	if err != nil {
		return c, err
	}
	c.Distance = pdq.Distance(a, b)
	if len(copies) > 0 {
		for _, turned := range copies[0] {
			if d := pdq.Distance(a, turned); d < c.Distance {
				c.Distance, c.Note = d, "; turned or mirrored"
			}
		}
	}
	c.Match = c.Distance <= c.Threshold
	if listed.Quality < pdq.MinQuality {
		c.Match, c.Note = false, "; of too poor a quality to be listed"
	}
	return c, nil
}
