// SPDX-License-Identifier: Apache-2.0

// Package trial runs a whole consortium in one process on loopback, in a folder
// of its own: for the demonstration, for benchmarks and for tests. It uses
// nothing but what organisations use: cards, a genesis file, invitations.
package trial

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/spec"
)

// Options shape a Consortium.
type Options struct {
	Dir       string        // folder for the data directories; must exist
	Members   int           // how many found it, up to 30
	Sequence  []string      // of them those that sequence; nil: all
	Name      string        // of the consortium; "": trial
	HTTP      bool          // open a lookup door for each node on a free port
	RTT       time.Duration // round trip between any two nodes, simulated; 0: that of loopback
	Profile   string        // as in node.Config; "": lan, wan above 20 ms of RTT
	Sightings int           // days, as in node.Config
	Receipts  time.Duration // as in node.Config
	Snapshots uint64        // as SnapshotEvery in node.Config
	Now       func() time.Time
	Logger    *slog.Logger
	Fatal     func(who string, err error) // told when a node fails
}

// A Consortium is running members and readers.
type Consortium struct {
	opts    Options
	Members []*Participant
	Readers []*Participant
	delays  []*delayer
}

// A Participant is one organisation and its running node.
type Participant struct {
	ID   string
	Dir  string
	HTTP string // address of the lookup door, or ""
	*node.Node
	config node.Config
}

const maxMembers = 30

type named struct{ id, name, jurisdiction string }

// founder names the member of a number.
func founder(i int) named {
	if i < len(names) {
		return names[i]
	}
	return named{fmt.Sprintf("member-%02d", i), fmt.Sprintf("Member %d", i), names[i%len(names)].jurisdiction}
}

// names of members, in order.
var names = []named{
	{"alpha", "Alpha Video", "FR"}, {"bravo", "Bravo Social", "GB"}, {"charlie", "Charlie Chat", "DE"},
	{"delta", "Delta Share", "ES"}, {"echo", "Echo Photos", "IE"}, {"foxtrot", "Foxtrot Forum", "NL"}, {"golf", "Golf Mail", "SE"},
}

// Configure changes how the participant's node starts the next time.
func (p *Participant) Configure(change func(*node.Config)) { change(&p.config) }

// Found makes keys and cards of the members, exchanges the cards, writes the
// genesis file for each and starts their nodes.
func Found(ctx context.Context, o Options) (*Consortium, error) {
	if o.Members < 1 || o.Members > maxMembers {
		return nil, fmt.Errorf("a trial has 1 to %d members", maxMembers)
	}
	c := &Consortium{opts: o}
	var cards []*identity.Card
	for i := range o.Members {
		n := founder(i)
		p, err := c.create(n.id, identity.Details{ID: n.id, Name: n.name, Role: spec.RoleMember, Jurisdiction: n.jurisdiction}, true)
		if err != nil {
			return nil, err
		}
		c.Members = append(c.Members, p)
		id, err := identity.Load(p.Dir)
		if err != nil {
			return nil, err
		}
		cards = append(cards, id.Card())
	}
	genesis, err := identity.Found(cmp.Or(o.Name, "trial"), cards)
	if err == nil {
		genesis.Genesis.Policy.Sequencers = o.Sequence
		err = genesis.Genesis.Check()
	}
	if err != nil {
		return nil, err
	}
	for _, p := range c.Members {
		if err := identity.SaveGenesis(p.Dir, genesis); err != nil {
			return nil, err
		}
	}
	for _, p := range c.Members {
		if err := c.Start(ctx, p); err != nil {
			return nil, errors.Join(err, c.Stop(ctx))
		}
	}
	return c, c.awaitReady(ctx, c.Members)
}

// create makes the keys and card of a participant. Members listen; readers only
// connect outwards.
func (c *Consortium) create(id string, d identity.Details, listen bool) (*Participant, error) {
	p := &Participant{ID: id, Dir: filepath.Join(c.opts.Dir, id)}
	p.config = node.Config{Dir: p.Dir, Profile: "lan", Receipts: c.opts.Receipts, SightingsDays: c.opts.Sightings, SnapshotEvery: c.opts.Snapshots, Now: c.opts.Now, Logger: c.opts.Logger.With("node", id)}
	if c.opts.Profile != "" {
		p.config.Profile = c.opts.Profile
	} else if c.opts.RTT > 20*time.Millisecond {
		p.config.Profile = "wan"
	}
	p.config.Fatal = func(err error) {
		if c.opts.Fatal != nil {
			c.opts.Fatal(id, err)
		}
	}
	if listen {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		p.config.Listen = []string{loopback(port)}
		d.Addresses = p.config.Listen
		if c.opts.RTT > 0 {
			delay, err := newDelayer(address(port), c.opts.RTT)
			if err != nil {
				return nil, err
			}
			c.delays = append(c.delays, delay)
			d.Addresses = []string{loopback(delay.port())}
		}
	}
	if c.opts.HTTP {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		p.HTTP = address(port)
		p.config.HTTP = p.HTTP
	}
	_, err := identity.Create(p.Dir, d, rand.Reader)
	return p, err
}

func loopback(port int) string { return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port) }

// Start starts, or starts again, a participant's node.
func (c *Consortium) Start(ctx context.Context, p *Participant) (err error) {
	p.Node, err = node.Start(ctx, p.config)
	if err != nil {
		return fmt.Errorf("starting the node of %s: %w", p.ID, err)
	}
	return nil
}

// AddReader has the first member invite a reader, has the other members approve,
// and starts the reader's node. It returns once the reader has the whole log.
func (c *Consortium) AddReader(ctx context.Context, id string) (*Participant, error) {
	return c.AddFollower(ctx, id, spec.RoleReader)
}

