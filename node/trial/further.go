// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/spec"
)

// Follow has this consortium enrol the organisation of p, a participant of another,
// as a reader of the given id, and p's running node follow it under a name. It returns
// once that node begins.
func (c *Consortium) Follow(ctx context.Context, p *Participant, id, name string) error {
	invitation, err := c.Members[0].Invite(ctx, spec.RoleReader, spec.TierFull, time.Hour)
	if err != nil {
		return err
	}
	line, err := node.ParseInvitation(invitation.Line)
	if err != nil {
		return err
	}
	place, err := consortia.Reserve(p.Dir, name, line.Origin)
	if err != nil {
		return err
	}
	if _, err := identity.Create(place.Dir, identity.Details{ID: id, Name: "Follower " + id, Role: spec.RoleReader, Jurisdiction: "BE"}, rand.Reader); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	joined := make(chan error, 1)
	go func() {
		joined <- node.Join(ctx, node.JoinConfig{Dir: place.Dir, Line: invitation.Line, Logger: c.opts.Logger, Poll: 20 * time.Millisecond})
	}()
	if err := c.approve(ctx, id, joined); err != nil {
		return err
	}
	return p.FollowConsortium(ctx, name)
}
