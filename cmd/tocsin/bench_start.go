// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/trial"
)

func filledFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "entries", Usage: "hashes in the store, half PDQ, half SHA-256", Value: 1_000_000},
		&cli.StringFlag{Name: "dir", Usage: "fill `DIR` and keep it, or use it again (default: a temporary one)"},
		&cli.Uint64Flag{Name: "seed", Usage: "the same seed makes the same data", Value: 1},
		jsonFlag(),
	}
}

func filledOptions(c *cli.Context) trial.FilledOptions {
	return trial.FilledOptions{Dir: c.String("dir"), Entries: c.Int("entries"), Seed: c.Uint64("seed")}
}

func (p *program) benchStartCommand() *cli.Command {
	return &cli.Command{
		Name: "start", Usage: "start of a node with many entries until it is ready, and its memory",
		Flags: filledFlags(),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return trial.BenchStart(c.Context, trial.StartOptions{FilledOptions: filledOptions(c), JSON: c.Bool("json")}, p.out, p.talk)
		},
	}
}

func (p *program) benchMatchCommand() *cli.Command {
	return &cli.Command{
		Name: "match", Usage: "lookups through the API of a node with many entries",
		Flags: append(filledFlags(), addsFlag(),
			&cli.IntFlag{Name: "clients", Usage: "how many ask at once", Value: 4},
			&cli.DurationFlag{Name: "duration", Usage: "of each measurement", Value: 5 * time.Second}),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return trial.BenchMatch(c.Context, trial.MatchOptions{
				FilledOptions: filledOptions(c), Clients: c.Int("clients"), AddsPerSecond: c.Int("adds-per-second"),
				Duration: c.Duration("duration"), JSON: c.Bool("json"),
			}, p.out, p.talk)
		},
	}
}
