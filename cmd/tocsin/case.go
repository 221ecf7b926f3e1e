// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
)

func (p *program) caseCommand() *cli.Command {
	return &cli.Command{
		Name: "case", Usage: "matters under vote",
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list cases, open ones by deadline",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "state", Usage: "open, accepted, rejected, lapsed, withdrawn, moot or all", Value: "open"},
					&cli.StringFlag{Name: "kind", Usage: kindWords},
					&cli.BoolFlag{Name: "mine", Usage: "only those on which this organisation has yet to vote"},
					limitFlag(), jsonFlag(),
				},
				Action: p.caseList,
			},
			{
				Name: "show", Usage: "show a case, why it stands where it stands, and what it still needs", ArgsUsage: "CASE",
				Flags:  []cli.Flag{revealFlag(), jsonFlag()},
				Action: p.caseShow,
			},
			{
				Name: "withdraw", Usage: "withdraw an open case of this organisation", ArgsUsage: "CASE",
				Description: "Prints the id of the operation.",
				Flags:       []cli.Flag{reasonFlag(), textFlag("free `TEXT` for the members"), jsonFlag()},
				Action:      p.caseWithdraw,
			},
		},
	}
}

const kindWords = "addition, urgent, referral, dispute, enrolment, expulsion, leave, tier, key, policy, taxonomy or allow-list"

func reasonFlag() cli.Flag { return &cli.StringFlag{Name: "reason", Usage: "`CODE` of the reason"} }

func textFlag(usage string) cli.Flag { return &cli.StringFlag{Name: "text", Usage: usage} }

// reason returns the reason, which some commands do not go without.
func reason(c *cli.Context) (string, error) {
	if c.String("reason") == "" {
		return "", usage("%s takes a --reason", c.Command.HelpName)
	}
	return c.String("reason"), nil
}

func limitFlag() cli.Flag {
	return &cli.IntFlag{Name: "limit", Usage: "at most `N` lines; 0: all", Value: 100}
}

func revealFlag() cli.Flag {
	return &cli.BoolFlag{Name: "reveal", Usage: "show the values of signals too; the node's log says so"}
}

// maxPage is how many lines the node sends at a time.
const maxPage = 500

// pages calls fetch with cursor and limit until there are limit lines or no more.
// It returns the cursor behind the last line, "" when that was all.
func pages(limit int, fetch func(cursor string, n int) (got int, next string, err error)) (string, error) {
	if limit < 0 {
		return "", usage("--limit takes a number from 0")
	}
	cursor := ""
	for have := 0; ; {
		n := maxPage
		if limit > 0 {
			n = min(n, limit-have)
		}
		got, next, err := fetch(cursor, n)
		have += got
		if err != nil || next == "" || have == limit {
			return next, err
		}
		cursor = next
	}
}

func (p *program) caseList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	params := wire.ListCasesParams{Kind: wire.CaseKind(c.String("kind")), Mine: c.Bool("mine")}
	if s := c.String("state"); s != "all" {
		params.State = wire.CaseState(s)
	}
	if params.State != "" && !params.State.Valid() || params.Kind != "" && !params.Kind.Valid() {
		return usage("there are no cases of this --state or --kind; see tocsin case list --help")
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	out := wire.CaseList{Cases: []wire.CaseSummary{}}
	out.Next, err = pages(c.Int("limit"), func(cursor string, n int) (int, string, error) {
		params.Cursor, params.Limit = cursor, n
		l, err := listCases(c.Context, client, &params)
		if err != nil {
			return 0, "", err
		}
		out.Cases = append(out.Cases, l.Cases...)
		return len(l.Cases), l.Next, nil
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(out)
	}
	return p.printCases(&out)
}

func listCases(ctx context.Context, client *wire.ClientWithResponses, params *wire.ListCasesParams) (*wire.CaseList, error) {
	resp, err := client.ListCasesWithResponse(ctx, params)
	if err != nil {
		return nil, callError(err, nil, 0, nil)
	}
	return resp.JSON200, callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault)
}

func (p *program) printCases(l *wire.CaseList) error {
	rows := [][]string{{"CASE", "KIND", "STATE", "FROM", "ABOUT", "YES/NEED", "NO", "DEADLINE", "VOTED"}}
	for _, k := range l.Cases {
		rows = append(rows, []string{k.ID, string(k.Kind), string(k.State), k.Organisation, about(&k),
			fmt.Sprintf("%d/%d", k.Yes, k.Need), fmt.Sprint(k.No), day(k.Deadline), voted(&k)})
	}
	if l.Next != "" {
		fmt.Fprintln(p.talk, "tocsin: there are more; raise --limit to see them")
	}
	return p.table(rows)
}

// about says in a few words what a case is on.
func about(k *wire.CaseSummary) string {
	switch {
	case k.Candidate != "":
		return k.Candidate
	case k.Entry != "":
		return "entry " + k.Entry[:12] + "…"
	case k.Subject != "":
		return k.Subject
	case k.Items > 0:
		return fmt.Sprintf("%d items, %d signals", k.Items, k.Signals)
	}
	return k.Reason
}

