// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
)

// jsonFlag is on every command that prints data.
func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON"} }

// json prints one value, readable, with a line end.
func (p *program) json(v any) error {
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints rows in columns.
func (p *program) table(rows [][]string) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// made prints the id that a command made.
func (p *program) made(c *cli.Context, id string) error {
	if c.Bool("json") {
		return p.json(map[string]string{"id": id})
	}
	_, err := fmt.Fprintln(p.out, id)
	return err
}

// answered prints the id that a call made, or returns what went wrong.
func (p *program) answered(c *cli.Context, resp *http.Response, made *wire.Made, problem *wire.Problem) error {
	if err := callError(nil, resp, http.StatusCreated, problem); err != nil {
		return err
	}
	return p.made(c, made.ID)
}

// day writes a time for people.
func day(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// yes writes a truth for people.
func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// oneArgument returns the only argument.
func oneArgument(c *cli.Context, what string) (string, error) {
	if c.NArg() != 1 {
		return "", usage("%s takes one %s, not %d", c.Command.HelpName, what, c.NArg())
	}
	return c.Args().First(), nil
}

func noArguments(c *cli.Context) error {
	if c.NArg() != 0 {
		return usage("%s takes no argument, and %q is one", c.Command.HelpName, c.Args().First())
	}
	return nil
}
