// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
)

func (p *program) referCommand() *cli.Command {
	return &cli.Command{
		Name: "refer", Usage: "propose files or signals as an authority, which opens a case", ArgsUsage: "FILE...",
		Description: "As propose does, with the legal frame of the request. The log holds codes and times, and of the\n" +
			"reference, the authority and the locator a salted hash alone. A TIME is RFC 3339 or a duration\nfrom now such as 24h. Prints the id of the case.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "label", Usage: "a `LABEL` of every item; may be given more than once"},
			&cli.StringFlag{Name: "form", Usage: "notice, removal-order (Regulation (EU) 2021/784) or national-law", Value: "notice"},
			&cli.StringFlag{Name: "basis", Usage: "`CODE` of the legal basis"},
			&cli.StringFlag{Name: "state", Usage: "state that issues it, ISO 3166-1 `CODE`"},
			&cli.StringFlag{Name: "addressee", Usage: "state of the provider that it is addressed to, ISO 3166-1 `CODE`"},
			&cli.StringSliceFlag{Name: "ground", Usage: "incitement, instruction, participation, solicitation or threat; may be given more than once"},
			&cli.StringFlag{Name: "issued", Usage: "`TIME` of issue"},
			&cli.StringFlag{Name: "deadline", Usage: "`TIME` until which a decision is asked for"},
			&cli.StringFlag{Name: "preserve-until", Usage: "`TIME` until which evidence is to be kept"},
			&cli.StringFlag{Name: "reference", Usage: "reference `NUMBER`"},
			&cli.StringFlag{Name: "authority", Usage: "authority and contact point, as `TEXT`"},
			&cli.StringFlag{Name: "locator", Usage: "address of the content and what else identifies it, as `TEXT`"},
			textFlag("free `TEXT` for those who vote"), signalFlag("one item of the signals that are given so"), jsonFlag(),
		},
		Action: p.refer,
	}
}

func (p *program) refer(c *cli.Context) error {
	if c.NArg() == 0 && len(c.StringSlice("signal")) == 0 {
		return usage("tocsin refer takes at least one file, or --signal TYPE:VALUE")
	}
	if c.String("basis") == "" || c.String("state") == "" {
		return usage("tocsin refer takes a --basis and a --state")
	}
	r, err := referral(c, time.Now())
	if err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	return p.proposeItems(c, client, &wire.ProposalRequest{Basis: "referral", Text: c.String("text"), Referral: r})
}

func referral(c *cli.Context, now time.Time) (*wire.Referral, error) {
	r := &wire.Referral{
		Form: wire.ReferralForm(c.String("form")), Basis: c.String("basis"), State: c.String("state"), Addressee: c.String("addressee"),
		Reference: c.String("reference"), Authority: c.String("authority"), Locator: c.String("locator"),
	}
	if !r.Form.Valid() {
		return nil, usage("--form is notice, removal-order or national-law")
	}
	for _, g := range c.StringSlice("ground") {
		r.Grounds = append(r.Grounds, wire.ReferralGrounds(g))
	}
	for name, to := range map[string]*time.Time{"issued": &r.Issued, "deadline": &r.Deadline, "preserve-until": &r.PreserveUntil} {
		var err error
		if *to, err = moment(c, name, now); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// moment reads a time, or a duration from now; zero when the flag is not given.
func moment(c *cli.Context, name string, now time.Time) (time.Time, error) {
	s := c.String(name)
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	d, err := parseTime(s)
	if err != nil {
		return time.Time{}, usage("--%s takes a time such as 2026-01-02T15:04:05Z, or a duration such as 24h or 7d", name)
	}
	return now.Add(d).UTC(), nil
}

func referralRows(r *wire.Referral) [][]string {
	rows := [][]string{{"referral", string(r.Form) + " of " + r.State + ", " + r.Basis}}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{"", name + " " + value})
		}
	}
	var grounds []string
	for _, g := range r.Grounds {
		grounds = append(grounds, string(g))
	}
	add("ground", strings.Join(grounds, ", "))
	add("addressed to", r.Addressee)
	for _, t := range []struct {
		name string
		at   time.Time
	}{{"issued", r.Issued}, {"decide until", r.Deadline}, {"preserve until", r.PreserveUntil}} {
		if !t.at.IsZero() {
			add(t.name, day(t.at))
		}
	}
	add("reference", r.Reference)
	add("authority", r.Authority)
	add("locator", r.Locator)
	return rows
}
