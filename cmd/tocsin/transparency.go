// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/audit"
	"github.com/tocsin-db/tocsin/node/transparency"
	"github.com/tocsin-db/tocsin/spec"
)

func (p *program) transparencyCommand() *cli.Command {
	return &cli.Command{
		Name: "transparency", Usage: "what was listed, at whose word, how fast, and what was overturned",
		Description: "Made from the public log alone, which is verified on the way: the same log gives the same bytes to everybody.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "from-file", Usage: "read the dump in `FILE`; without it the node's log"},
			&cli.StringFlag{Name: "format", Usage: "`FORMAT`: md or json", Value: "md"},
			&cli.StringFlag{Name: "svg", Usage: "write the plots into `DIR`"},
			genesisFlag(),
		},
		Action: p.reportTransparency,
	}
}

func (p *program) reportTransparency(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	format := c.String("format")
	if format != "md" && format != "json" {
		return usage("--format takes md or json")
	}
	g, err := p.genesis(c)
	if err != nil {
		return err
	}
	b := transparency.New(g)
	if _, err := p.audit(c, audit.Options{Genesis: g, Each: b.Add}); err != nil {
		return err
	}
	r := b.Report()
	plots, err := writePlots(c.String("svg"), r)
	if err != nil {
		return err
	}
	if format == "json" {
		return p.json(r)
	}
	_, err = fmt.Fprint(p.out, r.Markdown(plots))
	return err
}

// writePlots writes the plots and returns them with their paths; none without a
// folder.
func writePlots(dir string, r *transparency.Report) ([]transparency.Plot, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, spec.Errorf(spec.CodeUsage, "making the folder of the plots: %w", err)
	}
	plots := r.Plots()
	for i := range plots {
		plots[i].File = filepath.ToSlash(filepath.Join(dir, plots[i].File))
		if err := os.WriteFile(plots[i].File, plots[i].SVG, 0o644); err != nil {
			return nil, spec.Errorf(spec.CodeUsage, "writing a plot: %w", err)
		}
	}
	return plots, nil
}
