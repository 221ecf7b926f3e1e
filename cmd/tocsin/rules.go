// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

func (p *program) policyCommand() *cli.Command {
	return &cli.Command{
		Name: "policy", Usage: "the rules by which cases are decided",
		Subcommands: []*cli.Command{
			{Name: "show", Usage: "show the policy in force", Flags: []cli.Flag{jsonFlag()}, Action: p.policyShow},
			{
				Name: "propose", Usage: "ask to put another policy in force", ArgsUsage: "FILE",
				Description: "The file is what policy show --json prints, changed. " + opensCase,
				Flags:       []cli.Flag{textFlag("free `TEXT` for those who vote"), jsonFlag()}, Action: p.policyPropose,
			},
		},
	}
}

func (p *program) policyShow(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ShowPolicyWithResponse(c.Context)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	if err := callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(resp.JSON200)
	}
	return p.printPolicy(&resp.JSON200.Policy)
}

func (p *program) printPolicy(o *wire.Policy) error {
	rows := [][]string{{"CASES", "APPROVALS", "QUORUM", "WINDOW", "PROPOSER", "JURISDICTIONS", "COOL-DOWN", "PER DAY"}}
	for _, r := range []struct {
		name string
		wire.Rule
	}{{"additions", o.Addition}, {"disputes", o.Dispute}, {"membership", o.Membership}, {"keys", o.Keys}, {"changes", o.Change}} {
		rows = append(rows, []string{
			r.name, fraction(r.Threshold), fraction(r.Quorum), span(r.WindowMs), yes(r.ProposerCounts), fmt.Sprint(max(1, r.Jurisdictions)), span(r.CooldownMs), anyNumber(r.PerDay),
		})
	}
	if err := p.table(rows); err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	u, k := &o.Urgent, &o.Clocks
	sequencers := "all, up to nine"
	if len(o.Sequencers) > 0 {
		sequencers = strings.Join(o.Sequencers, " ")
	}
	return p.table([][]string{
		{"urgent additions", fmt.Sprintf("match provisionally from %d approvals, for %s; %s per day; bar after a lapse %s", u.Approvals, span(u.SunsetMs), anyNumber(u.PerDay), span(u.BarMs))},
		{"freeze by a dispute", yes(o.Freeze)},
		{"filed by others per day", anyNumber(o.OutsidePerDay)},
		{"clocks", fmt.Sprintf("referral %s, matchable %s, action %s, mark after %s", span(k.ReferralMs), span(k.MatchableMs), span(k.ActionMs), span(k.MarkMs))},
		{"sequencers", sequencers},
	})
}

func fraction(f wire.Fraction) string {
	switch {
	case f.Num == 0:
		return "-"
	case f.Strict:
		return fmt.Sprintf("over %d/%d", f.Num, f.Den)
	}
	return fmt.Sprintf("%d/%d", f.Num, f.Den)
}

// span writes milliseconds for people, none as a dash.
func span(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return (time.Duration(ms) * time.Millisecond).String()
}

func anyNumber(n int64) string {
	if n == 0 {
		return "any number"
	}
	return fmt.Sprint(n)
}

func (p *program) policyPropose(c *cli.Context) error {
	var body wire.PolicyRequest
	if err := p.readRequest(c, &body); err != nil {
		return err
	}
	body.Text = c.String("text")
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ChangePolicyWithResponse(c.Context, body)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	return p.answered(c, resp.HTTPResponse, resp.JSON201, resp.ApplicationProblemJSONDefault)
}

