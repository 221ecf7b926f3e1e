// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/spec"
)

func (p *program) keysCommand() *cli.Command {
	return &cli.Command{
		Name: "keys", Usage: "private keys of this node",
		Subcommands: []*cli.Command{
			{
				Name: "new", Usage: "make a further key and print its card, for a case on it",
				Description: "  tocsin keys new --use cosign > key.json\n  tocsin member key replace key.json --reason rotation\n" +
					"A running node is started again to load it. It signs with the key once the case is decided.",
				Flags:  []cli.Flag{&cli.StringFlag{Name: "use", Usage: "op, cosign or libp2p", Value: "op"}},
				Action: p.keysNew,
			},
			{
				Name: "switch", Usage: "have the node take a further key at its next start", ArgsUsage: "KEY.json",
				Description: "The node does so by itself when it learns of the decision, or when no member lets it in any more\nunder its old transport key and one does under the new. This is for one that is not to wait for that.",
				Action:      p.keysSwitch,
			},
			{Name: "list", Usage: "print the public keys whose private halves are here", Flags: []cli.Flag{jsonFlag()}, Action: p.keysList},
		},
	}
}

func useOf(word string) (uint64, error) {
	for use, name := range identity.UseNames {
		if name == word {
			return use, nil
		}
	}
	return 0, usage("--use is op, cosign or libp2p")
}

func (p *program) keysNew(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	use, err := useOf(c.String("use"))
	if err != nil {
		return err
	}
	dir, err := consortiumDir(c)
	if err != nil {
		return err
	}
	card, err := identity.AddKey(dir, use, rand.Reader)
	if err != nil {
		return err
	}
	if use == spec.UseCosign { // a key and the store of what it cosigned are born together
		if err := cosign.CreateStore(dir, card.Key); err != nil {
			return err
		}
	}
	b, err := identity.MarshalKeyCard(card)
	if err == nil {
		_, err = p.out.Write(b)
	}
	return err
}

func (p *program) keysSwitch(c *cli.Context) error {
	name, err := oneArgument(c, "key's card")
	if err != nil {
		return err
	}
	card, err := p.keyCard(name)
	if err != nil {
		return err
	}
	dir, err := consortiumDir(c)
	if err != nil {
		return err
	}
	return identity.Switch(dir, card.Key)
}

// keyCard reads the card of a key.
func (p *program) keyCard(name string) (*spec.KeyCard, error) {
	b, err := p.read(name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Base(name), err)
	}
	return identity.ParseKeyCard(b)
}

func (p *program) keysList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	dir, err := consortiumDir(c)
	if err != nil {
		return err
	}
	id, err := identity.Load(dir)
	if err != nil {
		return err
	}
	type line struct {
		Use string `json:"use"`
		Key string `json:"key"`
	}
	var out []line
	for _, use := range []uint64{spec.UseOp, spec.UseCosign, spec.UseLibp2p} {
		for _, key := range id.Public(use) {
			out = append(out, line{identity.UseNames[use], base64.StdEncoding.EncodeToString(key[:])})
		}
	}
	if c.Bool("json") {
		return p.json(map[string]any{"keys": out})
	}
	for _, l := range out {
		fmt.Fprintln(p.out, l.Use, l.Key)
	}
	return nil
}
