// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/config"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/spec"
)

func (p *program) joinCommand() *cli.Command {
	return &cli.Command{
		Name: "join", Usage: "ask to be enrolled with an invitation", ArgsUsage: "LINE",
		Description: "Makes the organisation's keys and settings if there are none, asks, waits until the members have decided,\n" +
			"fetches what is final and looks something up. It can be interrupted and repeated.\n" +
			"Without --listen the node only connects outwards. \"-\" reads the line from the standard input.\n" +
			"A node that has a consortium already follows the other one beside it, with keys and data of their own: the organisation is\n" +
			"presented as in its own consortium unless --id, --name and --jurisdiction say otherwise.",
		Flags: append(identityFlags(),
			&cli.StringFlag{Name: "as", Usage: "the `NAME` of a further consortium on this node; by default the one that it gave itself"},
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
	own, err := consortia.Own(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.String("as") != "":
		return usage("--as names a further consortium, and %s has none yet", dir)
	case errors.Is(err, fs.ErrNotExist):
		return p.joinIn(c, dir, line, invitation, spec.Organisation{})
	case err != nil:
		return err
	case own.Origin == invitation.Origin && c.String("as") == "" && !node.CaughtUp(dir): // joining was interrupted
		return p.joinIn(c, dir, line, invitation, spec.Organisation{})
	}
	return p.joinFurther(c, dir, line, invitation)
}

// joinFurther joins a consortium beside the node's own, and has the node follow it if
// it runs.
func (p *program) joinFurther(c *cli.Context, dir, line string, invitation *node.Invitation) error {
	if invitation.Role != spec.RoleReader {
		return spec.Errorf(spec.CodeInvitation, "a further consortium is followed as a reader, and the invitation is for a %s", invitation.Role)
	}
	name := cmp.Or(c.String("as"), consortia.NameOf(invitation.Origin))
	place, err := consortia.Reserve(dir, name, invitation.Origin)
	if err != nil {
		return err
	}
	if node.CaughtUp(place.Dir) {
		return spec.Errorf(spec.CodeFollowed, "this node follows %s already, under the name %s", place.Origin, name)
	}
	id, err := identity.Load(dir)
	if err != nil {
		return err
	}
	if err := p.joinIn(c, place.Dir, line, invitation, id.Organisation); err != nil {
		return err
	}
	switch err := tellToFollow(c, name); {
	case spec.CodeOf(err) == spec.CodeUnavailable:
		fmt.Fprintf(p.talk, "tocsin: it is followed as %s once the node runs: tocsin --data %s agent\n", name, dir)
	case err != nil:
		return err
	default:
		fmt.Fprintf(p.talk, "tocsin: the node follows it as %s\n", name)
	}
	return nil
}

// joinIn joins with the organisation in dir, which is made where there is none.
func (p *program) joinIn(c *cli.Context, dir, line string, invitation *node.Invitation, like spec.Organisation) error {
	if _, err := ensureIdentity(c, dir, invitation.Role, like); err != nil {
		return err
	}
	err := node.Join(c.Context, node.JoinConfig{Dir: dir, Line: line, Logger: quiet(), Progress: func(s string) {
		fmt.Fprintln(p.talk, "tocsin:", s)
	}})
	if errors.Is(err, context.Canceled) {
		return spec.Errorf(spec.CodeNotReady, "interrupted before the members decided: run the same command again")
	}
	if err != nil {
		return err
	}
	return p.settle(c, dir, like.ID != "")
}

// settle fetches what is final and looks something up.
func (p *program) settle(c *cli.Context, dir string, further bool) error {
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
	if errors.Is(err, syscall.EAGAIN) { // the lock of the database
		return usage("another process, perhaps a running node, uses %s", dir)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.talk, "tocsin: a test lookup took %d µs\n", done.Lookup.Microseconds())
	if !further {
		fmt.Fprintf(p.talk, "tocsin: start the node with: tocsin --data %s agent\n", dir)
	}
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
