// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/recovery"
	"github.com/tocsin-db/tocsin/spec"
)

func (p *program) recoverCommand() *cli.Command {
	return &cli.Command{
		Name: "recover", Usage: "go on with other sequencers when too many of them are lost for good",
		Description: "Two thirds of the members sign one file, which holds nothing secret, and the new sequencers apply it.\n" +
			"What was not final on a new sequencer is discarded; a copy is kept until the node, once the log is final from\n" +
			"there, purges its files. Whoever is replaced must not come back as before: only when the lost sequencers are lost for good is this the way.",
		Subcommands: []*cli.Command{
			{
				Name: "draft", Usage: "print the file of a recovery, from the newest final checkpoint that this node knows",
				Description: "  tocsin operator recover draft --sequencers alpha,delta,echo --out recovery\n" +
					"A sequencer that cosigned beyond that checkpoint needs a key that did not: it makes one with\n" +
					"tocsin keys new --use cosign > key.json, starts its node again, and is named with --key key.json.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "sequencers", Usage: "`IDS` of the members that are to sequence, with commas between"},
					&cli.StringSliceFlag{Name: "key", Usage: "`CARD` of a further cosign key of one of them; may be given more than once"},
					&cli.StringFlag{Name: "out", Usage: "write to `FILE` instead of the standard output"},
				},
				Action: p.recoverDraft,
			},
			{
				Name: "show", Usage: "say what a recovery would do", ArgsUsage: "FILE",
				Description: "Asks the node; looks at the files itself when none runs. The members and their keys are those that this\nnode knows.",
				Flags:       []cli.Flag{jsonFlag()},
				Action:      p.recoverShow,
			},
			{
				Name: "sign", Usage: "add this member's signature", ArgsUsage: "FILE",
				Description: "The file is rewritten, or another is written with --out. A running node does not cosign any more until it\n" +
					"starts again. Where none runs the keys in the data directory sign.",
				Flags: []cli.Flag{
					&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
					&cli.StringFlag{Name: "out", Usage: "write to `FILE` instead of over the one that is signed; - is the standard output"},
				},
				Action: p.recoverSign,
			},
			{
				Name: "apply", Usage: "have this node, which does not run, go on as enough members signed", ArgsUsage: "FILE",
				Description: "Each new sequencer does so, with the very same file: one that others signed makes another log, and those who\n" +
					"applied it reach nobody. Compare the root that is printed. Others follow by themselves, but for those whose\n" +
					"log is further: they do so too. It is repeated when it was interrupted.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "log", Usage: "begin with the log in `DUMP`, that another node made with recover dump, in the place of this node's own"},
					jsonFlag(),
				},
				Action: p.recoverApply,
			},
			{
				Name: "dump", Usage: "write this node's log for a new sequencer whose own is shorter or lost", ArgsUsage: "FILE",
				Description: "  tocsin operator recover dump --out log.dump recovery\n" +
					"The node does not run meanwhile. The dump opens hash values: pass it on as you would pass them on. Who takes it\n" +
					"repeats all of it, and takes no other log than the one that was final.",
				Flags:  []cli.Flag{&cli.StringFlag{Name: "out", Usage: "write to `DUMP`, which is not there yet"}},
				Action: p.recoverDump,
			},
		},
	}
}

func (p *program) recoverDraft(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	seats, err := p.recoverySeats(c)
	if err != nil {
		return err
	}
	b, err := recoveryCall(c, "", map[string]any{"sequencers": seats})
	if err != nil {
		return err
	}
	return p.writeRecovery(c.String("out"), b)
}

// recoverySeats reads who is to sequence, and with which further keys.
func (p *program) recoverySeats(c *cli.Context) ([]api.RecoverySeat, error) {
	keys := map[string][]byte{}
	for _, name := range c.StringSlice("key") {
		card, err := p.keyCard(name)
		if err != nil {
			return nil, err
		}
		if card.Use != spec.UseCosign {
			return nil, usage("%s is not the card of a cosign key", name)
		}
		keys[card.Org] = card.Key[:]
	}
	var seats []api.RecoverySeat
	for id := range strings.SplitSeq(c.String("sequencers"), ",") {
		if id = strings.TrimSpace(id); id == "" {
			return nil, usage("--sequencers takes the ids of members, with commas between")
		}
		seats = append(seats, api.RecoverySeat{Organisation: id, CosignKey: keys[id]})
		delete(keys, id)
	}
	for id := range keys {
		return nil, usage("--key names a key of %s, which --sequencers does not name", id)
	}
	return seats, nil
}

func (p *program) recoverShow(c *cli.Context) error {
	file, err := p.recoveryFile(c)
	if err != nil {
		return err
	}
	r, err := reviewRecovery(c, file)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(r)
	}
	return p.printReview(p.out, r)
}

