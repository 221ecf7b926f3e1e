// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/config"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/spec"
)

// maxRead bounds cards and genesis files that are read.
const maxRead = 1 << 20

func (p *program) initCommand() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "make keys and a card, found a consortium, or install its genesis file", ArgsUsage: "[CARD...]",
		Description: "  tocsin init --card --id alpha --name \"Alpha\" --jurisdiction FR --address /dns/alpha.example.org/tcp/7230 > alpha.json\n" +
			"  tocsin init --found north --member alpha.json --member bravo.json > genesis.json\n" +
			"  tocsin init --genesis genesis.json",
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "card", Usage: "make the organisation's keys, if there are none, and print its public card"},
			&cli.StringFlag{Name: "found", Usage: "print the genesis file of a consortium of this `NAME`"},
			&cli.StringSliceFlag{Name: "member", Usage: "a founder's `CARD`; may be given more than once"},
			&cli.StringFlag{Name: "genesis", Usage: "install the genesis `FILE`"},
			&cli.StringFlag{Name: "role", Usage: "member, reader, referrer or auditor", Value: spec.RoleMember},
			&cli.StringFlag{Name: "out", Usage: "write to `FILE` instead of the standard output"},
		}, identityFlags()...),
		Action: p.init,
	}
}

// identityFlags say who an organisation is and where its node is.
func identityFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "id", Usage: "the organisation's `ID`: lower-case letters, digits, hyphens"},
		&cli.StringFlag{Name: "name", Usage: "the organisation's `NAME`"},
		&cli.StringFlag{Name: "jurisdiction", Usage: "its `COUNTRY`, two capital letters"},
		&cli.StringSliceFlag{Name: "address", Usage: "a `MULTIADDR` at which others reach its node"},
		&cli.StringSliceFlag{Name: "listen", Usage: "a `MULTIADDR` on which its node listens, kept in tocsin.toml"},
	}
}

func (p *program) init(c *cli.Context) error {
	var modes []func(*cli.Context) error
	if c.Bool("card") {
		modes = append(modes, p.initCard)
	}
	if c.String("found") != "" {
		modes = append(modes, p.initFound)
	}
	if c.String("genesis") != "" {
		modes = append(modes, p.initGenesis)
	}
	if len(modes) != 1 {
		return usage("tocsin init takes one of --card, --found NAME and --genesis FILE")
	}
	return modes[0](c)
}

// initCard prints the card of the data directory's organisation.
func (p *program) initCard(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	dir, err := dataDir(c)
	if err != nil {
		return err
	}
	id, err := ensureIdentity(c, dir, c.String("role"), spec.Organisation{})
	if err != nil {
		return err
	}
	text, err := id.Card().Marshal()
	if err != nil {
		return err
	}
	return p.write(c, text)
}

// ensureIdentity loads the organisation in dir, or makes it from the flags, and from
// another organisation where they say nothing. It refuses flags that say something
// else than what is there; addresses may change.
func ensureIdentity(c *cli.Context, dir, role string, like spec.Organisation) (*identity.Identity, error) {
	if err := writeListen(dir, c.StringSlice("listen")); err != nil {
		return nil, err
	}
	addresses := c.StringSlice("address")
	if len(addresses) == 0 {
		addresses = reachable(c.StringSlice("listen"))
	}
	if !identity.Exists(dir) {
		d := identity.Details{
			ID: cmp.Or(c.String("id"), like.ID), Name: cmp.Or(c.String("name"), like.Name),
			Jurisdiction: cmp.Or(c.String("jurisdiction"), like.Jurisdiction), Role: role, Addresses: addresses,
		}
		if d.ID == "" || d.Name == "" || d.Jurisdiction == "" {
			return nil, usage("%s holds no organisation yet: --id, --name and --jurisdiction say which one to make", dir)
		}
		return identity.Create(dir, d, rand.Reader)
	}
	id, err := identity.Load(dir)
	if err != nil {
		return nil, err
	}
	o := id.Organisation
	for name, has := range map[string]string{"id": o.ID, "name": o.Name, "jurisdiction": o.Jurisdiction, "role": o.Role} {
		if c.IsSet(name) && c.String(name) != has {
			return nil, usage("%s holds %s already, whose %s is %q", dir, o.ID, name, has)
		}
	}
	if len(addresses) > 0 && !slices.Equal(addresses, id.Addresses) {
		err = id.SetAddresses(dir, addresses)
	}
	return id, err
}

