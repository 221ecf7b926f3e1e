// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/config"
	"github.com/tocsin-db/tocsin/spec"
)

func (p *program) joinCommand() *cli.Command {
	return &cli.Command{
		Name: "join", Usage: "ask to be enrolled with an invitation", ArgsUsage: "LINE",
		Description: "Makes the organisation's keys and settings if there are none, asks, waits until the members have decided,\n" +
			"fetches what is final and looks something up. It can be interrupted and repeated.\n" +
			"Without --listen the node only connects outwards. \"-\" reads the line from the standard input.",
		Flags: append(identityFlags(),
			&cli.StringFlag{Name: "verify", Usage: "\"snapshot\", or \"full\" to replay the log from its beginning"}),
		Action: p.join,
	}
}

func (p *program) join(c *cli.Context) error {
	line, err := oneArgument(c, "invitation")
	if err != nil {
		return err
	}
	if line == "-" {
		if line, err = readLine(p.in); err != nil {
			return err
		}
	}
	dir, err := dataDir(c)
	if err != nil {
		return err
	}
	invitation, err := node.ParseInvitation(line)
	if err != nil {
		return err
	}
	if _, err := ensureIdentity(c, dir, invitation.Role); err != nil {
		return err
	}
	err = node.Join(c.Context, node.JoinConfig{Dir: dir, Line: line, Logger: quiet(), Progress: func(s string) {
		fmt.Fprintln(p.talk, "tocsin:", s)
	}})
	if errors.Is(err, context.Canceled) {
		return spec.Errorf(spec.CodeNotReady, "interrupted before the members decided: run the same command again")
	}
	if err != nil {
		return err
	}
	return p.settle(c, dir)
}

// settle fetches what is final and looks something up.
func (p *program) settle(c *cli.Context, dir string) error {
	if !c.IsSet("listen") {
		if err := keepOutbound(dir); err != nil {
			return err
		}
	}
	conf, err := settings(c, dir)
	if err != nil {
		return err
	}
	done, err := node.Settle(c.Context, node.Config{
		Dir: dir, Peers: conf.Peers, Profile: conf.Profile, VerifyFull: conf.Verify == "full", Logger: quiet(),
	}, func(s string) { fmt.Fprintln(p.talk, "tocsin:", s) })
	if errors.Is(err, context.Canceled) {
		return spec.Errorf(spec.CodeNotReady, "interrupted before all was fetched: the node goes on with it when it is started")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.talk, "tocsin: a test lookup took %d µs; start the node with: tocsin --data %s agent\n", done.Lookup.Microseconds(), dir)
	_, err = fmt.Fprintf(p.out, "ready: %d entries, %d s behind\n", done.Entries, int(done.Age.Seconds()))
	return err
}

// keepOutbound writes settings by which the node opens no port to others, unless
// there are settings already.
func keepOutbound(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, config.FileName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString("listen = []\n")
	return errors.Join(err, f.Close())
}

// readLine reads an invitation, which is one short line.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 64<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the invitation: %w", err)
	}
	return strings.TrimSpace(line), nil
}
