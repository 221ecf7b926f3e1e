// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// protocolJoin lets the holder of an invitation ask to be enrolled, and again how
// its case stands.
const protocolJoin = "/tocsin/join/1"

// States of a request to be enrolled.
const (
	joinPending  = "pending"
	joinEnrolled = "enrolled"
	joinRefused  = "refused"
)

// joinRequest is the card of who asks, with the signatures by its keys.
type joinRequest struct {
	_      struct{} `cbor:",toarray"`
	Card   spec.Organisation
	Proofs []spec.Proof
}

// joinAnswer is what a member tells an invitee.
type joinAnswer struct {
	_         struct{} `cbor:",toarray"`
	State     string
	Case      spec.Hash // that decides, zero once enrolled
	Genesis   []byte    // the founding document
	Addresses []orgAddresses
}

type orgAddresses struct {
	_         struct{} `cbor:",toarray"`
	Org       string
	Addresses []string
}

// serveJoin answers protocolJoin. Only the holder of an open invitation may call,
// with one card, in the role of the invitation. The first call opens the case
// that decides, on this member's word.
func (n *Node) serveJoin(ctx context.Context, from p2p.PeerID, _ string, req []byte) ([]byte, error) {
	var ask joinRequest
	if err := spec.Decode(req, &ask); err != nil {
		return nil, err
	}
	card := ask.Card
	i, ok := n.directory.invitation(from)
	if !ok {
		return nil, spec.Errorf(spec.CodeInvitation, "the invitation is over")
	}
	if card.Role != i.role {
		return nil, spec.Errorf(spec.CodeInvitation, "the invitation is for a %s", i.role)
	}
	if err := spec.Enrolment(card, ask.Proofs, i.tier).Check(); err != nil {
		return nil, err
	}
	opened, err := n.invites.claim(from, sha256.Sum256(req))
	if err != nil {
		return nil, err
	}
	a := joinAnswer{Case: opened}
	if err := n.askFor(ctx, from, &ask, i.tier, &a); err != nil {
		return nil, err
	}
	if a.Genesis, err = n.genesis.Genesis.Encode(); err != nil {
		return nil, err
	}
	for _, o := range n.genesis.Genesis.Organisations {
		if addrs := n.genesis.Addresses[o.ID]; len(addrs) > 0 {
			a.Addresses = append(a.Addresses, orgAddresses{Org: o.ID, Addresses: addrs})
		}
	}
	return spec.Encode(&a)
}

// askFor finds how the enrolment of a card stands, opening its case if that was
// not done.
func (n *Node) askFor(ctx context.Context, from p2p.PeerID, ask *joinRequest, tier string, a *joinAnswer) error {
	card := &ask.Card
	if peer, ok := n.directory.peer(card.ID); ok {
		if o, _ := n.directory.organisation(peer); o == *card {
			a.State = joinEnrolled
			return nil
		}
		return spec.Errorf(spec.CodeEnrolled, "an organisation of this id is enrolled already")
	}
	if a.Case.IsZero() {
		out, err := n.submit(ctx, spec.Enrolment(*card, ask.Proofs, tier), nil)
		if err != nil {
			return err
		}
		a.State, a.Case = joinPending, out.ID
		return n.invites.opened(from, out.ID)
	}
	var c spec.Case
	if err := readRecord(n.store, spec.CaseKey(a.Case), &c); err != nil {
		return err
	}
	switch c.Outcome {
	case 0:
		a.State = joinPending
	case spec.OutcomeAccepted:
		a.State = joinEnrolled
	default:
		a.State = joinRefused
	}
	return nil
}

// JoinConfig is what joining needs. An identity must stand in Dir.
type JoinConfig struct {
	Dir      string
	Line     string
	Logger   *slog.Logger
	Progress func(string) // told in words how it goes; or nil
	Now      func() time.Time
	Poll     time.Duration // between two questions how the case stands; 0: one second
}

// Join asks the member that made an invitation to enrol the organisation in Dir,
// waits until its case is decided, and leaves a directory that Start runs. It can
// be repeated after an interruption.
func Join(ctx context.Context, cfg JoinConfig) error {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	line, err := ParseInvitation(cfg.Line)
	if err != nil {
		return err
	}
	if uint64(cfg.Now().UnixMilli()) >= line.ExpiresMS {
		return spec.Errorf(spec.CodeInvitation, "the invitation has expired: ask for another")
	}
	id, err := identity.Load(cfg.Dir)
	if err != nil {
		return err
	}
	if id.Organisation.Role != line.Role {
		return spec.Errorf(spec.CodeInvitation, "the invitation is for a %s, the organisation here is a %s", line.Role, id.Organisation.Role)
	}
	host, member, err := dialMember(&cfg, line)
	if err != nil {
		return err
	}
	defer host.Close()
	a, err := awaitEnrolment(ctx, &cfg, host, member, id.Card())
	if err != nil {
		return err
	}
	return saveJoined(&cfg, line, a)
}

