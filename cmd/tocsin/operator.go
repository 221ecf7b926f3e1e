// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/http"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

func (p *program) operatorCommand() *cli.Command {
	return &cli.Command{
		Name: "operator", Usage: "care for this node",
		Subcommands: []*cli.Command{
			{
				Name: "purge", Usage: "make the bytes of erased values disappear from the node's files",
				Description: "The node does so by itself when something was erased, as often as the setting purge_every says. What a recovery put aside\nis removed too, and until the log is final from the recovery on the command says that it is still there.",
				Action: func(c *cli.Context) error {
					if err := noArguments(c); err != nil {
						return err
					}
					_, err := rawCall(c, http.MethodPost, "/v1/purge", []byte("{}"), 0)
					return err
				},
			},
			{
				Name: "verify", Usage: "look at every record of the state again, and name the buckets that are damaged",
				Description: "Asks the node; looks at the files itself when none runs. Ends with 1 when something is damaged.\n" +
					"The node does so by itself as often as the setting verify_every says.\n" +
					"With --peers the state is compared with other members' at a snapshot size, and damaged buckets of live signals\nand of the records of the rules are taken from them, proved by what is final: by the node, or, where it does not run or\ndoes not start, by this command. Where nobody has a snapshot, this command makes the store of a node that does not run anew from the\nnode's own log, held against the last final checkpoint, and puts the damaged one aside, until the node purges its files.",
				Flags:  []cli.Flag{&cli.BoolFlag{Name: "peers", Usage: "compare with other members, and repair from them"}, jsonFlag()},
				Action: p.operatorVerify,
			},
			p.recoverCommand(),
		},
	}
}

// anew is what helps where nobody has the snapshot that a repair needs. The raft log of a
// sequencer begins where its database was.
const anew = "or, on a node that does not sequence, stop it, remove the folder fsm from its data directory, and start it: it fetches the state again"

func (p *program) operatorVerify(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if c.Bool("peers") {
		return p.operatorRepair(c)
	}
	report, err := verifyStore(c)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = p.json(report)
	} else {
		err = p.printStore(report)
	}
	if err == nil && !report.Ok {
		err = &exitError{exitFound, "the store is damaged: run tocsin operator verify --peers; " + anew}
	}
	return err
}

// operatorRepair has the state compared with members' and repaired.
func (p *program) operatorRepair(c *cli.Context) error {
	report, err := repairStore(c)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = p.json(report)
	} else {
		err = p.printRepair(report)
	}
	if err == nil && !report.Ok {
		err = &exitError{exitFound, "the store is still damaged: when a new snapshot size has passed, try again; " + anew}
	}
	return err
}

// repairStore has the running node repair its store, or does it where none runs.
func repairStore(c *cli.Context) (*wire.RepairReport, error) {
	return onStore(c, func(client *wire.ClientWithResponses) (*wire.RepairReport, *http.Response, *wire.Problem, error) {
		resp, err := client.RepairStoreWithResponse(c.Context)
		if err != nil {
			return nil, nil, nil, err
		}
		return resp.JSON200, resp.HTTPResponse, resp.ApplicationProblemJSONDefault, nil
	}, func(dir string) (*wire.RepairReport, error) {
		conf, err := settings(c, dir)
		if err != nil {
			return nil, err
		}
		r, err := node.RepairFiles(c.Context, node.Config{Dir: dir, Peers: conf.Peers, Upstreams: conf.Upstreams, Logger: quiet()})
		if err != nil {
			return nil, err
		}
		out := api.WireRepairReport(r)
		return &out, nil
	})
}

// onStore has the running node do something with its store, or does it with the files
// in its directory where none runs.
func onStore[T any](c *cli.Context, ask func(*wire.ClientWithResponses) (*T, *http.Response, *wire.Problem, error), files func(dir string) (*T, error)) (*T, error) {
	client, err := connect(c)
	if err == nil {
		r, resp, problem, err := ask(client)
		if err == nil {
			return r, callError(nil, resp, 200, problem)
		}
		if err = callError(err, nil, 0, nil); spec.CodeOf(err) != spec.CodeUnavailable {
			return nil, err
		}
	}
	dir, err := consortiumDir(c)
	if err != nil {
		return nil, err
	}
	r, err := files(dir)
	if errors.Is(err, syscall.EAGAIN) { // the lock of the database
		return nil, usage("another process, perhaps a node that does not answer, uses %s", dir)
	}
	return r, err
}

func (p *program) printRepair(r *wire.RepairReport) error {
	rows := [][]string{{"ok", yes(r.Ok)}}
	for _, peer := range r.Peers {
		at := "no snapshot"
		if peer.Size > 0 {
			at = fmt.Sprintf("at %d leaves", peer.Size)
		}
		rows = append(rows, []string{"compared with", fmt.Sprintf("%s, %s: %s; %d questions on the way to what is damaged", peer.Organisation, at, peer.Says, peer.Answers)})
	}
	for _, b := range r.Buckets {
		what := "repaired from " + b.From
		if !b.Repaired {
			what = b.Reason
		}
		rows = append(rows, []string{"damaged", fmt.Sprintf("bucket %d of %d of the %s: %s", b.Bucket, b.Of, b.Tree, what)})
	}
	if m := r.Rebuilt; m != nil {
		rows = append(rows, []string{"made anew", fmt.Sprintf("the store, from the %d leaves of this node's own log, of which %d are final", m.Size, m.FinalSize)})
		for _, lost := range m.Lost {
			rows = append(rows, []string{"lost", lost})
		}
		rows = append(rows, []string{"put aside", m.Aside + ": the damaged store, until the node purges its files"})
	}
	return p.table(rows)
}

// verifyStore has the running node verify its store, or does it where none runs.
func verifyStore(c *cli.Context) (*wire.StoreReport, error) {
	return onStore(c, func(client *wire.ClientWithResponses) (*wire.StoreReport, *http.Response, *wire.Problem, error) {
		resp, err := client.VerifyStoreWithResponse(c.Context)
		if err != nil {
			return nil, nil, nil, err
		}
		return resp.JSON200, resp.HTTPResponse, resp.ApplicationProblemJSONDefault, nil
	}, func(dir string) (*wire.StoreReport, error) {
		r, err := node.VerifyFiles(c.Context, dir, quiet())
		if err != nil {
			return nil, err
		}
		out := api.WireStoreReport(r)
		return &out, nil
	})
}

func (p *program) printStore(r *wire.StoreReport) error {
	rows := [][]string{
		{"ok", yes(r.Ok)},
		{"log", fmt.Sprintf("%d leaves", r.Size)},
		{"hashed", fmt.Sprintf("%d live signals, %d records of the rules", r.Live, r.Rules)},
		{"derived once more", fmt.Sprintf("%d live signals", r.Derived)},
	}
	for _, b := range r.Bad {
		rows = append(rows, []string{"damaged", fmt.Sprintf("bucket %d of %d of the %s: %s", b.Bucket, b.Of, b.Tree, b.Reason)})
	}
	if r.More {
		rows = append(rows, []string{"…"})
	}
	return p.table(rows)
}
