// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/urfave/cli/v2"
)

func (p *program) demoCommand() *cli.Command {
	return &cli.Command{
		Name: "demo", Usage: "show a consortium of three members and a reader at work, in this process",
		Description: "Uses harmless made-up pictures and leaves nothing behind.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "once", Usage: "end when the story is told: with 0 when every step held, else 1"},
			jsonFlag(),
		},
		Action: p.demo,
	}
}

func (p *program) demo(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	ok, err := runDemo(c.Context, demoOptions{Once: c.Bool("once"), JSON: c.Bool("json")}, p.out, p.talk)
	if err == nil && !ok {
		err = &exitError{exitFound, "a step of the story did not hold"}
	}
	return err
}