// AddFollower is AddReader for an organisation of any role that joins later.
func (c *Consortium) AddFollower(ctx context.Context, id, role string) (*Participant, error) {
	return c.addFollower(ctx, id, role, spec.TierFull)
}

// AddDigestReader is AddReader for a reader of the digest tier.
func (c *Consortium) AddDigestReader(ctx context.Context, id string) (*Participant, error) {
	return c.addFollower(ctx, id, spec.RoleReader, spec.TierDigest)
}

func (c *Consortium) addFollower(ctx context.Context, id, role, tier string) (*Participant, error) {
	p, err := c.add(ctx, id, role, tier, false)
	if err != nil {
		return nil, err
	}
	c.Readers = append(c.Readers, p)
	return p, c.awaitReady(ctx, []*Participant{p})
}

// Enrol is AddReader for a node that is not started yet, so that it can be configured
// first. One that listens can be followed by others.
func (c *Consortium) Enrol(ctx context.Context, id string, listen bool) (*Participant, error) {
	return c.EnrolIn(ctx, id, spec.TierFull, listen)
}

// EnrolIn is Enrol for a reader of a tier.
func (c *Consortium) EnrolIn(ctx context.Context, id, tier string, listen bool) (*Participant, error) {
	p, err := c.enrol(ctx, id, spec.RoleReader, tier, listen)
	if err == nil {
		c.Readers = append(c.Readers, p)
	}
	return p, err
}

// AddMember has the first member invite another, as AddReader does. It returns once
// that one follows the log; Settle sees it become a sequencer, where it is to be one.
func (c *Consortium) AddMember(ctx context.Context, id string) (*Participant, error) {
	p, err := c.add(ctx, id, spec.RoleMember, spec.TierFull, true)
	if err != nil {
		return nil, err
	}
	c.Members = append(c.Members, p)
	return p, nil
}

// Settle starts those nodes again that took another part, until ok holds.
func (c *Consortium) Settle(ctx context.Context, ok func() (bool, error)) error {
	return Await(ctx, func() (bool, error) {
		for _, p := range c.All() {
			select {
			case <-p.Done():
			default:
				continue
			}
			if !errors.Is(p.Err(), node.ErrPart) {
				return false, p.Err()
			}
			if err := errors.Join(p.Node.Stop(ctx), c.Start(ctx, p)); err != nil {
				return false, err
			}
		}
		return ok()
	})
}

// add enrols an organisation and starts its node.
func (c *Consortium) add(ctx context.Context, id, role, tier string, listen bool) (*Participant, error) {
	p, err := c.enrol(ctx, id, role, tier, listen)
	if err != nil {
		return nil, err
	}
	return p, c.Start(ctx, p)
}

// enrol has the first member invite an organisation and the other members approve it.
func (c *Consortium) enrol(ctx context.Context, id, role, tier string, listen bool) (*Participant, error) {
	p, err := c.create(id, identity.Details{ID: id, Name: "Follower " + id, Role: role, Jurisdiction: "BE"}, listen)
	if err != nil {
		return nil, err
	}
	invitation, err := c.Members[0].Invite(ctx, role, tier, time.Hour)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	joined := make(chan error, 1)
	go func() {
		joined <- node.Join(ctx, node.JoinConfig{Dir: p.Dir, Line: invitation.Line, Logger: p.config.Logger, Poll: 20 * time.Millisecond})
	}()
	if err := c.approve(ctx, id, joined); err != nil {
		return nil, err
	}
	return p, nil
}

// approve has the other members vote for the enrolment of id until joined ends.
func (c *Consortium) approve(ctx context.Context, id string, joined <-chan error) error {
	for _, m := range c.Members[1:] {
		var open api.CaseSummary
		err := Await(ctx, func() (bool, error) {
			select {
			case err := <-joined:
				return true, errors.Join(err, errJoined)
			default:
			}
			cases, _, err := m.Cases(ctx, api.CaseFilter{Mine: true, Kind: api.CaseEnrolment}, api.Page{Limit: 100})
			for _, s := range cases {
				if s.Candidate == id {
					open = s
					return true, err
				}
			}
			return false, err
		})
		if errors.Is(err, errJoined) {
			return joinError(err)
		}
		if err != nil {
			return err
		}
		if _, err := m.Vote(ctx, api.Ballot{Case: open.ID, Choice: spec.Approve}); err != nil && spec.CodeOf(err) != spec.CodeCaseClosed {
			return err
		}
	}
	return <-joined
}

// errJoined marks that joining ended before all members were asked.
var errJoined = errors.New("joined")

func joinError(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) > 1 {
		return many.Unwrap()[0]
	}
	return nil
}

// awaitReady waits until the nodes answer lookups.
func (c *Consortium) awaitReady(ctx context.Context, ps []*Participant) error {
	return Await(ctx, func() (bool, error) {
		for _, p := range ps {
			for _, check := range p.Ready(ctx) {
				if !check.OK {
					return false, nil
				}
			}
		}
		return true, nil
	})
}

// All returns members and readers.
func (c *Consortium) All() []*Participant {
	return append(append([]*Participant(nil), c.Members...), c.Readers...)
}

// Stop stops all nodes, readers first.
func (c *Consortium) Stop(ctx context.Context) error {
	var errs []error
	all := c.All()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Node != nil {
			errs = append(errs, all[i].Node.Stop(ctx))
		}
	}
	for _, d := range c.delays {
		d.close()
	}
	return errors.Join(errs...)
}

// Await asks again and again, half a millisecond apart, until ok holds, and
// returns early with an error of ok or of ctx.
func Await(ctx context.Context, ok func() (bool, error)) error {
	t := time.NewTicker(500 * time.Microsecond)
	defer t.Stop()
	for {
		if done, err := ok(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}
