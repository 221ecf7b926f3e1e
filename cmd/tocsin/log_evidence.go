// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/audit"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

func (p *program) logEvidenceCommand() *cli.Command {
	return &cli.Command{
		Name: "evidence", Usage: "who cosigned what is not the log, and the proof of it",
		Description: "Lists what the node keeps, each piece verified here, with the genesis document alone.\n" +
			"A fork is proved by those who made the log final at its size: to verify one of a panel that\n" +
			"took over later offline, give a dump of the log beside it.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "write each piece into the folder `DIR`"},
			&cli.StringFlag{Name: "from-file", Usage: "verify the piece in `FILE`, offline"},
			&cli.StringFlag{Name: "dump", Usage: "a dump of the log that shows the panels, with --from-file: `FILE`"},
			genesisFlag(), jsonFlag(),
		},
		Action: p.logEvidence,
	}
}

func (p *program) logEvidence(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	g, err := p.genesis(c)
	if err != nil {
		return err
	}
	var kept []*cosign.Proved
	if path := c.String("from-file"); path != "" {
		kept, err = evidenceInFile(path, c.String("dump"), g)
	} else {
		kept, err = evidenceOfNode(c, g)
	}
	if err != nil {
		return err
	}
	if dir := c.String("out"); dir != "" {
		if err := writeEvidence(dir, kept); err != nil {
			return err
		}
	}
	return p.printEvidence(c.Bool("json"), kept)
}

// evidenceInFile verifies one piece offline.
func evidenceInFile(path, dump string, g *spec.Genesis) ([]*cosign.Proved, error) {
	b, err := readUpTo(path, cosign.MaxProof)
	if err != nil {
		return nil, err
	}
	chain, err := tlog.NewChain(g)
	if err == nil && dump != "" {
		var f *os.File
		if f, err = os.Open(dump); err != nil {
			return nil, spec.Errorf(spec.CodeUsage, "reading the dump: %w", err)
		}
		defer f.Close()
		chain, err = audit.PanelsOf(f, g)
	}
	if err != nil {
		return nil, err
	}
	one, err := cosign.Judge(b, g, chain)
	return []*cosign.Proved{one}, err
}

// evidenceOfNode fetches all that a node keeps, and verifies it here.
func evidenceOfNode(c *cli.Context, g *spec.Genesis) (kept []*cosign.Proved, err error) {
	client, err := connect(c)
	if err != nil {
		return nil, err
	}
	get := logFiles(client)
	ids, err := get(c.Context, cosign.EvidencePath(""))
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	chain, err := audit.Panels(c.Context, g, get)
	if err != nil {
		return nil, err
	}
	for _, id := range strings.Fields(string(ids)) {
		one, err := fetchEvidence(c.Context, get, id, g, chain)
		if err != nil {
			return nil, err
		}
		kept = append(kept, one)
	}
	return kept, nil
}

func fetchEvidence(ctx context.Context, get func(context.Context, string) ([]byte, error), id string, g *spec.Genesis, chain *tlog.Chain) (*cosign.Proved, error) {
	b, err := get(ctx, cosign.EvidencePath(id))
	if err != nil {
		return nil, err
	}
	one, err := cosign.Judge(b, g, chain)
	if err == nil && one.ID() != id {
		err = spec.Errorf(spec.CodeProof, "the node gave other evidence than was asked for")
	}
	return one, err
}

func writeEvidence(dir string, kept []*cosign.Proved) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return spec.Errorf(spec.CodeUsage, "making the folder: %w", err)
	}
	for _, e := range kept {
		if err := os.WriteFile(filepath.Join(dir, e.ID()+".cbor"), e.Bytes, 0o644); err != nil {
			return spec.Errorf(spec.CodeUsage, "writing the evidence: %w", err)
		}
	}
	return nil
}

func (p *program) printEvidence(asJSON bool, kept []*cosign.Proved) error {
	if asJSON {
		out := []map[string]any{}
		for _, e := range kept {
			out = append(out, map[string]any{"id": e.ID(), "kind": e.Kind, "accused": e.Accused, "size": e.Size})
		}
		return p.json(out)
	}
	rows := [][]string{{"evidence", "kind", "against", "at size"}}
	for _, e := range kept {
		rows = append(rows, []string{e.ID(), e.Kind, strings.Join(e.Accused, ", "), strconv.FormatUint(e.Size, 10)})
	}
	return p.table(rows)
}
