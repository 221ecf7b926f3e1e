// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
)

func (p *program) actionCommand() *cli.Command {
	return &cli.Command{
		Name: "action", Usage: "what this organisation's platform did about content that matched",
		Subcommands: []*cli.Command{{
			Name: "report", Usage: "report an action on one entry's content", ArgsUsage: "ENTRY",
			Description: "A TIME is RFC 3339. The figures are this organisation's own word. Prints the id of the operation.",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "what", Usage: "`CODE`: removed, restricted, kept, restored and so on"},
				&cli.StringFlag{Name: "matched", Usage: "`TIME` of the match"},
				&cli.StringFlag{Name: "acted", Usage: "`TIME` of the action"},
				&cli.Int64Flag{Name: "count", Usage: "pieces of content", Value: 1},
				jsonFlag(),
			},
			Action: p.actionReport,
		}},
	}
}

func (p *program) actionReport(c *cli.Context) error {
	entry, err := oneArgument(c, "entry")
	if err != nil {
		return err
	}
	a := wire.Action{Entry: entry, What: c.String("what"), Count: c.Int64("count")}
	if a.What == "" {
		return usage("tocsin action report takes a --what")
	}
	for name, to := range map[string]*time.Time{"matched": &a.Matched, "acted": &a.Acted} {
		if *to, err = time.Parse(time.RFC3339, c.String(name)); err != nil {
			return usage("--%s takes a time such as 2026-01-02T15:04:05Z", name)
		}
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ReportActionsWithResponse(c.Context, wire.ActionsRequest{Reports: []wire.Action{a}})
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	return p.answered(c, resp.HTTPResponse, resp.JSON201, resp.ApplicationProblemJSONDefault)
}

func (p *program) reportCommand() *cli.Command {
	return &cli.Command{
		Name: "report", Usage: "what the public record says: how fast, what, by whom, and with what errors",
		Subcommands: []*cli.Command{
			p.transparencyCommand(),
			{
				Name: "propagation", Usage: "how long decisions take until each member's node matches by them, and who lags",
				Flags: []cli.Flag{jsonFlag()}, Action: p.reportPropagation,
			},
			{
				Name: "compliance", Usage: "the service clocks, per organisation",
				Flags: []cli.Flag{jsonFlag()}, Action: p.reportCompliance,
			},
		},
	}
}

// selfReported marks figures that are an organisation's own word.
const selfReported = "* self-reported, by the organisation's own clock"

func (p *program) reportPropagation(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ReportPropagationWithResponse(c.Context)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	if err := callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(resp.JSON200)
	}
	rows := [][]string{{"MEMBER", "CONFIRMED*", "P50*", "P99*", "MAX*", "BEHIND", "LATE"}}
	for _, m := range resp.JSON200.Members {
		rows = append(rows, []string{
			m.Organisation, fmt.Sprint(m.Times.Count), measured(m.Times, m.Times.P50Ms), measured(m.Times, m.Times.P99Ms),
			measured(m.Times, m.Times.MaxMs), fmt.Sprint(m.Behind), yes(m.Late),
		})
	}
	if err := p.table(rows); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "from the log's index %d; due within %s\n%s\n", resp.JSON200.From, span(resp.JSON200.LimitMs), selfReported)
	return err
}

// measured writes a duration of a summary, a dash where nothing was measured.
func measured(t wire.Times, ms int64) string {
	if t.Count == 0 {
		return "-"
	}
	return (time.Duration(ms) * time.Millisecond).String()
}

func (p *program) reportCompliance(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ReportComplianceWithResponse(c.Context)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	if err := callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(resp.JSON200)
	}
	return p.printCompliance(resp.JSON200)
}

func (p *program) printCompliance(r *wire.ComplianceReport) error {
	rows := [][]string{{"CLOCK", "DONE", "P50", "P99", "MAX", "DUE", "OPEN", "OVERDUE"}}
	for _, k := range []struct {
		name string
		wire.ServiceClock
	}{{"referral to decision", r.Referral}, {"dispute to ruling", r.Dispute}} {
		t := k.Times
		rows = append(rows, []string{
			k.name, fmt.Sprint(t.Count), measured(t, t.P50Ms), measured(t, t.P99Ms), measured(t, t.MaxMs), span(k.LimitMs), fmt.Sprint(k.Open), fmt.Sprint(k.Overdue),
		})
	}
	if err := p.table(rows); err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	rows = [][]string{{"ORGANISATION", "ROLE", "REFERRED P50", "MAX", "DISPUTED P50", "MAX", "AWAITED", "MATCHABLE P50*", "MAX*", "BEHIND", "ACTIONS*", "LATE*", "WORST*", "MARKS"}}
	for _, o := range r.Organisations {
		worst := "-"
		if o.Actions.Reports > 0 {
			worst = (time.Duration(o.Actions.WorstMs) * time.Millisecond).String()
		}
		rows = append(rows, []string{
			o.Organisation, string(o.Role), measured(o.Referral, o.Referral.P50Ms), measured(o.Referral, o.Referral.MaxMs),
			measured(o.Dispute, o.Dispute.P50Ms), measured(o.Dispute, o.Dispute.MaxMs), fmt.Sprint(o.Awaited), measured(o.Matchable, o.Matchable.P50Ms), measured(o.Matchable, o.Matchable.MaxMs), fmt.Sprint(o.Behind),
			fmt.Sprint(o.Actions.Reports), fmt.Sprint(o.Actions.Late), worst, marks(&o),
		})
	}
	if err := p.table(rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.out, "matchable within %s, action within %s\n%s\n", span(r.MatchableLimitMs), span(r.ActionLimitMs), selfReported)
	return err
}

// marks names what an organisation is marked for on the public record.
func marks(o *wire.OrganisationClocks) string {
	var out []string
	for _, m := range []struct {
		name string
		n    int64
	}{{"referral", o.Marks.Referral}, {"dispute", o.Marks.Dispute}, {"matchable", o.Marks.Matchable}} {
		if m.n > 0 {
			out = append(out, fmt.Sprintf("%s %d", m.name, m.n))
		}
	}
	if out == nil {
		return "-"
	}
	return strings.Join(out, ", ")
}
