// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/p2p/federation/fanout"
)

func (p *program) benchFanoutCommand() *cli.Command {
	return &cli.Command{
		Name: "fanout", Usage: "from a commit until every reader can match it",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "readers", Usage: "how many follow over a simulated network", Value: 1000},
			&cli.IntFlag{Name: "real", Usage: "how many further ones over libp2p on loopback", Value: 10},
			&cli.IntFlag{Name: "fanout", Usage: "how many a node pushes to", Value: 10},
			&cli.IntFlag{Name: "members", Usage: "of the consortium", Value: 3},
			&cli.DurationFlag{Name: "latency", Usage: "of the simulated network, one way, such as 100ms"},
			&cli.IntFlag{Name: "commits", Usage: "how many are measured", Value: 40},
			&cli.DurationFlag{Name: "every", Usage: "time between two commits; by default five latencies, 500ms at least"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return fanout.Run(c.Context, fanout.Options{
				Readers: c.Int("readers"), Real: c.Int("real"), FanOut: c.Int("fanout"), Members: c.Int("members"),
				Latency: c.Duration("latency"), Commits: c.Int("commits"), Every: c.Duration("every"), JSON: c.Bool("json"),
			}, p.out)
		},
	}
}