// onlyMember admits the inviting member alone.
type onlyMember p2p.PeerID

func (m onlyMember) Role(id p2p.PeerID) (string, bool) {
	return spec.RoleMember, id == p2p.PeerID(m)
}

func dialMember(cfg *JoinConfig, line *Invitation) (*p2p.Host, p2p.PeerID, error) {
	member := p2p.PeerID(line.Member)
	host, err := p2p.NewHost(p2p.Config{Key: ed25519.NewKeyFromSeed(line.Secret[:]), Directory: onlyMember(member), Logger: cfg.Logger})
	if err != nil {
		return nil, "", err
	}
	if err := host.AddPeer(member, line.Addresses); err != nil {
		return nil, "", errors.Join(spec.Errorf(spec.CodeInvitation, "the invitation names no usable address: %w", err), host.Close())
	}
	return host, member, nil
}

// reachTimeout is how long the inviting member may not answer at all.
const reachTimeout = 30 * time.Second

// awaitEnrolment asks until the case is decided.
func awaitEnrolment(ctx context.Context, cfg *JoinConfig, host *p2p.Host, member p2p.PeerID, card *identity.Card) (*joinAnswer, error) {
	req, err := spec.Encode(&joinRequest{Card: card.Organisation, Proofs: card.Proofs})
	if err != nil {
		return nil, err
	}
	told, refused := "", 0
	begin := cfg.Now()
	for {
		var a *joinAnswer
		resp, err := host.Call(ctx, member, protocolJoin, req, p2p.MaxFrame)
		if err == nil {
			a, err = parseJoinAnswer(resp)
		}
		switch {
		case err != nil && !again(err):
			return nil, fmt.Errorf("asking to be enrolled: %w", err)
		case err != nil && told == "" && cfg.Now().Sub(begin) > reachTimeout:
			return nil, spec.Errorf(spec.CodeUnavailable, "the inviting member cannot be reached: %w", err)
		case err != nil && refused == 0:
			refused++
			cfg.Progress("the inviting member does not answer; trying on")
		case err != nil && ctx.Err() != nil:
			return nil, spec.Errorf(spec.CodeUnavailable, "the inviting member cannot be reached: %w", err)
		case err == nil && a.State == joinEnrolled:
			return a, nil
		case err == nil && a.State == joinRefused:
			return nil, spec.Errorf(spec.CodeDenied, "the members refused the enrolment in case %s", a.Case)
		case err == nil && told == "":
			told = "asked to be enrolled; the members vote on case " + a.Case.String()
			cfg.Progress(told)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(cfg.Poll):
		}
	}
}

// parseJoinAnswer reads what a member tells an invitee.
func parseJoinAnswer(data []byte) (*joinAnswer, error) {
	var a joinAnswer
	if err := spec.Decode(data, &a); err != nil {
		return nil, err
	}
	if len(a.Addresses) > maxJoinOrgs {
		return nil, spec.Errorf(spec.CodeTooLarge, "an answer names at most %d organisations", maxJoinOrgs)
	}
	for _, o := range a.Addresses {
		if len(o.Addresses) > maxJoinAddresses {
			return nil, spec.Errorf(spec.CodeTooLarge, "an organisation has at most %d addresses", maxJoinAddresses)
		}
	}
	return &a, nil
}

// Bounds of an answer.
const (
	maxJoinOrgs      = 1024
	maxJoinAddresses = 32
)

// saveJoined keeps the founding document, which must be the one that the
// invitation named.
func saveJoined(cfg *JoinConfig, line *Invitation, a *joinAnswer) error {
	g, err := spec.ParseGenesis(a.Genesis)
	if err != nil {
		return err
	}
	if g.Hash() != line.Genesis || g.Origin() != line.Origin {
		return spec.Errorf(spec.CodeGenesis, "the member's founding document is not the one that the invitation names")
	}
	file := &identity.GenesisFile{Genesis: g, Addresses: map[string][]string{}}
	for _, o := range a.Addresses {
		if _, ok := g.Member(o.Org); ok {
			file.Addresses[o.Org] = o.Addresses
		}
	}
	if line.Tier == spec.TierDigest {
		if err := writeTier(cfg.Dir, line.Tier, 0); err != nil {
			return err
		}
	}
	if err := identity.SaveGenesis(cfg.Dir, file); err != nil {
		return err
	}
	cfg.Progress("enrolled in " + g.Origin())
	return nil
}
