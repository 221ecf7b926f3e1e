// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/urfave/cli/v2"
)

func (p *program) memberCommand() *cli.Command {
	return &cli.Command{
		Name: "member", Usage: "the organisations of the consortium",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "list every enrolled organisation", Flags: []cli.Flag{jsonFlag()}, Action: p.memberList},
			p.memberEnrolCommand(), p.memberExpelCommand(), p.memberLeaveCommand(), p.memberTierCommand(), p.memberKeyCommand(),
		},
	}
}

func (p *program) memberList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ListMembersWithResponse(c.Context)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	if err := callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(resp.JSON200)
	}
	rows := [][]string{{"ID", "NAME", "ROLE", "TIER", "IN", "CONNECTED", "LEADER"}}
	for _, m := range resp.JSON200.Members {
		connected := yes(m.Connected)
		if m.Self {
			connected = "self"
		}
		rows = append(rows, []string{m.ID, m.Name, string(m.Role), string(m.Tier), m.Jurisdiction, connected, yes(m.Leader)})
	}
	return p.table(rows)
}
