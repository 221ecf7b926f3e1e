// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// linePrefix begins an invitation line and carries its version.
const linePrefix = "tocsin1:"

// maxLine bounds an invitation line in bytes.
const maxLine = 4 << 10

// An Invitation is what its line says: [origin, genesis hash, secret, role,
// tier, expires_ms, member, addresses]. The secret is the seed of the transport key
// with which the holder connects to ask; the member that made it admits that key
// and no other.
type Invitation struct {
	_         struct{} `cbor:",toarray"`
	Origin    string
	Genesis   spec.Hash
	Secret    [ed25519.SeedSize]byte
	Role      string
	Tier      string
	ExpiresMS uint64
	Member    string   // peer id
	Addresses []string // of that peer
}

// String returns the line.
func (i *Invitation) String() (string, error) {
	b, err := spec.Encode(i)
	return linePrefix + base64.RawURLEncoding.EncodeToString(b), err
}

// ParseInvitation reads a line. The error says nothing of its content.
func ParseInvitation(line string) (*Invitation, error) {
	line = strings.TrimSpace(line)
	bad := spec.Errorf(spec.CodeInvitation, "this is not an invitation: it begins with %q and is one line", linePrefix)
	if len(line) > maxLine || !strings.HasPrefix(line, linePrefix) {
		return nil, bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(line, linePrefix))
	if err != nil {
		return nil, bad
	}
	var i Invitation
	if spec.Decode(b, &i) != nil || len(i.Addresses) > 16 {
		return nil, bad
	}
	return &i, nil
}

// Invite implements api.Backend. The holder of the line may ask once, for this
// role and tier, until it expires; a case decides.
func (n *Node) Invite(_ context.Context, role, tier string, ttl time.Duration) (api.Invitation, error) {
	if n.consensus == nil {
		return api.Invitation{}, spec.Errorf(spec.CodeRole, "only a sequencer invites")
	}
	if role != spec.RoleMember && role != spec.RoleReader && role != spec.RoleAuditor && role != spec.RoleReferrer {
		return api.Invitation{}, spec.Errorf(spec.CodeNotEnabled, "an invitation is for a member, a reader, a referrer or an auditor")
	}
	if err := spec.CheckTier(role, tier); err != nil {
		return api.Invitation{}, err
	}
	if ttl <= 0 || ttl > 30*24*time.Hour {
		return api.Invitation{}, spec.Errorf(spec.CodeUsage, "an invitation lasts up to 30 days")
	}
	until := n.cfg.Now().Add(ttl)
	g := n.genesis.Genesis
	i := Invitation{
		Origin: g.Origin(), Genesis: g.Hash(), Role: role, Tier: tier, ExpiresMS: uint64(until.UnixMilli()),
		Member: string(n.host.ID()), Addresses: n.addresses(),
	}
	rand.Read(i.Secret[:])
	peer, err := invitee(i.Secret)
	if err != nil {
		return api.Invitation{}, err
	}
	if err := n.invites.add(peer, invited{until: until, role: role, tier: tier}); err != nil {
		return api.Invitation{}, err
	}
	line, err := i.String()
	return api.Invitation{Line: line, Role: role, Tier: tier, Expires: until}, err
}

// addresses returns where this node can be reached: what the founding document or
// its organisation's card says, or else what it listens on.
func (n *Node) addresses() []string {
	if a := n.genesis.Addresses[n.id.Organisation.ID]; len(a) > 0 {
		return a[:min(len(a), 16)]
	}
	if a := n.id.Addresses; len(a) > 0 {
		return a[:min(len(a), 16)]
	}
	a := n.host.Addrs()
	return a[:min(len(a), 16)]
}

// invitee returns the peer id that goes with a secret.
func invitee(secret [ed25519.SeedSize]byte) (p2p.PeerID, error) {
	return p2p.IDFromPublicKey(ed25519.NewKeyFromSeed(secret[:]).Public().(ed25519.PublicKey))
}

// invitations are the open ones of this member, kept over restarts without their
// secrets.
type invitations struct {
	path string
	dir  *directory
	mu   sync.Mutex
	list []openInvitation
}

type openInvitation struct {
	Peer    p2p.PeerID `json:"peer"`
	Role    string     `json:"role"`
	Tier    string     `json:"tier"`
	Expires time.Time  `json:"expires"`
	Card    string     `json:"card,omitempty"` // digest of the card that was shown, once one was
	Case    string     `json:"case,omitempty"` // that decides on it, once it was opened
}

func loadInvitations(dir string, d *directory, log *slog.Logger) (*invitations, error) {
	v := &invitations{path: filepath.Join(dir, "invitations.json"), dir: d}
	b, err := os.ReadFile(v.path)
	if errors.Is(err, os.ErrNotExist) {
		return v, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the open invitations: %w", err)
	}
	if json.Unmarshal(b, &v.list) != nil {
		log.Warn("the open invitations cannot be read and are void; invite again", "file", v.path)
		v.list = nil
	}
	for _, i := range v.list {
		d.invite(i.Peer, invited{until: i.Expires, role: i.Role, tier: i.Tier})
	}
	return v, nil
}

func (v *invitations) add(peer p2p.PeerID, to invited) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.list = slices.DeleteFunc(v.list, func(i openInvitation) bool { return !v.dir.now().Before(i.Expires) })
	v.list = append(v.list, openInvitation{Peer: peer, Role: to.role, Tier: to.tier, Expires: to.until})
	if err := v.save(); err != nil {
		return err
	}
	v.dir.invite(peer, to)
	return nil
}

// claim binds an invitation to the first card that is shown with it and returns
// the case that was opened on it, or zero.
func (v *invitations) claim(peer p2p.PeerID, card spec.Hash) (caseID spec.Hash, err error) {
	err = v.change(peer, func(o *openInvitation) error {
		if o.Card != "" && o.Card != card.String() {
			return spec.Errorf(spec.CodeInvitation, "the invitation was used by another organisation")
		}
		o.Card = card.String()
		if o.Case != "" {
			caseID, err = spec.ParseHash(o.Case)
		}
		return err
	})
	return caseID, err
}

// opened notes the case that decides on an invitation.
func (v *invitations) opened(peer p2p.PeerID, caseID spec.Hash) error {
	return v.change(peer, func(o *openInvitation) error {
		o.Case = caseID.String()
		return nil
	})
}

// change changes one invitation and keeps what came of it.
func (v *invitations) change(peer p2p.PeerID, fn func(*openInvitation) error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	i := slices.IndexFunc(v.list, func(o openInvitation) bool { return o.Peer == peer })
	if i < 0 {
		return spec.Errorf(spec.CodeInvitation, "the invitation is not known here")
	}
	before := v.list[i]
	if err := fn(&v.list[i]); err != nil {
		return err
	}
	if v.list[i] == before {
		return nil
	}
	return v.save()
}

func (v *invitations) save() error {
	b, err := json.MarshalIndent(v.list, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.Replace(v.path, b, 0o600); err != nil {
		return fmt.Errorf("keeping the open invitations: %w", err)
	}
	return nil
}
