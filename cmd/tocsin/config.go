// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/config"
)

func (p *program) configCommand() *cli.Command {
	return &cli.Command{
		Name: "config", Usage: "the node's settings",
		Subcommands: []*cli.Command{
			{Name: "check", Usage: "check the settings without starting the node", Flags: settingFlags(), Action: p.configCheck},
			{
				Name: "show", Usage: "print the settings in force",
				Flags:  append([]cli.Flag{&cli.BoolFlag{Name: "origin", Usage: "say where each comes from"}, jsonFlag()}, settingFlags()...),
				Action: p.configShow,
			},
		},
	}
}

// settings reads the settings of dir with the flags of a command over them.
func settings(c *cli.Context, dir string) (*config.Config, error) {
	flags := map[string]string{}
	for _, name := range []string{"http", "profile", "log-level", "log-format", "max-file-bytes", "verify", "fail-closed-after"} {
		if c.IsSet(name) {
			flags[strings.ReplaceAll(name, "-", "_")] = c.String(name)
		}
	}
	if c.IsSet("listen") {
		flags["listen"] = strings.Join(c.StringSlice("listen"), ",")
	}
	return config.Load(config.Source{Dir: dir, Environ: os.LookupEnv, Flags: flags})
}

func (p *program) configCheck(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	dir, err := consortiumDir(c)
	if err != nil {
		return err
	}
	if _, err := settings(c, dir); err != nil {
		return err
	}
	fmt.Fprintln(p.talk, "tocsin: the settings are fine")
	return nil
}

func (p *program) configShow(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	dir, err := consortiumDir(c)
	if err != nil {
		return err
	}
	conf, err := settings(c, dir)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(conf.Settings())
	}
	text, err := conf.TOML(c.Bool("origin"))
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(p.out, text)
	return err
}
