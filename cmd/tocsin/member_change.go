// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/hex"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/node/identity"
)

const opensCase = "Opens a case and prints its id."

func (p *program) memberEnrolCommand() *cli.Command {
	return &cli.Command{
		Name: "enrol", Usage: "ask to enrol the organisation of a card", ArgsUsage: "CARD.json", Description: opensCase,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "tier", Usage: "full, or digest: a reader without values", Value: "full"},
			textFlag("free `TEXT` for those who vote"), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			name, err := oneArgument(c, "card")
			if err != nil {
				return err
			}
			data, err := p.read(name)
			if err != nil {
				return err
			}
			card, err := identity.ParseCard(data)
			if err != nil {
				return err
			}
			o := &card.Organisation
			w := wire.Candidate{ID: o.ID, Name: o.Name, Role: wire.Role(o.Role), Jurisdiction: o.Jurisdiction}
			w.Keys.Op, w.Keys.Cosign, w.Keys.Libp2P = o.OpKey[:], o.CosignKey[:], o.Libp2pKey[:]
			for i := range card.Proofs {
				w.Proofs = append(w.Proofs, card.Proofs[i][:])
			}
			return p.changeMembership(c, wire.MembershipRequest{Action: "enrol", Card: &w, Tier: wire.Tier(c.String("tier"))})
		},
	}
}

func (p *program) memberExpelCommand() *cli.Command {
	return &cli.Command{
		Name: "expel", Usage: "ask to expel an organisation", ArgsUsage: "ID", Description: opensCase,
		Flags: []cli.Flag{reasonFlag(), textFlag("free `TEXT` for those who vote"), jsonFlag()},
		Action: func(c *cli.Context) error {
			id, err := oneArgument(c, "organisation")
			if err != nil {
				return err
			}
			why, err := reason(c)
			if err != nil {
				return err
			}
			if text := c.String("text"); text != "" {
				why += ": " + text
			}
			return p.changeMembership(c, wire.MembershipRequest{Action: "expel", Organisation: id, Text: why})
		},
	}
}

func (p *program) memberLeaveCommand() *cli.Command {
	return &cli.Command{
		Name: "leave", Usage: "ask that this organisation leaves the consortium", Description: opensCase,
		Flags: []cli.Flag{textFlag("free `TEXT` for the members"), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return p.changeMembership(c, wire.MembershipRequest{Action: "leave"})
		},
	}
}

func (p *program) memberTierCommand() *cli.Command {
	return &cli.Command{
		Name: "tier", Usage: "ask to change what of the values a reader receives", ArgsUsage: "ID full|digest", Description: opensCase,
		Flags: []cli.Flag{textFlag("free `TEXT` for those who vote"), jsonFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() != 2 {
				return usage("%s takes an organisation and a tier", c.Command.HelpName)
			}
			tier := wire.Tier(c.Args().Get(1))
			if !tier.Valid() {
				return usage("a tier is full or digest")
			}
			return p.changeMembership(c, wire.MembershipRequest{Action: "tier", Organisation: c.Args().First(), Tier: tier})
		},
	}
}

func (p *program) changeMembership(c *cli.Context, body wire.MembershipRequest) error {
	if body.Text == "" {
		body.Text = c.String("text")
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ChangeMembershipWithResponse(c.Context, body)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	return p.answered(c, resp.HTTPResponse, resp.JSON201, resp.ApplicationProblemJSONDefault)
}

func (p *program) memberKeyCommand() *cli.Command {
	flags := func(more ...cli.Flag) []cli.Flag {
		return append(more,
			&cli.StringFlag{Name: "org", Usage: "`ID` of the organisation whose key it is; this one where it is not given"},
			reasonFlag(), textFlag("free `TEXT` for those who vote"), jsonFlag())
	}
	since := &cli.Int64Flag{Name: "since", Usage: "log `INDEX` from which operations of the old key are put to a new vote"}
	const keys = "A CARD is what `tocsin keys new` prints where the key is made; an OLD key is 64 hex digits, or base64 as in a card. " + opensCase
	return &cli.Command{
		Name: "key", Usage: "public keys of organisations",
		Subcommands: []*cli.Command{
			{
				Name: "add", Usage: "ask for a further op key", ArgsUsage: "CARD", Description: keys, Flags: flags(),
				Action: func(c *cli.Context) error { return p.changeKey(c, "op", "new") },
			},
			{
				Name: "revoke", Usage: "ask to revoke an op key", ArgsUsage: "OLD", Description: keys, Flags: flags(since),
				Action: func(c *cli.Context) error { return p.changeKey(c, "op", "old") },
			},
			{
				Name: "replace", Usage: "ask to put a new key in the place of an old one", ArgsUsage: "[OLD] CARD", Description: "The old key is named for use op alone. " + keys,
				Flags: flags(since, &cli.StringFlag{Name: "use", Usage: "op, cosign or libp2p", Value: "op"}),
				Action: func(c *cli.Context) error {
					if c.String("use") == "op" {
						return p.changeKey(c, "op", "old", "new")
					}
					return p.changeKey(c, wire.KeyUse(c.String("use")), "new")
				},
			},
		},
	}
}

// changeKey asks for a change in which the arguments are the keys of these parts.
func (p *program) changeKey(c *cli.Context, use wire.KeyUse, parts ...string) error {
	if !use.Valid() {
		return usage("--use is op, cosign or libp2p")
	}
	if c.NArg() != len(parts) {
		return usage("%s takes %d for this use, not %d: %s", c.Command.HelpName, len(parts), c.NArg(), c.Command.ArgsUsage)
	}
	body := wire.KeyRequest{Organisation: c.String("org"), Use: use, Since: c.Int64("since"), Text: c.String("text")}
	var err error
	if body.Reason, err = reason(c); err != nil {
		return err
	}
	for i, part := range parts {
		if part == "old" {
			if body.Old, err = parseKey(c.Args().Get(i)); err != nil {
				return err
			}
			continue
		}
		card, err := p.keyCard(c.Args().Get(i))
		if err != nil {
			return err
		}
		if identity.UseNames[card.Use] != string(use) {
			return usage("the card is of a key for %s, not for %s", identity.UseNames[card.Use], use)
		}
		body.Organisation, body.New, body.Proof = card.Org, card.Key[:], card.Proof[:]
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	resp, err := client.ChangeKeyWithResponse(c.Context, body)
	if err != nil {
		return callError(err, nil, 0, nil)
	}
	return p.answered(c, resp.HTTPResponse, resp.JSON201, resp.ApplicationProblemJSONDefault)
}

func parseKey(text string) ([]byte, error) {
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString} {
		if b, err := decode(text); err == nil && len(b) == 32 {
			return b, nil
		}
	}
	return nil, usage("a public key is 32 bytes in hex or base64")
}

// maxInput bounds a file that is sent to the node whole.
const maxInput = 4 << 20

// read returns a small file, or standard input for "-".
func (p *program) read(name string) ([]byte, error) {
	f, err := p.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	if err == nil && len(b) > maxInput {
		err = usage("%s is larger than the %d bytes that are taken", name, maxInput)
	}
	return b, err
}
