// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node"
)

func (p *program) versionCommand() *cli.Command {
	return &cli.Command{Name: "version", Usage: "print the version", Flags: []cli.Flag{jsonFlag()}, Action: p.version}
}

func (p *program) version(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if c.Bool("json") {
		return p.json(map[string]string{"version": node.Version(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
	}
	_, err := fmt.Fprintln(p.out, "tocsin", node.Version(), runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
	return err
}
