// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog/receipt"
)

func (p *program) receiptCommand() *cli.Command {
	signal := &cli.StringFlag{Name: "signal", Usage: "open this signal of the entry, `TYPE:VALUE`; without it every value is withheld"}
	return &cli.Command{
		Name: "receipt", Usage: "proofs that hold offline, for anyone with the genesis document",
		Subcommands: []*cli.Command{
			{
				Name: "get", Usage: "have the node make a receipt of an entry, or that a signal is not listed", ArgsUsage: "[ENTRY]",
				Description: "With --signal alone the receipt proves that no entry lists the signal; it shows what stands\nbeside it and is for enrolled parties only.",
				Flags:       []cli.Flag{signal, &cli.StringFlag{Name: "out", Usage: "write to `FILE` instead of the standard output"}},
				Action:      p.receiptGet,
			},
			{
				Name: "verify", Usage: "verify a receipt and say what it proves", ArgsUsage: "FILE",
				Description: "With --entry or --signal, a receipt that is about anything else is refused.",
				Flags: []cli.Flag{
					genesisFlag(), jsonFlag(), &cli.StringFlag{Name: "entry", Usage: "the receipt must be about this `ENTRY`"},
					&cli.StringFlag{Name: "signal", Usage: "and open this signal, or prove that it is not listed: `TYPE:VALUE`"},
				},
				Action: p.receiptVerify,
			},
		},
	}
}

// genesisFlag names the consortium for commands that work offline.
func genesisFlag() cli.Flag {
	return &cli.StringFlag{Name: "genesis", Usage: "the consortium's genesis `FILE`; without it that in the data directory"}
}

func (p *program) receiptGet(c *cli.Context) error {
	q := map[string]string{}
	if c.NArg() > 1 || c.NArg() == 0 && c.String("signal") == "" {
		return usage("%s takes an entry, or a signal, or both", c.Command.HelpName)
	}
	if c.NArg() == 1 {
		q["entry"] = c.Args().First()
	}
	if s := c.String("signal"); s != "" {
		typ, value, err := splitSignal(s)
		if err != nil {
			return err
		}
		q["type"], q["value"] = typ, value
	}
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	b, err := rawCall(c, http.MethodPost, "/v1/receipts", body, receipt.MaxReceipt)
	if err != nil {
		return err
	}
	if out := c.String("out"); out != "" {
		return os.WriteFile(out, b, 0o600)
	}
	_, err = p.out.Write(b)
	return err
}

// rawCall calls a route of the node whose answer is not JSON.
func rawCall(c *cli.Context, method, path string, body []byte, limit int64) ([]byte, error) {
	client, err := connect(c)
	if err != nil {
		return nil, err
	}
	b, err := rawClient(c.Context, client, method, path, body, limit)
	return b, err
}

func (p *program) genesis(c *cli.Context) (*spec.Genesis, error) {
	if path := c.String("genesis"); path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, spec.Errorf(spec.CodeUsage, "reading the genesis file: %w", err)
		}
		g, err := identity.ParseGenesisFile(data)
		if err != nil {
			return nil, err
		}
		return g.Genesis, nil
	}
	dir, err := consortiumDir(c)
	if err != nil {
		return nil, err
	}
	g, err := identity.LoadGenesis(dir)
	if err != nil {
		return nil, err
	}
	return g.Genesis, nil
}

func (p *program) receiptVerify(c *cli.Context) error {
	path, err := oneArgument(c, "file")
	if err != nil {
		return err
	}
	g, err := p.genesis(c)
	if err != nil {
		return err
	}
	v, err := receipt.NewVerifier(g)
	if err != nil {
		return err
	}
	q, err := question(c)
	if err != nil {
		return err
	}
	b, err := readUpTo(path, receipt.MaxReceipt)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(b, absenceHead) {
		return p.absent(c, v, q, b)
	}
	fact, err := v.Verify(b)
	if err == nil {
		err = fact.Answers(q)
	}
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(factJSON(fact))
	}
	return p.table(factRows(fact))
}

// question is what --entry and --signal say that a receipt must be about.
func question(c *cli.Context) (q receipt.Question, err error) {
	if s := c.String("entry"); s != "" {
		entry, err := spec.ParseHash(s)
		if err != nil {
			return q, err
		}
		q.Entry = &entry
	}
	if s := c.String("signal"); s != "" {
		typ, value, err := splitSignal(s)
		if err != nil {
			return q, err
		}
		signal, err := spec.ParseSignal(typ, value)
		if err != nil {
			return q, err
		}
		q.Signal = &signal
	}
	return q, nil
}