// reachable returns the addresses that others can dial as they stand.
func reachable(listen []string) []string {
	return slices.DeleteFunc(slices.Clone(listen), func(a string) bool {
		return strings.Contains(a, "/0.0.0.0/") || strings.Contains(a, "/ip6/::/") ||
			strings.HasSuffix(a, "/0") || strings.Contains(a, "/udp/0/")
	})
}

// writeListen keeps the listen addresses in a new settings file.
func writeListen(dir string, listen []string) error {
	if len(listen) == 0 {
		return nil
	}
	have, err := config.Load(config.Source{Dir: dir})
	if err != nil {
		return err
	}
	if slices.Equal(have.Listen, listen) {
		return nil
	}
	if _, err := config.Load(config.Source{Dir: dir, Flags: map[string]string{"listen": strings.Join(listen, ",")}}); err != nil {
		return err
	}
	path := filepath.Join(dir, config.FileName)
	if _, err := os.Lstat(path); err == nil {
		return usage("%s is there already: change listen in it", path)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	quoted := make([]string, len(listen))
	for i, a := range listen {
		quoted[i] = fmt.Sprintf("%q", a)
	}
	return os.WriteFile(path, []byte("listen = ["+strings.Join(quoted, ", ")+"]\n"), 0o644)
}

// initFound prints the founding document of the cards.
func (p *program) initFound(c *cli.Context) error {
	files := append(c.StringSlice("member"), c.Args().Slice()...)
	if len(files) == 0 {
		return usage("tocsin init --found takes the founders' cards, each with --member")
	}
	var cards []*identity.Card
	for _, name := range files {
		text, err := readSmall(name)
		if err != nil {
			return err
		}
		card, err := identity.ParseCard(text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		cards = append(cards, card)
	}
	g, err := identity.Found(c.String("found"), cards)
	if err != nil {
		return err
	}
	text, err := g.Marshal()
	if err != nil {
		return err
	}
	fmt.Fprintf(p.talk, "tocsin: the consortium is %s\n", g.Genesis.Origin())
	return p.write(c, text)
}

// initGenesis installs a founding document that lists this organisation.
func (p *program) initGenesis(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	dir, err := dataDir(c)
	if err != nil {
		return err
	}
	text, err := readSmall(c.String("genesis"))
	if err != nil {
		return err
	}
	g, err := identity.ParseGenesisFile(text)
	if err != nil {
		return err
	}
	id, err := identity.Load(dir)
	if err != nil {
		return err
	}
	if o, ok := g.Genesis.Member(id.Organisation.ID); !ok || o != id.Organisation {
		return spec.Errorf(spec.CodeGenesis, "the genesis file does not list %s with the keys in %s", id.Organisation.ID, dir)
	}
	if err := identity.SaveGenesis(dir, g); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, g.Genesis.Origin())
	return err
}

// write prints text, or writes it to the file of --out, which must not exist.
func (p *program) write(c *cli.Context, text []byte) error {
	name := c.String("out")
	if name == "" {
		_, err := p.out.Write(text)
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usage("%s is there already", name)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// readSmall reads a card or a genesis file.
func readSmall(name string) ([]byte, error) { return readUpTo(name, maxRead) }

// readUpTo reads a file that is no larger than limit, else TOO_LARGE.
func readUpTo(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, usage("%s: %w", name, errors.Unwrap(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = spec.Errorf(spec.CodeTooLarge, "%s has more than %d bytes", name, limit)
	}
	return b, err
}
