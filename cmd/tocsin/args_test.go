// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestNormalise(t *testing.T) {
	app := &cli.App{
		Flags: []cli.Flag{&cli.StringFlag{Name: "data"}, &cli.BoolFlag{Name: "loud", Aliases: []string{"l"}}},
		Commands: []*cli.Command{
			{Name: "match", Aliases: []string{"m"}, Flags: []cli.Flag{&cli.BoolFlag{Name: "json"}, &cli.StringSliceFlag{Name: "signal"}}},
			{Name: "case", Subcommands: []*cli.Command{
				{Name: "list", Flags: []cli.Flag{&cli.IntFlag{Name: "limit"}}},
			}},
		},
	}
	for in, want := range map[string]string{
		"":                                   "",
		"match a.jpg --json":                 "match --json -- a.jpg",
		"match --json a.jpg":                 "match --json -- a.jpg",
		"m a --json b --data D":              "--data D m --json -- a b",
		"match a --data=D -l":                "--data=D -l match -- a",
		"--data D match a":                   "--data D match -- a",
		"match --signal md5:0 --json":        "match --signal md5:0 --json",
		"match -- --json":                    "match -- --json",
		"match --json -- -a -- b":            "match --json -- -a -- b",
		"match -":                            "match -- -",
		"match match":                        "match -- match",
		"case list --limit 3":                "case list --limit 3",
		"case --limit 3 list":                "case list --limit 3",
		"--json match a":                     "match --json -- a",
		"--limit 3 --data D case list":       "--data D case list --limit 3",
		"case lsit --json":                   "case lsit",
		"nothing --json":                     "nothing",
		"--unknown match a":                  "--unknown match -- a",
		"match --unknown a":                  "match --unknown -- a",
		"a match":                            "a match",
		"match a --generate-bash-completion": "match a --generate-bash-completion",
	} {
		got, err := normalise(app, strings.Fields(in))
		if err != nil || !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q: %q, %v; want %q", in, strings.Join(got, " "), err, want)
		}
	}
	for _, in := range []string{"match --signal", "--data", "match a --data"} {
		if got, err := normalise(app, strings.Fields(in)); exitCode(err) != exitFailed || got != nil {
			t.Errorf("%q: %q, %v; want a usage error", in, got, err)
		}
	}
}
