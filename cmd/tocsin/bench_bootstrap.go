// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/trial"
)

func (p *program) benchBootstrapCommand() *cli.Command {
	return &cli.Command{
		Name: "bootstrap", Usage: "an empty reader fetches, verifies and installs the state of others",
		Flags: append(filledFlags(),
			&cli.IntFlag{Name: "sources", Usage: "nodes that serve it", Value: 2},
			&cli.Float64Flag{Name: "gbit", Usage: "Gbit/s of all sources together, 0 for as fast as they can", Value: 1},
		),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			if c.Int("sources") < 1 || c.Int("sources") > 16 || c.Float64("gbit") < 0 {
				return usage("tocsin bench bootstrap takes 1 to 16 sources and a rate that is not negative")
			}
			return trial.BenchBootstrap(c.Context, trial.BootstrapOptions{
				FilledOptions: filledOptions(c), Sources: c.Int("sources"), Rate: int64(c.Float64("gbit") * 1e9), JSON: c.Bool("json"),
			}, p.out, p.talk)
		},
	}
}

// benchSourcesCommand is what bench bootstrap starts in a process of its own.
func (p *program) benchSourcesCommand() *cli.Command {
	return &cli.Command{
		Name: trial.SourcesCommand, Hidden: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "dir", Required: true},
			&cli.StringFlag{Name: "reader", Required: true},
			&cli.IntFlag{Name: "sources"},
			&cli.Int64Flag{Name: "bits"},
		},
		Action: func(c *cli.Context) error {
			return trial.ServeSources(c.Context, trial.SourcesOptions{
				Dir: c.String("dir"), Sources: c.Int("sources"), Rate: c.Int64("bits"), Reader: c.String("reader"),
			}, p.in, p.out)
		},
	}
}