// reviewRecovery asks the running node, or looks at the files where none runs.
func reviewRecovery(c *cli.Context, file []byte) (*api.RecoveryReview, error) {
	b, err := recoveryCall(c, ":review", map[string]any{"file": string(file)})
	if err == nil {
		r := new(api.RecoveryReview)
		return r, json.Unmarshal(b, r)
	}
	if spec.CodeOf(err) != spec.CodeUnavailable {
		return nil, err
	}
	dir, err := consortiumDir(c)
	if err != nil {
		return nil, err
	}
	r, err := node.ReviewRecoveryFiles(dir, file)
	return r, inUse(dir, err)
}

// inUse says in words that another process holds the database.
func inUse(dir string, err error) error {
	if errors.Is(err, syscall.EAGAIN) {
		return usage("another process, perhaps a running node, uses %s", dir)
	}
	return err
}

func (p *program) recoverSign(c *cli.Context) error {
	file, err := p.recoveryFile(c)
	if err != nil {
		return err
	}
	r, err := reviewRecovery(c, file)
	if err != nil {
		return err
	}
	if !c.Bool("yes") {
		if err := p.printReview(p.talk, r); err != nil {
			return err
		}
		if err := p.confirm("Those who are replaced must be lost for good. Sign this recovery?"); err != nil {
			return err
		}
	}
	b, err := signRecovery(c, file)
	if err != nil {
		return err
	}
	out := c.String("out")
	switch out {
	case "":
		out = c.Args().First()
	case "-":
		out = ""
	}
	return p.writeRecovery(out, b)
}

// signRecovery has the running node sign, or the keys of one that does not run.
func signRecovery(c *cli.Context, file []byte) ([]byte, error) {
	b, err := recoveryCall(c, ":sign", map[string]any{"file": string(file)})
	if spec.CodeOf(err) != spec.CodeUnavailable {
		return b, err
	}
	dir, err := consortiumDir(c)
	if err != nil {
		return nil, err
	}
	r, err := node.ReviewRecoveryFiles(dir, file)
	if err != nil {
		return nil, inUse(dir, err)
	}
	if r.Refused != "" {
		return nil, spec.Errorf(spec.CodeRecovery, "%s", r.Refused)
	}
	return node.SignRecoveryFiles(dir, file)
}

// confirm asks a question that only yes answers.
func (p *program) confirm(question string) error {
	fmt.Fprint(p.talk, question, " Type yes: ")
	line, err := bufio.NewReader(io.LimitReader(p.in, 100)).ReadString('\n')
	if strings.TrimSpace(line) == "yes" {
		return nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return usage("not confirmed, and nothing was signed; --yes goes without asking")
}

func (p *program) recoverApply(c *cli.Context) error {
	file, err := p.recoveryFile(c)
	if err != nil {
		return err
	}
	dir, err := consortiumDir(c)
	if err != nil {
		return err
	}
	cfg := node.RecoverConfig{Dir: dir, Recovery: file, Logger: quiet()}
	if name := c.String("log"); name != "" {
		f, err := os.Open(name)
		if err != nil {
			return spec.Errorf(spec.CodeUsage, "reading the dump: %w", err)
		}
		defer f.Close()
		var total int64
		if info, err := f.Stat(); err == nil {
			total = info.Size()
		}
		bar := p.progress(total)
		defer bar.end()
		cfg.Dump = &counted{r: f, bar: bar}
	}
	r, err := node.ApplyRecovery(c.Context, cfg)
	if err != nil {
		return inUse(dir, err)
	}
	if c.Bool("json") {
		return p.json(recoveredOf(r))
	}
	return p.printRecovered(r)
}

func (p *program) recoverDump(c *cli.Context) error {
	file, err := p.recoveryFile(c)
	if err != nil {
		return err
	}
	out := c.String("out")
	if out == "" {
		return usage("tocsin operator recover dump takes --out DUMP")
	}
	dir, err := consortiumDir(c)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return spec.Errorf(spec.CodeUsage, "making the dump: %w", err)
	}
	err = node.DumpRecovery(dir, file, f)
	if bad := errors.Join(f.Sync(), f.Close()); err == nil {
		err = bad
	}
	if err != nil {
		return errors.Join(inUse(dir, err), os.Remove(out))
	}
	return nil
}

// recoveryFile reads the file that the only argument names.
func (p *program) recoveryFile(c *cli.Context) ([]byte, error) {
	name, err := oneArgument(c, "file")
	if err != nil {
		return nil, err
	}
	return p.read(name)
}

// recoveryCall calls a route of recoveries.
func recoveryCall(c *cli.Context, what string, q any) ([]byte, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	return rawCall(c, http.MethodPost, "/v1/recoveries"+what, body, recovery.MaxFile)
}

// writeRecovery writes a file whole or not at all; without a name to the standard
// output.
func (p *program) writeRecovery(name string, b []byte) error {
	if name == "" {
		_, err := p.out.Write(b)
		return err
	}
	fresh := name + ".new"
	if err := os.WriteFile(fresh, b, 0o644); err != nil {
		return spec.Errorf(spec.CodeUsage, "writing the recovery: %w", err)
	}
	if err := os.Rename(fresh, name); err != nil {
		return errors.Join(spec.Errorf(spec.CodeUsage, "writing the recovery: %w", err), os.Remove(fresh))
	}
	return nil
}