func voted(k *wire.CaseSummary) string {
	if !k.MayVote {
		return "-"
	}
	return yes(k.Voted)
}

func (p *program) caseShow(c *cli.Context) error {
	id, err := oneArgument(c, "case")
	if err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ShowCaseWithResponse(c.Context, id, &wire.ShowCaseParams{Reveal: c.Bool("reveal")})
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	if err := callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(resp.JSON200)
	}
	meanings, err := meaningRows(c.Context, client, resp.JSON200.Content)
	if err != nil {
		return err
	}
	return p.printCase(resp.JSON200, meanings)
}

// meaningRows says in English and French what the terms of the taxonomy mean that
// label a case: those who vote are to mean the same by them.
func meaningRows(ctx context.Context, client *wire.ClientWithResponses, items []wire.Item) (rows [][]string, err error) {
	used := map[string]bool{}
	for i := range items {
		for _, l := range items[i].Labels {
			used[l] = true
		}
	}
	if len(used) == 0 {
		return nil, nil
	}
	resp, err := client.ShowTaxonomyWithResponse(ctx)
	if err != nil {
		return nil, callError(err, nil, 0, nil)
	}
	if err := callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault); err != nil {
		return nil, err
	}
	for _, t := range resp.JSON200.Terms {
		if label := t.Axis + ":" + t.Code; used[label] {
			rows = append(rows, []string{label, t.NameEn + ": " + t.TextEn}, []string{"", t.NameFr + " : " + t.TextFr})
		}
	}
	return rows, nil
}

// printCase shows a case, with what the labels in it mean.
func (p *program) printCase(k *wire.Case, meanings [][]string) error {
	rows := [][]string{
		{"case", k.ID}, {"kind", string(k.Kind)}, {"state", string(k.State)}, {"from", k.Organisation}, {"reason", k.Reason},
		{"opened", day(k.Opened)}, until(k),
		{"tally", fmt.Sprintf("%d yes of %d needed, %d no, %d abstain", k.Yes, k.Need, k.No, k.Abstain)},
		{"electorate", strings.Join(k.Electorate, " ")},
	}
	if k.Text != "" {
		rows = append(rows, []string{"text", k.Text})
	}
	if k.Entry != "" {
		rows = append(rows, []string{"entry", k.Entry})
	}
	if k.Enrol.ID != "" {
		rows = append(rows, []string{"candidate", fmt.Sprintf("%s, %s, %s in %s", k.Enrol.ID, k.Enrol.Name, k.Enrol.Role, k.Enrol.Jurisdiction)})
	}
	if k.Subject != "" && k.Enrol.ID == "" {
		rows = append(rows, []string{"about", k.Subject})
	}
	if k.Referral != nil {
		rows = append(rows, referralRows(k.Referral)...)
	}
	for _, v := range k.Votes {
		vote := fmt.Sprintf("%s %s", v.Organisation, v.Choice)
		if len(v.Except) > 0 {
			vote += fmt.Sprintf(" except items %v", v.Except)
		}
		if len(v.Override) > 0 {
			vote += fmt.Sprintf(" overriding what holds items %v", v.Override)
		}
		rows = append(rows, []string{"vote", strings.TrimSpace(vote + " " + v.Reason)})
		for i := range v.Blast {
			rows = append(rows, []string{"", blastWords(&v.Blast[i]) + ", as " + v.Organisation + " counts"})
		}
	}
	for i := range k.Content {
		rows = append(rows, itemRows(fmt.Sprintf("item %d", i), &k.Content[i])...)
	}
	if err := p.table(append(rows, meanings...)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.out, "\n%s\n", strings.Join(k.Explanation, "\n"))
	return err
}

// until says when a case ends or when it ended.
func until(k *wire.Case) []string {
	if k.State == "open" {
		return []string{"deadline", day(k.Deadline)}
	}
	return []string{"decided", day(k.Decided)}
}

func (p *program) caseWithdraw(c *cli.Context) error {
	id, err := oneArgument(c, "case")
	if err != nil {
		return err
	}
	body := wire.WithdrawalRequest{Case: id, Text: c.String("text")}
	if body.Reason, err = reason(c); err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.WithdrawWithResponse(c.Context, body)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	return p.answered(c, resp.HTTPResponse, resp.JSON201, resp.ApplicationProblemJSONDefault)
}

func itemRows(name string, i *wire.Item) [][]string {
	var counts []string
	for _, n := range i.Signals {
		counts = append(counts, fmt.Sprintf("%d %s", n.Count, n.Type))
	}
	rows := [][]string{{name, strings.Join(i.Labels, ",") + ": " + strings.Join(counts, ", ")}}
	if i.Entry != "" {
		rows = append(rows, []string{"", "entry " + i.Entry})
	}
	for _, v := range i.Values {
		rows = append(rows, []string{"", v.Type + ":" + v.Value})
	}
	return rows
}