// splitSignal splits TYPE:VALUE.
func splitSignal(s string) (typ, value string, err error) {
	typ, value, ok := strings.Cut(s, ":")
	if !ok {
		return "", "", usage("--signal takes TYPE:VALUE")
	}
	return typ, value, nil
}

// absenceHead begins a receipt of absence: an array of eleven of version 1.
var absenceHead = []byte{0x8b, receipt.Version}

func (p *program) absent(c *cli.Context, v *receipt.Verifier, q receipt.Question, b []byte) error {
	f, err := v.VerifyAbsence(b)
	if err == nil {
		err = f.Answers(q)
	}
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(map[string]any{"proved": "absent", "origin": f.Origin, "type": f.Signal.Type, "value": f.Signal.Text(), "size": f.Size, "final_time": f.Final.UTC()})
	}
	return p.table([][]string{
		{"proved", "no entry lists the " + f.Signal.Type + " " + f.Signal.Text()},
		{"consortium", f.Origin}, {"as of", fmt.Sprintf("log size %d, %s", f.Size, day(f.LogTime))}, {"final", "no older than " + day(f.Final)},
	})
}

func factRows(f *receipt.Fact) [][]string {
	rows := [][]string{
		{"proved", "the entry is " + f.State},
		{"entry", f.Entry.String()},
		{"consortium", f.Origin},
		{"proposed by", f.Organisation},
		{"labels", strings.Join(f.Labels, ", ")},
	}
	if f.Signal != nil {
		rows = append(rows, []string{"signal", f.Signal.Type + " " + f.Signal.Text()}, []string{"lookups find it", yes(f.Live)})
	}
	rows = append(rows, rulingRow("listed", &f.Listing))
	if f.Retraction != nil {
		rows = append(rows, rulingRow("retracted", f.Retraction), []string{"applied", everywhere(f)})
	}
	return append(rows,
		[]string{"as of", fmt.Sprintf("log size %d, %s", f.Size, day(f.LogTime))},
		[]string{"final", fmt.Sprintf("no older than %s, cosigned by %s", day(f.Final), strings.Join(f.Cosigners, ", "))},
	)
}

// everywhere says when every sequencer had applied a retraction.
func everywhere(f *receipt.Fact) string {
	if at, known := f.Everywhere(); known {
		return fmt.Sprintf("by every sequencer at %s, each by its own clock", day(at))
	}
	return "when every sequencer had is not known: no word of " + strings.Join(f.Unconfirmed, ", ")
}

func rulingRow(what string, r *receipt.Ruling) []string {
	when := "not decided yet"
	if r.Decided != 0 {
		when = "decided " + day(r.At.In(time.Local))
	}
	return []string{what, fmt.Sprintf("%s: %s; approved by %s, %d needed", r.Reason, when, strings.Join(r.Approvers, ", "), r.Need)}
}

func factJSON(f *receipt.Fact) map[string]any {
	ruling := func(r *receipt.Ruling) map[string]any {
		return map[string]any{"case": r.Case.String(), "reason": r.Reason, "opened": r.Opened, "decided": r.Decided, "approvers": r.Approvers, "need": r.Need}
	}
	out := map[string]any{
		"proved": f.State, "entry": f.Entry.String(), "origin": f.Origin, "organisation": f.Organisation, "labels": f.Labels, "listing": ruling(&f.Listing),
		"size": f.Size, "log_time": f.LogTime.UTC(), "final_time": f.Final.UTC(), "cosigners": f.Cosigners,
	}
	if f.Signal != nil {
		out["type"], out["value"], out["live"] = f.Signal.Type, f.Signal.Text(), f.Live
	}
	if f.Retraction != nil {
		out["retraction"] = ruling(f.Retraction)
		applied := map[string]any{}
		for _, a := range f.Applied {
			applied[a.Organisation] = a.At.UTC()
		}
		out["applied"], out["unconfirmed"] = applied, f.Unconfirmed
		if at, known := f.Everywhere(); known {
			out["applied_by_all"] = at.UTC()
		}
	}
	return out
}
