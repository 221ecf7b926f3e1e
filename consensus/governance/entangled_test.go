// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"crypto/ed25519"
	"fmt"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// rotate has the others give an organisation a new op key and doubt what the old one
// signed from an index on.
func (c *consortium) rotate(org, name string, since uint64, voters ...string) {
	c.t.Helper()
	old := spec.PublicKey(c.keys[org].Public().(ed25519.PublicKey))
	k := proved(&spec.KeyChange{Org: org, Use: spec.UseOp, Old: []spec.PublicKey{old}, New: []spec.PublicKey{publicOf(name)}, Since: since, Reason: "stolen"})
	id := c.do(voters[0], k, nil)
	for _, v := range voters[1:] {
		c.vote(v, id, spec.Approve)
	}
	c.wantCase(id, "accepted")
	c.keys[org] = keyOf(name)
}

// Two organisations lose their keys while a case is open: the votes of both go, so
// that each counts once when it votes again.
func TestVotesOfTwoStolenKeysAreTakenBack(t *testing.T) {
	c := found(t, nil, memberLines(9)...)
	id := c.propose("m00", "one")
	c.vote("m01", id, spec.Approve)
	c.vote("m02", id, spec.Approve)
	c.rotate("m01", "m01 second", 1, "m03", "m04", "m05", "m06", "m07", "m08")
	c.rotate("m02", "m02 second", 1, "m03", "m04", "m05", "m06", "m07", "m08")
	if k := c.wantCase(id, "open"); k.Yes != 1 {
		t.Fatalf("%d approve, want 1", k.Yes)
	}
	c.vote("m02", id, spec.Approve)
	c.vote("m03", id, spec.Approve)
	if k := c.wantCase(id, "open"); k.Yes != 3 {
		t.Fatalf("%d approve, want 3", k.Yes)
	}
}

// What a stolen key decided is voted on anew, though another stolen key's vote in it
// was taken back before.
func TestADecisionIsReviewedForEachStolenKey(t *testing.T) {
	c := found(t, nil, memberLines(5)...)
	id := c.propose("m00", "one")
	c.vote("m01", id, spec.Approve)
	c.rotate("m01", "m01 second", 1, "m00", "m02", "m03", "m04")
	c.vote("m02", id, spec.Approve)
	c.vote("m03", id, spec.Approve)
	c.wantCase(id, "accepted")
	c.rotate("m02", "m02 second", 1, "m00", "m01", "m03", "m04")
	c.tick(1000)
	c.wantEntry(spec.EntryID(id, 0), "disputed")
}

// A departure that lets another case pass in which a member is expelled: the votes of
// who left first count nowhere.
func TestADepartureThatLeadsToAnother(t *testing.T) {
	for n := range 16 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := found(t, nil, memberLines(7)...)
			p, o := c.batch(fmt.Sprint("item ", n))
			p.Urgency = spec.Urgent
			urgent := c.do("m00", p, o)
			expel := c.do("m01", &spec.Membership{Action: spec.ActionExpel, Org: "m06"}, nil)
			for _, m := range []string{"m02", "m03", "m04"} {
				c.vote(m, expel, spec.Approve)
			}
			leave := c.do("m00", &spec.Membership{Action: spec.ActionLeave, Org: "m00"}, nil)
			for _, m := range []string{"m01", "m02", "m03", "m04", "m05"} {
				c.vote(m, leave, spec.Approve)
			}
			c.wantCase(leave, "accepted")
			c.wantCase(expel, "accepted")
			if k := c.wantCase(urgent, "open"); k.Yes != 0 || k.Voters != 5 {
				t.Fatalf("%d of %d approve, want 0 of 5", k.Yes, k.Voters)
			}
		})
	}
}
