// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
)

func (p *program) entryCommand() *cli.Command {
	return &cli.Command{
		Name: "entry", Usage: "what is listed",
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list entries",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "state", Usage: "provisional, active, disputed, suspended or retracted"},
					&cli.StringFlag{Name: "label", Usage: "only those with the `LABEL`"},
					&cli.StringFlag{Name: "organisation", Usage: "only those that the organisation of this `ID` proposed"},
					limitFlag(), jsonFlag(),
				},
				Action: p.entryList,
			},
			{
				Name: "show", Usage: "show an entry", ArgsUsage: "ENTRY",
				Flags:  []cli.Flag{revealFlag(), jsonFlag()},
				Action: p.entryShow,
			},
		},
	}
}

func (p *program) entryList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	params := wire.ListEntriesParams{State: wire.EntryState(c.String("state")), Label: c.String("label"), Organisation: c.String("organisation")}
	if params.State != "" && !params.State.Valid() {
		return usage("--state is provisional, active, disputed, suspended or retracted")
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	out := wire.EntryList{Entries: []wire.EntrySummary{}}
	out.Next, err = pages(c.Int("limit"), func(cursor string, n int) (int, string, error) {
		params.Cursor, params.Limit = cursor, n
		l, err := listEntries(c.Context, client, &params)
		if err != nil {
			return 0, "", err
		}
		out.Entries = append(out.Entries, l.Entries...)
		return len(l.Entries), l.Next, nil
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(out)
	}
	rows := [][]string{{"ENTRY", "STATE", "FROM", "SIGNALS", "LABELS"}}
	for _, e := range out.Entries {
		rows = append(rows, []string{e.ID, string(e.State), e.Organisation, fmt.Sprint(e.Signals), strings.Join(e.Labels, ",")})
	}
	if out.Next != "" {
		fmt.Fprintln(p.talk, "tocsin: there are more; raise --limit to see them")
	}
	return p.table(rows)
}

func listEntries(ctx context.Context, client *wire.ClientWithResponses, params *wire.ListEntriesParams) (*wire.EntryList, error) {
	resp, err := client.ListEntriesWithResponse(ctx, params)
	if err != nil {
		return nil, callError(err, nil, 0, nil)
	}
	return resp.JSON200, callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault)
}

func (p *program) entryShow(c *cli.Context) error {
	id, err := oneArgument(c, "entry")
	if err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ShowEntryWithResponse(c.Context, id, &wire.ShowEntryParams{Reveal: c.Bool("reveal")})
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	if err := callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	e := resp.JSON200
	if c.Bool("json") {
		return p.json(e)
	}
	rows := [][]string{
		{"entry", e.ID}, {"state", string(e.State)}, {"from", e.Organisation},
		{"since", fmt.Sprintf("log index %d", e.LogIndex)}, {"case", fmt.Sprintf("%s item %d", e.Case, e.Number)},
	}
	if e.Dispute != "" {
		rows = append(rows, []string{"dispute", e.Dispute})
	}
	return p.table(append(rows, itemRows("content", &e.Content)...))
}
