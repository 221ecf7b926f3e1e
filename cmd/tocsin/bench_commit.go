// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/trial"
)

func (p *program) benchCommitCommand() *cli.Command {
	return &cli.Command{
		Name: "commit", Usage: "operations through the API of members in one process, over libp2p on loopback",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "members", Usage: "how many found the consortium", Value: 3},
			&cli.IntFlag{Name: "clients", Usage: "how many submit at once", Value: 1},
			&cli.IntFlag{Name: "batch", Usage: "signals of one proposal", Value: 1},
			&cli.DurationFlag{Name: "rtt", Usage: "simulated round trip between members, such as 150ms"},
			&cli.DurationFlag{Name: "duration", Usage: "of the measurement", Value: 10 * time.Second},
			&cli.BoolFlag{Name: "bulk", Usage: "measure once more while a reader fetches snapshots from all members"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			return trial.Bench(c.Context, trial.BenchOptions{
				Members: c.Int("members"), Clients: c.Int("clients"), Batch: c.Int("batch"),
				RTT: c.Duration("rtt"), Duration: c.Duration("duration"), Bulk: c.Bool("bulk"), JSON: c.Bool("json"),
			}, p.out)
		},
	}
}
