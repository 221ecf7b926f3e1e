// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// normalise puts flags where the library looks for them: those of the whole
// program first, those of a command right behind it, and "--" before what is not
// a flag. A flag works anywhere; "--" ends the flags.
func normalise(app *cli.App, args []string) ([]string, error) {
	if n := len(args); n > 0 && args[n-1] == "--generate-bash-completion" {
		return args, nil // what is being typed is not to be moved
	}
	n := &normaliser{global: app.Flags, commands: app.Commands}
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			n.positional = append(n.positional, args[i+1:]...)
			break
		}
		if len(a) > 1 && a[0] == '-' {
			taken, err := n.flag(a, args[i+1:])
			if err != nil {
				return nil, err
			}
			i += taken
		} else {
			n.word(a)
		}
	}
	return n.result(), nil
}

// A normaliser sorts words while it goes down the tree of commands.
type normaliser struct {
	global     []cli.Flag
	commands   []*cli.Command // that may follow
	names      []string       // commands so far
	path       []string       // the same, each with its flags behind it
	flags      []cli.Flag     // of the last command
	before     []string       // global flags
	later      []string       // flags of a command that is still to come
	positional []string
}

// word takes a command or an argument.
func (n *normaliser) word(w string) {
	if len(n.positional) == 0 {
		for _, c := range n.commands {
			if slices.Contains(append([]string{c.Name}, c.Aliases...), w) {
				n.names, n.path = append(n.names, w), append(n.path, w)
				n.commands, n.flags = c.Subcommands, c.Flags
				return
			}
		}
	}
	n.positional = append(n.positional, w)
}

// flag takes a flag and returns how many of the words behind it belong to it.
func (n *normaliser) flag(word string, rest []string) (int, error) {
	name, _, inOne := strings.Cut(strings.TrimLeft(word, "-"), "=")
	to := &n.path
	f := lookup(n.flags, name)
	if f == nil {
		if f = lookup(n.global, name); f != nil {
			to = &n.before
		} else if f = below(n.commands, name); f != nil {
			to = &n.later
		}
	}
	*to = append(*to, word)
	if f == nil || inOne || !takesValue(f) {
		return 0, nil
	}
	if len(rest) == 0 {
		return 0, usage("--%s takes a value", name)
	}
	*to = append(*to, rest[0])
	return 1, nil
}

func (n *normaliser) result() []string {
	out := append(append(n.before, n.path...), n.later...)
	switch {
	case len(n.positional) == 0:
		return out
	case len(n.commands) > 0: // a command that there is not, whatever its flags
		return append(append(n.before, n.names...), n.positional...)
	}
	return append(append(out, "--"), n.positional...)
}

func lookup(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

// below finds a flag of one of the commands or of those below them.
func below(commands []*cli.Command, name string) cli.Flag {
	for _, c := range commands {
		if f := lookup(c.Flags, name); f != nil {
			return f
		}
		if f := below(c.Subcommands, name); f != nil {
			return f
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	v, ok := f.(cli.DocGenerationFlag)
	return !ok || v.TakesValue()
}
