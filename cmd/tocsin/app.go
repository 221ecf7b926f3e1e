// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/spec"
)

// A program is one run of the command line: data goes to out, talk to talk.
type program struct {
	in        io.Reader
	out, talk io.Writer
}

// run runs the program on its arguments and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, talk io.Writer) int {
	p := &program{in: in, out: out, talk: talk}
	app := p.app()
	words, err := normalise(app, args)
	if err == nil {
		err = app.RunContext(ctx, append([]string{"tocsin"}, words...))
	}
	if err != nil && err.Error() != "" {
		fmt.Fprintln(talk, "tocsin:", err)
	}
	return exitCode(err)
}

func (p *program) app() *cli.App {
	app := &cli.App{
		Name:      "tocsin",
		Usage:     "a shared database of hashes of confirmed terrorist content",
		UsageText: "tocsin [--data DIR] COMMAND [ARGUMENTS]",
		Version:   node.Version(),
		Reader:    p.in, Writer: p.out, ErrWriter: p.talk,
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {}, // run alone ends the process
		CommandNotFound:           func(*cli.Context, string) {},
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "the node's data `DIR`", EnvVars: []string{"TOCSIN_DATA"}, Value: defaultDir()},
			&cli.StringFlag{Name: "consortium", Usage: "speak of the consortium of this `NAME` alone, not of the node's own; lookups then are of it alone"},
		},
		Commands: []*cli.Command{
			p.initCommand(), p.inviteCommand(), p.joinCommand(), p.agentCommand(), p.demoCommand(),
			p.hashCommand(), p.matchCommand(), p.explainCommand(),
			p.proposeCommand(), p.referCommand(), p.voteCommand(), p.disputeCommand(),
			p.caseCommand(), p.entryCommand(), p.memberCommand(), p.statusCommand(), p.consortiumCommand(),
			p.receiptCommand(), p.logCommand(), p.operatorCommand(), p.keysCommand(),
			p.policyCommand(), p.taxonomyCommand(), p.allowCommand(), p.actionCommand(), p.reportCommand(),
			p.configCommand(), p.benchCommand(), p.completionCommand(), p.versionCommand(),
		},
		Action:       group,
		OnUsageError: onUsage,
	}
	for _, c := range app.Commands {
		finish(c)
	}
	return app
}

// finish gives a command and those below it what all have in common.
func finish(c *cli.Command) {
	c.OnUsageError = onUsage
	if c.Action == nil {
		c.Action = group
	} else {
		c.HideHelpCommand = true // a file may be called "help"
	}
	for _, sub := range c.Subcommands {
		finish(sub)
	}
}

// group is the action of what only has commands below it.
func group(c *cli.Context) error {
	name := c.Args().First()
	if name == "" {
		if c.Command.Name == "tocsin" || c.Command.Name == "" {
			return cli.ShowAppHelp(c)
		}
		return cli.ShowSubcommandHelp(c)
	}
	where := strings.TrimSpace("tocsin " + strings.TrimPrefix(c.Command.HelpName, "tocsin"))
	if near := cli.SuggestCommand(commandsBelow(c), name); near != "" {
		return usage("there is no command %q; %s", name, strings.ReplaceAll(strings.ToLower(near[:1])+near[1:], `"`, `'`))
	}
	return usage("there is no command %q; see %s --help", name, where)
}

func commandsBelow(c *cli.Context) []*cli.Command {
	if len(c.Lineage()) <= 2 {
		return c.App.Commands
	}
	return c.Command.Subcommands
}

// onUsage turns what the flag parser says into one sentence.
func onUsage(c *cli.Context, err error, _ bool) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		return usage("there is no flag --%s; see %s --help", strings.TrimLeft(name, "-"), helpName(c))
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return usage("--%s takes a value", strings.TrimLeft(name, "-"))
	}
	if rest, ok := strings.CutPrefix(text, "invalid value "); ok {
		value, flag, _ := strings.Cut(rest, " for flag -")
		flag, _, _ = strings.Cut(flag, ":")
		return usage("--%s does not take %s", strings.TrimLeft(flag, "-"), value)
	}
	return usage("%s", text)
}

func helpName(c *cli.Context) string {
	if c.Command == nil || c.Command.HelpName == "" {
		return "tocsin"
	}
	return c.Command.HelpName
}

func usage(format string, args ...any) error { return spec.Errorf(spec.CodeUsage, format, args...) }

// defaultDir is $XDG_DATA_HOME/tocsin where that is set, else ~/.tocsin.
func defaultDir() string {
	if d := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "tocsin")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ".tocsin"
	}
	return filepath.Join(home, ".tocsin")
}

// dataDir is the absolute path of the data directory.
func dataDir(c *cli.Context) (string, error) {
	dir := c.String("data")
	if dir == "" {
		return "", usage("--data takes a directory")
	}
	return filepath.Abs(dir)
}

// consortiumDir is the directory of the consortium that --consortium names, the data
// directory where it names none.
func consortiumDir(c *cli.Context) (string, error) {
	dir, err := dataDir(c)
	if err != nil {
		return "", err
	}
	p, err := consortia.Find(dir, c.String("consortium"))
	return p.Dir, err
}

// Exit codes. Scripts rely on them: 0 never stands for something that was not
// checked.
const (
	exitFine     = 0 // or no match
	exitFound    = 1 // a match, or a verification that failed
	exitFailed   = 2 // wrong use, an error, an unsupported medium
	exitNotReady = 3
	exitDenied   = 4
	exitReview   = 5 // a match that people are to look at, none that counts as listed
)

// An exitError ends the program with a code and, unless it was told already,
// a sentence.
type exitError struct {
	code     int
	sentence string
}

func (e *exitError) Error() string { return e.sentence }

func exitCode(err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &exit):
		return exit.code
	}
	switch spec.CodeOf(err) {
	case spec.CodeNotReady, spec.CodeStale, spec.CodeUnavailable, spec.CodeNotLeader, spec.CodeBusy:
		return exitNotReady
	case spec.CodeDenied, spec.CodeRole, spec.CodeElectorate, spec.CodeNotOpener, spec.CodeBarred:
		return exitDenied
	}
	return exitFailed
}
