// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/urfave/cli/v2"

	hashing "github.com/tocsin-db/tocsin/spec/pdq/bench"
	lookups "github.com/tocsin-db/tocsin/storage/nearby/bench"
)

func (p *program) benchCommand() *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "measure, and check what is measured",
		Subcommands: []*cli.Command{p.benchDataCommand(), p.benchSearchCommand(), p.benchExactCommand(), p.benchHashCommand(), p.benchCommitCommand(), p.benchFanoutCommand(), p.benchLogCommand(), p.benchStartCommand(), p.benchMatchCommand(), p.benchBootstrapCommand(), p.benchSourcesCommand()},
	}
}

func dbFlag(usage string) cli.Flag { return &cli.StringFlag{Name: "db", Usage: usage} }

func addsFlag() cli.Flag {
	return &cli.IntFlag{Name: "adds-per-second", Usage: "measure once more while so many arrive"}
}

func (p *program) benchDataCommand() *cli.Command {
	return &cli.Command{
		Name: "data", Usage: "write files of made-up hashes",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "kind", Usage: "uniform, or mixed like what is shared in the field", Value: "mixed"},
			&cli.IntFlag{Name: "entries", Usage: "how many entries", Value: 1_000_000},
			&cli.IntFlag{Name: "queries", Usage: "how many queries", Value: 10_000},
			&cli.Uint64Flag{Name: "seed", Usage: "the same seed makes the same files", Value: 1},
			dbFlag("`FILE` for the entries, 32 bytes each"),
			&cli.StringFlag{Name: "queries-file", Usage: "`FILE` for the queries, 32 bytes each"},
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			if c.String("db") == "" || c.String("queries-file") == "" {
				return usage("tocsin bench data takes --db FILE and --queries-file FILE")
			}
			return lookups.Data(c.Context, lookups.DataOptions{
				Kind: c.String("kind"), Entries: c.Int("entries"), Queries: c.Int("queries"), Seed: c.Uint64("seed"),
				DB: c.String("db"), QueriesFile: c.String("queries-file"),
			})
		},
	}
}

func (p *program) benchSearchCommand() *cli.Command {
	return &cli.Command{
		Name: "search", Usage: "near lookups in a file of hashes",
		Flags: []cli.Flag{
			dbFlag("`FILE` of entries, 32 bytes each"),
			&cli.StringFlag{Name: "queries", Usage: "`FILE` of queries, 32 bytes each"},
			&cli.IntFlag{Name: "radius", Usage: "distance in bits up to which hashes match", Value: 31},
			&cli.StringFlag{Name: "out", Usage: "write every match to `FILE`"},
			addsFlag(),
			&cli.BoolFlag{Name: "live", Usage: "add the entries one at a time instead of loading them"},
			&cli.StringFlag{Name: "kernel", Usage: "use this kernel instead of the fastest"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			if c.String("db") == "" || c.String("queries") == "" {
				return usage("tocsin bench search takes --db FILE and --queries FILE")
			}
			return lookups.Search(c.Context, lookups.SearchOptions{
				DB: c.String("db"), Queries: c.String("queries"), Radius: c.Int("radius"), Out: c.String("out"),
				JSON: c.Bool("json"), Kernel: c.String("kernel"), AddsPerSecond: c.Int("adds-per-second"), Live: c.Bool("live"),
			}, p.out)
		},
	}
}

func (p *program) benchExactCommand() *cli.Command {
	return &cli.Command{
		Name: "exact", Usage: "exact lookups in a table of hashes",
		Flags: []cli.Flag{
			dbFlag("`FILE` of keys, 32 bytes each, instead of made-up ones"),
			&cli.IntFlag{Name: "entries", Usage: "how many keys to make up", Value: 1_000_000},
			addsFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return lookups.Exact(c.Context, lookups.ExactOptions{
				DB: c.String("db"), Entries: c.Int("entries"), JSON: c.Bool("json"), AddsPerSecond: c.Int("adds-per-second"),
			}, p.out)
		},
	}
}

func (p *program) benchHashCommand() *cli.Command {
	return &cli.Command{
		Name: "hash", Usage: "perceptual hashing of pictures, decoding excluded", Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return hashing.Run(c.Context, p.out, c.Bool("json"))
		},
	}
}
