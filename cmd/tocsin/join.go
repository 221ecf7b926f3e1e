// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/spec"
)

func (p *program) joinCommand() *cli.Command {
	return &cli.Command{
		Name: "join", Usage: "ask to be enrolled with an invitation", ArgsUsage: "LINE",
		Description: "Makes the organisation's keys if there are none, asks, and waits until the members have decided.\n" +
			"It can be interrupted and repeated. \"-\" reads the line from the standard input.",
		Flags:  identityFlags(),
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
	if err == nil {
		fmt.Fprintf(p.talk, "tocsin: start the node with: tocsin --data %s agent\n", dir)
	}
	return err
}

// readLine reads an invitation, which is one short line.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 64<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the invitation: %w", err)
	}
	return strings.TrimSpace(line), nil
}