// readRequest reads the one argument, a file of JSON, strictly.
func (p *program) readRequest(c *cli.Context, to any) error {
	name, err := oneArgument(c, "file")
	if err != nil {
		return err
	}
	data, err := p.read(name)
	if err != nil {
		return err
	}
	if !json.Valid(data) || len(bytes.TrimSpace(data)) == 0 {
		return spec.Errorf(spec.CodeMalformed, "%s is not JSON", name)
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (p *program) taxonomyCommand() *cli.Command {
	return &cli.Command{
		Name: "taxonomy", Usage: "the shared words for what is listed",
		Subcommands: []*cli.Command{
			{
				Name: "show", Usage: "show the taxonomy in force",
				Flags: []cli.Flag{&cli.StringFlag{Name: "lang", Usage: "en or fr", Value: "en"}, jsonFlag()}, Action: p.taxonomyShow,
			},
			{
				Name: "propose", Usage: "ask to put the next version in force", ArgsUsage: "FILE",
				Description: "The file is what taxonomy show --json prints, changed, with the next version.\nTerms are made inactive, never taken away. " + opensCase,
				Flags:       []cli.Flag{textFlag("free `TEXT` for those who vote"), jsonFlag()}, Action: p.taxonomyPropose,
			},
		},
	}
}

func (p *program) taxonomyShow(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if l := c.String("lang"); l != "en" && l != "fr" {
		return usage("--lang is en or fr")
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ShowTaxonomyWithResponse(c.Context)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	if err := callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(resp.JSON200)
	}
	rows := [][]string{{"LABEL", "ACTIVE", "NAME", "DEFINITION"}}
	for _, t := range resp.JSON200.Terms {
		name, text := t.NameEn, t.TextEn
		if c.String("lang") == "fr" {
			name, text = t.NameFr, t.TextFr
		}
		rows = append(rows, []string{t.Axis + ":" + t.Code, yes(t.Active), name, text})
	}
	fmt.Fprintf(p.talk, "tocsin: version %d\n", resp.JSON200.Version)
	return p.table(rows)
}

func (p *program) taxonomyPropose(c *cli.Context) error {
	var body wire.TaxonomyRequest
	if err := p.readRequest(c, &body); err != nil {
		return err
	}
	body.Text = c.String("text")
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ChangeTaxonomyWithResponse(c.Context, body)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	return p.answered(c, resp.HTTPResponse, resp.JSON201, resp.ApplicationProblemJSONDefault)
}

func (p *program) allowCommand() *cli.Command {
	change := func(name, usage string) *cli.Command {
		return &cli.Command{
			Name: name, Usage: usage, ArgsUsage: "TYPE:VALUE...", Description: opensCase,
			Flags:  []cli.Flag{reasonFlag(), textFlag("free `TEXT` for those who vote"), jsonFlag()},
			Action: p.allowChange,
		}
	}
	return &cli.Command{
		Name: "allow", Usage: "the consortium's list of lawful content, near which nothing is listed without an override",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "list the values", Flags: []cli.Flag{revealFlag(), jsonFlag()}, Action: p.allowList},
			change("add", "ask to add values"), change("remove", "ask to remove values"),
		},
	}
}

func (p *program) allowList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ListAllowedWithResponse(c.Context, &wire.ListAllowedParams{Reveal: c.Bool("reveal")})
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	if err := callError(nil, resp.HTTPResponse, 200, resp.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(resp.JSON200)
	}
	rows := [][]string{{"TYPE", "VALUE"}}
	for _, v := range resp.JSON200.Values {
		if v.Value == "" {
			v.Value = "(--reveal shows it)"
		}
		rows = append(rows, []string{v.Type, v.Value})
	}
	return p.table(rows)
}

func (p *program) allowChange(c *cli.Context) error {
	body := wire.AllowRequest{Text: c.String("text")}
	var err error
	if body.Reason, err = reason(c); err != nil {
		return err
	}
	if c.NArg() == 0 {
		return usage("%s takes at least one TYPE:VALUE", c.Command.HelpName)
	}
	to := &body.Add
	if c.Command.Name == "remove" {
		to = &body.Remove
	}
	for _, text := range c.Args().Slice() {
		s, err := parseSignal(text)
		if err != nil {
			return err
		}
		*to = append(*to, wire.Allowed{Type: s.Type, Value: s.Value})
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ChangeAllowedWithResponse(c.Context, body)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	return p.answered(c, resp.HTTPResponse, resp.JSON201, resp.ApplicationProblemJSONDefault)
}
