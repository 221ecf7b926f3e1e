// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/weburl"
)

func (p *program) matchCommand() *cli.Command {
	return &cli.Command{
		Name: "match", Usage: "ask the node whether a file or signals are known", ArgsUsage: "FILE",
		Description: "Ends with 0 when nothing matches, 1 when something does, 2 when not everything could be looked up,\n" +
			"3 when the node is not ready or not every consortium answered, 5 when all that\n" +
			"matches is to be reviewed. The file is hashed in the node and kept nowhere.",
		Flags: []cli.Flag{
			signalFlag("look up a signal instead of a file"),
			&cli.StringSliceFlag{Name: "url", Usage: "look up an `ADDRESS`: its page, the folders above it and its host"}, jsonFlag(),
		},
		Action: p.match,
	}
}

// withAddresses adds what each address could be listed by: the expressions of
// spec/weburl.md, hashed.
func withAddresses(signals, addresses []string) ([]string, error) {
	for _, a := range addresses {
		u, err := weburl.Parse(a)
		if err != nil {
			return nil, err
		}
		for _, e := range u.Expressions() {
			signals = append(signals, "url:"+e.Value())
		}
	}
	return signals, nil
}

func signalFlag(usage string) cli.Flag {
	return &cli.StringSliceFlag{Name: "signal", Usage: usage + ", as `TYPE:VALUE`"}
}

func (p *program) match(c *cli.Context) error {
	signals, err := withAddresses(c.StringSlice("signal"), c.StringSlice("url"))
	if err != nil {
		return err
	}
	if (c.NArg() == 1) == (len(signals) > 0) || c.NArg() > 1 {
		return usage("tocsin match takes one file, --signal TYPE:VALUE or --url ADDRESS")
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	var resp *wire.MatchResponse
	if len(signals) > 0 {
		resp, err = matchSignals(c.Context, client, signals)
	} else {
		resp, err = p.matchFile(c.Context, client, c.Args().First())
	}
	if err != nil {
		return err
	}
	answer, err := answerOf(resp)
	if err != nil {
		return err
	}
	if err := p.printAnswer(c, answer); err != nil {
		return err
	}
	return verdict(answer)
}

// verdict is how the program ends on an answer.
func verdict(a *wire.MatchAnswer) error {
	switch a.Verdict {
	case api.VerdictNoMatch:
		return nil
	case api.VerdictMatch:
		return &exitError{code: exitFound}
	case api.VerdictReview:
		return &exitError{code: exitReview}
	}
	if a.Incomplete {
		return &exitError{exitNotReady, "not every consortium answered, so this is no answer: " + silent(a)}
	}
	var types []string
	for _, u := range a.Unsupported {
		types = append(types, fmt.Sprintf("%s (%s)", u.Type, u.Code))
	}
	return &exitError{exitFailed, "not everything could be looked up, so this is no answer: " + strings.Join(types, ", ")}
}

// silent names the consortia that did not answer, and why.
func silent(a *wire.MatchAnswer) string {
	var out []string
	for _, x := range a.Consortia {
		if x.Code != "" {
			out = append(out, fmt.Sprintf("%s (%s: %s)", x.Name, x.Code, x.Reason))
		}
	}
	return strings.Join(out, "; ")
}

// answerOf finds the answer in what the node said; a file that it could not look
// up comes with one too.
func answerOf(resp *wire.MatchResponse) (*wire.MatchAnswer, error) {
	if resp.JSON200 != nil {
		return resp.JSON200, nil
	}
	var p wire.Problem
	if json.Unmarshal(resp.Body, &p) == nil && p.Answer.Verdict != "" {
		return &p.Answer, nil
	}
	return nil, callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault)
}

func matchSignals(ctx context.Context, client *wire.ClientWithResponses, texts []string) (*wire.MatchResponse, error) {
	var body wire.MatchRequest
	for _, text := range texts {
		s, err := parseSignal(text)
		if err != nil {
			return nil, err
		}
		body.Signals = append(body.Signals, s)
	}
	resp, err := client.MatchWithResponse(ctx, body)
	if err != nil {
		return nil, callError(err, nil, 0, nil)
	}
	return resp, nil
}

// parseSignal splits TYPE:VALUE. The node knows which types there are.
func parseSignal(text string) (wire.Signal, error) {
	name, value, ok := strings.Cut(text, ":")
	if !ok || name == "" || value == "" {
		return wire.Signal{}, usage("a signal is written TYPE:VALUE, such as md5:d41d8cd98f00b204e9800998ecf8427e")
	}
	return wire.Signal{Type: name, Value: value}, nil
}

// matchFile sends a file to the node as it is read.
func (p *program) matchFile(ctx context.Context, client *wire.ClientWithResponses, name string) (*wire.MatchResponse, error) {
	file, err := p.open(name)
	if err != nil {
		return nil, usage("%s: %w", name, err)
	}
	defer file.Close()
	body, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile("file", filepath.Base(name))
		if err == nil {
			_, err = io.Copy(part, file)
		}
		if err == nil {
			err = form.Close()
		}
		w.CloseWithError(err)
	}()
	resp, err := client.MatchWithBodyWithResponse(ctx, form.FormDataContentType(), body)
	body.CloseWithError(io.ErrClosedPipe) // ends the sender when the node answered early
	if err != nil {
		return nil, callError(err, nil, 0, nil)
	}
	return resp, nil
}

func (p *program) printAnswer(c *cli.Context, a *wire.MatchAnswer) error {
	if c.Bool("json") {
		return p.json(a)
	}
	fmt.Fprintf(p.out, "%s\n", a.Verdict)
	var rows [][]string
	for _, m := range a.Matches {
		distance := "equal"
		if t, ok := spec.SignalTypeOf(m.Type); ok && t.Threshold > 0 {
			distance = fmt.Sprintf("distance %d of %d", m.Distance, m.Threshold)
		}
		final := "final"
		if !m.Final {
			final = "not final yet"
		}
		row := []string{m.Entry, m.Type, distance, string(m.State), final, strings.Join(m.Labels, ",")}
		if m.Verdict != "" {
			row = append(row, string(m.Verdict))
		}
		if m.Consortium != "" {
			row = append(row, m.Consortium)
		}
		rows = append(rows, row)
	}
	if a.Truncated {
		rows = append(rows, []string{"…"})
	}
	if err := p.table(rows); err != nil {
		return err
	}
	if len(a.Consortia) > 0 {
		return p.printFreshness(a)
	}
	if a.Stale {
		fmt.Fprintf(p.talk, "tocsin: the answer is stale: no sequencers that make the log final have said for %d s that it is this one\n", a.AgeMs/1000)
	}
	_, err := fmt.Fprintf(p.out, "as of %d leaves of the log, %d final, %d s ago\n", a.Size, a.FinalSize, a.AgeMs/1000)
	return err
}

// printFreshness tells for each consortium on what an answer rests.
func (p *program) printFreshness(a *wire.MatchAnswer) error {
	if a.Incomplete && a.Verdict != api.VerdictUnchecked {
		fmt.Fprintf(p.talk, "tocsin: not every consortium answered: %s\n", silent(a))
	}
	var rows [][]string
	for _, x := range a.Consortia {
		how := fmt.Sprintf("as of %d leaves, %d final, %d s ago", x.Size, x.FinalSize, x.AgeMs/1000)
		switch {
		case x.Code != "":
			how = "did not answer: " + x.Code
		case x.Stale:
			how += ", stale"
		}
		rows = append(rows, []string{x.Name, x.Origin, how})
	}
	return p.table(rows)
}
