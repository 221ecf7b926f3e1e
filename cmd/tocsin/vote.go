// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
)

func (p *program) voteCommand() *cli.Command {
	return &cli.Command{
		Name: "vote", Usage: "vote on a case", ArgsUsage: "CASE approve|reject|abstain",
		Description: "A later vote takes the place of an earlier one until the case is decided. Prints the id of the operation.\n" +
			"Where the setting sightings_days is on, or the data directory has a list of lawful content, lawful.txt, the vote tells how much each item would hit at this site.",
		Flags: []cli.Flag{
			&cli.Int64SliceFlag{Name: "except", Usage: "leave item `N` out of an approval; may be given more than once"},
			&cli.Int64SliceFlag{Name: "override", Usage: "approve item `N` although the admission checks hold it; may be given more than once"},
			&cli.StringFlag{Name: "reason", Usage: "`CODE` of the reason"},
			&cli.StringFlag{Name: "text", Usage: "free `TEXT` for the other members"},
			jsonFlag(),
		},
		Action: p.vote,
	}
}

func (p *program) vote(c *cli.Context) error {
	if c.NArg() != 2 {
		return usage("tocsin vote takes a case and one of approve, reject, abstain")
	}
	choice := wire.Choice(c.Args().Get(1))
	if !choice.Valid() {
		return usage("a vote is approve, reject or abstain, not %q", choice)
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.VoteWithResponse(c.Context, wire.VoteRequest{
		Case: c.Args().First(), Choice: choice, Except: c.Int64Slice("except"), Override: c.Int64Slice("override"), Reason: c.String("reason"), Text: c.String("text"),
	})
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	if err := callError(nil, resp.HTTPResponse, 201, resp.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(resp.JSON201)
	}
	for _, b := range resp.JSON201.Blast {
		if b.Sightings+b.Lawful > 0 {
			fmt.Fprintln(p.talk, "tocsin: "+blastWords(&b)+" at this site; the vote says so")
		}
	}
	return p.made(c, resp.JSON201.ID)
}

// blastWords says what an item would hit.
func blastWords(b *wire.Blast) string {
	return fmt.Sprintf("item %d matches %d uploads and %d entries of lawful content", b.Item, b.Sightings, b.Lawful)
}
