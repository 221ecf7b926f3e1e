// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
)

func (p *program) disputeCommand() *cli.Command {
	return &cli.Command{
		Name: "dispute", Usage: "dispute an entry, which opens a case", ArgsUsage: "ENTRY",
		Description: "Prints the id of the case.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "reason", Usage: "`CODE` of the reason"},
			&cli.Int64SliceFlag{Name: "signal", Usage: "dispute only signal `N` of the entry, from 0; may be given more than once"},
			&cli.BoolFlag{Name: "freeze", Usage: "suspend what is disputed at once, where the policy lets members do so"},
			&cli.StringFlag{Name: "text", Usage: "free `TEXT` for those who vote"},
			jsonFlag(),
		},
		Action: p.dispute,
	}
}

func (p *program) dispute(c *cli.Context) error {
	entry, err := oneArgument(c, "entry")
	if err != nil {
		return err
	}
	if c.String("reason") == "" {
		return usage("tocsin dispute takes a --reason")
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.DisputeWithResponse(c.Context, wire.DisputeRequest{
		Entry: entry, Reason: c.String("reason"), Text: c.String("text"), Signals: c.Int64Slice("signal"), Freeze: c.Bool("freeze"),
	})
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	if err := callError(nil, resp.HTTPResponse, 201, resp.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	return p.made(c, resp.JSON201.ID)
}
