// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
)

func (p *program) inviteCommand() *cli.Command {
	return &cli.Command{
		Name: "invite", Usage: "make one line with which an organisation can ask to join",
		Description: "The line is a secret until it is used: hand it over on a safe way.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "role", Usage: "reader, referrer or auditor", Value: "reader"},
			&cli.StringFlag{Name: "tier", Usage: "full, or digest: a reader without values, which finds equal ones alone", Value: "full"},
			&cli.StringFlag{Name: "expires", Usage: "how long it can be used: `TIME` such as 7d or 12h", Value: "7d"},
			jsonFlag(),
		},
		Action: p.invite,
	}
}

func (p *program) invite(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	ttl, err := parseTime(c.String("expires"))
	if err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.InviteWithResponse(c.Context, wire.InvitationRequest{
		Role: wire.Role(c.String("role")), Tier: wire.Tier(c.String("tier")), ExpiresS: int64(ttl / time.Second),
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
	who := string(resp.JSON201.Role)
	if resp.JSON201.Tier == wire.Digest {
		who += " of the digest tier"
	}
	fmt.Fprintf(p.talk, "tocsin: for one %s, until %s\n", who, day(resp.JSON201.Expires))
	_, err = fmt.Fprintln(p.out, resp.JSON201.Line)
	return err
}

// parseTime reads a duration in days, or in the units of time.ParseDuration.
func parseTime(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int64
		n, err = strconv.ParseInt(days, 10, 16)
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d < time.Second {
		return 0, usage("--expires takes a time such as 7d or 12h")
	}
	return d, nil
}
