// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"log/slog"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/weburl"
)

func (p *program) proposeCommand() *cli.Command {
	return &cli.Command{
		Name: "propose", Usage: "propose files or signals, which opens a case", ArgsUsage: "FILE...",
		Description: "Hashes the files here, one item each; no content leaves this process. Prints the id of the case.\n" +
			"With --file, as many cases as the items take. LIST.tocsin beside the list remembers what became of\nwhich line, so that the command can be repeated whatever happened: nothing is proposed twice.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "label", Usage: "a `LABEL` of every item; may be given more than once"},
			&cli.StringFlag{Name: "basis", Usage: "`CODE` of the ground on which it is proposed", Value: "designated-entity"},
			&cli.StringFlag{Name: "text", Usage: "free `TEXT` for those who vote"},
			&cli.StringFlag{Name: "file", Usage: "propose the items of `LIST`: a line each, {\"labels\": [...], \"signals\": [{\"type\", \"value\", \"quality\"}], \"text\"}"},
			&cli.BoolFlag{Name: "urgent", Usage: "match provisionally as soon as enough organisations approve, until the case is decided"},
			signalFlag("one item of the signals that are given so"),
			&cli.StringFlag{Name: "url", Usage: "one item of an `ADDRESS`"},
			&cli.StringFlag{Name: "scope", Usage: "list the address as a `SCOPE`: page, folder or host", Value: "page"},
			jsonFlag(),
		},
		Action: p.propose,
	}
}

func (p *program) propose(c *cli.Context) error {
	if c.IsSet("file") {
		return p.proposeList(c)
	}
	if c.NArg() == 0 && len(c.StringSlice("signal")) == 0 && c.String("url") == "" {
		return usage("tocsin propose takes at least one file, --signal TYPE:VALUE or --url ADDRESS")
	}
	if len(c.StringSlice("label")) == 0 {
		return usage("tocsin propose takes at least one --label")
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	body := wire.ProposalRequest{Basis: c.String("basis"), Text: c.String("text"), Urgent: c.Bool("urgent")}
	return p.proposeItems(c, client, &body)
}

// proposeItems fills in the items of the command line and proposes them.
func (p *program) proposeItems(c *cli.Context, client *wire.ClientWithResponses, body *wire.ProposalRequest) (err error) {
	if body.Items, err = p.items(c); err != nil {
		return err
	}
	resp, err := client.ProposeWithResponse(c.Context, *body)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	return p.answered(c, resp.HTTPResponse, resp.JSON201, resp.ApplicationProblemJSONDefault)
}

// items makes one item of each file and one of the signals on the command line.
func (p *program) items(c *cli.Context) ([]wire.ProposalItem, error) {
	var items []wire.ProposalItem
	labels := c.StringSlice("label")
	if c.NArg() > 0 {
		h := media.New(media.Config{Log: slog.New(slog.DiscardHandler)})
		defer h.Close()
		for _, rec := range p.hashAll(c.Context, h, c.Args().Slice()) {
			if rec.Error != nil && len(rec.Signals) == 0 {
				return nil, &spec.Error{Code: rec.Error.Code, Message: rec.File + ": " + rec.Error.Message}
			}
			items = append(items, wire.ProposalItem{Labels: labels, Signals: p.proposable(&rec)})
		}
	}
	if a := c.String("url"); a != "" {
		item, err := addressItem(a, weburl.Scope(c.String("scope")))
		if err != nil {
			return nil, err
		}
		item.Labels = labels
		items = append(items, item)
	}
	if texts := c.StringSlice("signal"); len(texts) > 0 {
		item := wire.ProposalItem{Labels: labels}
		for _, text := range texts {
			s, err := parseSignal(text)
			if err != nil {
				return nil, err
			}
			if t, ok := spec.SignalTypeOf(s.Type); ok && t.Quality {
				best := 100 // whoever has only the value vouches for it
				s.Quality = &best
			}
			item.Signals = append(item.Signals, s)
		}
		items = append(items, item)
	}
	return items, nil
}

// addressItem is an address as it is listed: as a page, a folder or a host.
func addressItem(address string, scope weburl.Scope) (wire.ProposalItem, error) {
	u, err := weburl.Parse(address)
	if err != nil {
		return wire.ProposalItem{}, err
	}
	e, err := u.List(scope)
	return wire.ProposalItem{Signals: []wire.Signal{{Type: "url", Value: e.Value()}}}, err
}

// proposable leaves out hashes of too poor a quality, which would match what
// they should not, and says so.
func (p *program) proposable(rec *hashRecord) []wire.Signal {
	var out []wire.Signal
	seen := map[hashSignal]bool{}
	if rec.Error != nil {
		fmt.Fprintf(p.talk, "tocsin: %s: only its exact hashes are proposed: %s\n", rec.File, rec.Error.Message)
	}
	for _, s := range framed(rec.Signals) {
		t, known := spec.SignalTypeOf(s.Type)
		key := hashSignal{Type: s.Type, Value: s.Value}
		switch {
		case !known || seen[key]:
			continue
		case s.Quality != nil && *s.Quality < t.MinQuality:
			fmt.Fprintf(p.talk, "tocsin: %s: a %s of quality %d is left out: it takes %d\n", rec.File, s.Type, *s.Quality, t.MinQuality)
			continue
		}
		seen[key] = true
		out = append(out, wire.Signal{Type: s.Type, Value: s.Value, Quality: s.Quality})
	}
	return out
}

// framed turns the vpdq of a video into its kept frames, one signal each, which is
// how a video is listed.
func framed(signals []hashSignal) []hashSignal {
	var out []hashSignal
	for _, s := range signals {
		frames, err := media.Listing([]media.Signal{{Type: s.Type, Value: s.Value}})
		if s.Type != "vpdq" || err != nil {
			out = append(out, s)
			continue
		}
		for _, f := range frames {
			out = append(out, hashSignal{Type: f.Type, Value: f.Text(), Quality: &f.Quality})
		}
	}
	return out
}
