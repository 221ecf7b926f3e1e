// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/tocsin-db/tocsin/consensus"
	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/config"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// stopTime is how long an orderly end may take.
const stopTime = 30 * time.Second

func (p *program) agentCommand() *cli.Command {
	return &cli.Command{
		Name: "agent", Usage: "run the node",
		Description: "The first interrupt ends it in order, the second at once. Settings: tocsin config show --origin.",
		Flags:       settingFlags(),
		Action:      p.agent,
	}
}

// settingFlags are the settings that can be given as flags.
func settingFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "listen", Usage: "a `MULTIADDR` on which peers reach the node"},
		&cli.StringFlag{Name: "http", Usage: "loopback `ADDRESS` for lookups, \"\" for none"},
		&cli.StringFlag{Name: "verify", Usage: "what a reader does at first: \"snapshot\", or \"full\" to replay the log from its beginning"},
		&cli.StringFlag{Name: "fail-closed-after", Usage: "`AGE` of what is final past which lookups are refused, such as 10m; never: they are flagged"},
		&cli.StringFlag{Name: "profile", Usage: "\"lan\" or \"wan\""},
		&cli.StringFlag{Name: "log-level", Usage: "debug, info, warn or error"},
		&cli.StringFlag{Name: "log-format", Usage: "auto, text or json"},
		&cli.StringFlag{Name: "max-file-bytes", Usage: "largest file that is hashed, in `BYTES`"},
	}
}

func (p *program) agent(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	dir, err := dataDir(c)
	if err != nil {
		return err
	}
	conf, err := settings(c, dir)
	if err != nil {
		return err
	}
	log := p.logger(conf)
	p2p.LogTo(log)
	return runNode(c.Context, dir, conf, log)
}

// runNode runs a node until ctx ends or it fails. One that took another part, that of
// a sequencer or of a follower, is started again.
func runNode(ctx context.Context, dir string, conf *config.Config, log *slog.Logger) error {
	for {
		if err := runPart(ctx, dir, conf, log); !errors.Is(err, node.ErrPart) {
			return err
		}
		log.Info("the node starts again, in another part")
	}
}

// runPart runs a node once.
func runPart(ctx context.Context, dir string, conf *config.Config, log *slog.Logger) error {
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	cfg := nodeConfig(dir, conf)
	cfg.Logger, cfg.Further = log, furtherSettings
	n, err := node.Start(ctx, cfg)
	if errors.Is(err, api.ErrRunning) || errors.Is(err, syscall.EAGAIN) { // the lock of the database
		return usage("another process, perhaps a running node, uses %s", dir)
	}
	if spec.CodeOf(err) == spec.CodeCorrupt {
		return &exitError{code: faultCode(err), sentence: err.Error()}
	}
	if err != nil {
		return err
	}
	log.Info("the node serves", "dir", dir, "version", node.Version())
	failure := watch(ctx, n, again, log)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- n.Stop(ending) }()
	if failure != nil && !errors.Is(failure, node.ErrPart) {
		return failed(failure, stopped)
	}
	if err := <-stopped; err != nil {
		return fmt.Errorf("ending the node: %w", err)
	}
	return failure
}

// watch waits for the end of a node, and returns why it failed. At a signal it has the
// node read its import policies again.
func watch(ctx context.Context, n *node.Node, again <-chan os.Signal, log *slog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			log.Info("the node ends")
			return nil
		case <-n.Done():
			return n.Err()
		case <-again:
			if err := n.ReloadImports(); err != nil {
				log.Error("an import policy was not taken", "error", err)
			} else {
				log.Info("the import policies were read again")
			}
		}
	}
}

// nodeConfig is how settings start a node.
func nodeConfig(dir string, conf *config.Config) node.Config {
	return node.Config{
		Dir: dir, Listen: conf.Listen, HTTP: conf.HTTP, Peers: conf.Peers,
		Profile: conf.Profile, MaxFileBytes: conf.MaxFileBytes, PurgeEvery: conf.PurgeEvery, VerifyEvery: conf.VerifyEvery, SightingsDays: int(conf.Sightings),
		Upstreams: conf.Upstreams, Followers: int(conf.Followers), Subscribers: int(conf.Subscribers), BulkRate: int(conf.BulkRate),
		Connections: int(conf.Connections), Memory: conf.NetworkMemory,
		MaxAge: conf.FailClosed, VerifyFull: conf.Verify == "full",
		Witness: node.Witness{Listen: conf.WitnessListen, Name: conf.WitnessName, Logs: conf.WitnessLogs}, Witnesses: conf.Witnesses,
	}
}

// furtherSettings are those of a further consortium: what the file in its directory
// says. Unless that says where, its node listens nowhere.
func furtherSettings(dir string) (node.Config, error) {
	conf, err := config.Load(config.Source{Dir: dir})
	if err != nil {
		return node.Config{}, err
	}
	cfg := nodeConfig(dir, conf)
	if !conf.Given("listen") {
		cfg.Listen = nil
	}
	return cfg, nil
}

// failedStopTime is how long a node that failed may take to end: what it hangs on
// may never let go.
const failedStopTime = 5 * time.Second

// failed ends a node that cannot go on, with the exit code of its fault.
func failed(failure error, stopped <-chan error) error {
	select {
	case <-stopped:
	case <-time.After(failedStopTime):
	}
	return &exitError{code: faultCode(failure), sentence: "the node failed: " + failure.Error()}
}

// faultCode is the exit code for what a node failed of (after sysexits.h where one
// fits): a supervisor restarts it on 74 and 75; 76 needs a person.
func faultCode(failure error) int {
	var f *consensus.Fault
	switch {
	case errors.As(failure, &f):
		return f.Exit
	case spec.CodeOf(failure) == spec.CodeCorrupt:
		return consensus.ExitCorrupt
	}
	return consensus.ExitIO
}

// logger writes to talk: text on a terminal, JSON otherwise.
func (p *program) logger(conf *config.Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(conf.LogLevel)); err != nil {
		level = slog.LevelInfo // the settings are checked: cannot be
	}
	opts := &slog.HandlerOptions{Level: level}
	if conf.LogFormat == "text" || conf.LogFormat == "auto" && isTerminal(p.talk) {
		return slog.New(slog.NewTextHandler(p.talk, opts))
	}
	return slog.New(slog.NewJSONHandler(p.talk, opts))
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
