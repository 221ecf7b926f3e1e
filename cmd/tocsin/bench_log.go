// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/urfave/cli/v2"

	proofs "github.com/tocsin-db/tocsin/node/audit/bench"
)

func (p *program) benchLogCommand() *cli.Command {
	return &cli.Command{
		Name: "log", Usage: "what proofs cost: bytes for each signal, updates of the state, heads, receipts, a whole audit",
		Description: "The state is written as a whole, and measured with more proposals behind it; ten million live\nsignals take some 4 GB of disk, and minutes. The history that is audited is made by proposals and votes.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "members", Usage: "how many sequence, 1 to 9", Value: 3},
			&cli.IntFlag{Name: "signals", Usage: "signals of the history that is audited", Value: 100_000},
			&cli.IntFlag{Name: "live", Usage: "live signals before updates, proofs and receipts are measured", Value: 100_000},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			if n := c.Int("members"); n < 1 || n > 9 || c.Int("signals") < 1 || c.Int("live") < 1 {
				return usage("%s takes 1 to 9 members, and one signal or more", c.Command.HelpName)
			}
			return proofs.Run(c.Context, proofs.Options{Members: c.Int("members"), Signals: c.Int("signals"), Live: c.Int("live"), JSON: c.Bool("json")}, p.out)
		},
	}
}
