// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/storage/nearby/bench"
)

func (p *program) benchCommand() *cli.Command {
	db := &cli.StringFlag{Name: "db", Usage: "`FILE` of entries, 32 bytes each"}
	return &cli.Command{
		Name: "bench", Usage: "measure, and check what is measured",
		Subcommands: []*cli.Command{
			{
				Name: "data", Usage: "write files of made-up hashes",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "kind", Usage: "uniform, or mixed like what is shared in the field", Value: "mixed"},
					&cli.IntFlag{Name: "entries", Usage: "how many entries", Value: 1_000_000},
					&cli.IntFlag{Name: "queries", Usage: "how many queries", Value: 10_000},
					&cli.Uint64Flag{Name: "seed", Usage: "the same seed makes the same files", Value: 1},
					db, &cli.StringFlag{Name: "queries-file", Usage: "`FILE` of queries, 32 bytes each"},
				},
				Action: p.benchData,
			},
			{
				Name: "search", Usage: "near lookups in a file of hashes",
				Flags: []cli.Flag{
					db,
					&cli.StringFlag{Name: "queries", Usage: "`FILE` of queries, 32 bytes each"},
					&cli.IntFlag{Name: "radius", Usage: "distance in bits up to which hashes match", Value: 31},
					&cli.StringFlag{Name: "out", Usage: "write every match to `FILE`"},
					&cli.IntFlag{Name: "adds-per-second", Usage: "measure once more while so many hashes arrive"},
					&cli.BoolFlag{Name: "live", Usage: "add the entries one at a time instead of loading them"},
					&cli.StringFlag{Name: "kernel", Usage: "compare with this kernel instead of the fastest"},
					jsonFlag(),
				},
				Action: p.benchSearch,
			},
		},
	}
}

func (p *program) benchData(c *cli.Context) error {
	if c.String("db") == "" || c.String("queries-file") == "" {
		return usage("tocsin bench data takes --db FILE and --queries-file FILE")
	}
	return bench.Data(c.Context, bench.DataOptions{
		Kind: c.String("kind"), Entries: c.Int("entries"), Queries: c.Int("queries"), Seed: c.Uint64("seed"),
		DB: c.String("db"), QueriesFile: c.String("queries-file"),
	})
}

func (p *program) benchSearch(c *cli.Context) error {
	if c.String("db") == "" || c.String("queries") == "" {
		return usage("tocsin bench search takes --db FILE and --queries FILE")
	}
	return bench.Search(c.Context, bench.SearchOptions{
		DB: c.String("db"), Queries: c.String("queries"), Radius: c.Int("radius"), Out: c.String("out"),
		JSON: c.Bool("json"), Kernel: c.String("kernel"), AddsPerSecond: c.Int("adds-per-second"), Live: c.Bool("live"),
	}, p.out)
}
