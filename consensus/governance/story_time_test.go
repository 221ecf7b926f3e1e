// SPDX-License-Identifier: Apache-2.0

package governance_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cockroachdb/datadriven"

	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/spec"
)

// checkpoint enters one that the organisations of "by" cosigned, in that order:
// "after" or "before" log time by a span, about "size" leaves, by default all.
// "alpha=(a name)" has alpha sign with the key of that name.
func (s *story) checkpoint(d *datadriven.TestData) string {
	s.t.Helper()
	at := s.clock().TimeMS + span(s.t, arg(d, "after")) - span(s.t, arg(d, "before"))
	c := &spec.Timed{Size: s.size(d), Root: s.ledger.rootAt(s.size(d))}
	for i, org := range strings.Fields(arg(d, "by")) {
		key := publicOf(org + " cosign")
		if name := arg(d, org); name != "" {
			key = publicOf(name)
		}
		c.Cosignatures = append(c.Cosignatures, cosign(s.genesis.Origin(), c, spec.Seat{Org: org, Key: key}, at/second+uint64(i)))
	}
	before, size := s.clock().TimeMS, s.ledger.Size()
	s.enterTimed(c)
	now := s.clock().TimeMS
	if s.ledger.Size() == size {
		if now != before {
			s.t.Fatal("log time moved without a leaf")
		}
		return "no tick\n"
	}
	s.now = now
	return fmt.Sprintf("log time is %d s\n", now/second) + strings.TrimPrefix(s.leaves(size), "ok\n")
}

// size is the argument of this name: a number, "+n" beyond the log, "-n" short of
// it; without one, that of the log.
func (s *story) size(d *datadriven.TestData) uint64 {
	text := arg(d, "size")
	if text == "" {
		return s.ledger.Size()
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		s.t.Fatalf("%s: size: %v", d.Pos, err)
	}
	if text[0] == '+' || text[0] == '-' {
		n += int64(s.ledger.Size())
	}
	return uint64(n)
}

// panel tells who makes the log final now, and who asks for others.
func (s *story) panel() string {
	r, err := governance.PanelInForce(s.ledger)
	if err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "panel %d from size %d", r.Panel.Number, r.Size)
	if r.From > 0 {
		fmt.Fprintf(&b, ", by a recovery from size %d", r.From)
	}
	fmt.Fprintf(&b, "; %d of these make final:\n", r.Panel.K)
	for _, x := range r.Panel.Seats {
		b.WriteString(x.Org)
		if x.Key != publicOf(x.Org+" cosign") {
			b.WriteString(", with a new key")
		}
		b.WriteString("\n")
	}
	if asked := new(spec.RecoveryRecord); s.read(spec.RecoveryKey, asked) {
		fmt.Fprintf(&b, "recovery last asked for by: %s\n", strings.Join(asked.Orgs, " "))
	}
	return b.String()
}

// recover enters, in one raft entry, what each organisation of "by" asks for: to go
// on with the sequencers named. "-alpha" confirms a decision instead, which stands
// between the others; "+alpha" asks to go on without the last of the sequencers.
// "epoch" is added to that which begins. A sequencer "alpha:a name" is to cosign with
// the key of that name, else with its own. With "tick" a span later one comes first;
// what "then" confirms follows on the row.
func (s *story) recover(d *datadriven.TestData) string {
	s.t.Helper()
	body := &spec.Recover{Size: s.size(d), Root: s.ledger.rootAt(s.size(d)), Epoch: s.clock().Epoch + 1}
	for _, id := range strings.Fields(arg(d, "sequencers")) {
		id, name, own := strings.Cut(id, ":")
		if !own {
			name = id + " cosign"
		}
		body.Seats = append(body.Seats, spec.Seat{Org: id, Key: publicOf(strings.ReplaceAll(name, "_", " "))})
	}
	if d.HasArg("other-root") {
		body.Root[0] ^= 1
	}
	if e := arg(d, "epoch"); e != "" {
		n, err := strconv.Atoi(e)
		if err != nil {
			s.t.Fatalf("%s: epoch: %v", d.Pos, err)
		}
		body.Epoch += uint64(n)
	}
	by, before := strings.Fields(arg(d, "by")), s.ledger.Size()
	var subs []spec.Submission
	for _, org := range by {
		var b spec.Body = body
		if other, ok := strings.CutPrefix(org, "-"); ok {
			org, b = other, &spec.Applied{At: []spec.AppliedAt{{Index: 0, AtMS: s.now}}}
		} else if other, ok := strings.CutPrefix(org, "+"); ok {
			fewer := *body
			fewer.Seats = body.Seats[:len(body.Seats)-1]
			org, b = other, &fewer
		}
		op := s.op(org, b)
		if d.HasArg("numbered") {
			s.seq[org]++
			op.Seq = s.seq[org]
		}
		if d.HasArg("dated") {
			op.MadeMS = s.now
		}
		subs = append(subs, submission(s.t, s.sign(op, s.keys[org]), nil))
	}
	var b strings.Builder
	at := uint64(0)
	if after := arg(d, "tick"); after != "" {
		at = s.clock().TimeMS + span(s.t, after)
	}
	if org := arg(d, "then"); org != "" {
		op := s.op(org, &spec.Applied{At: []spec.AppliedAt{{Index: 0, AtMS: s.now}}})
		op.Epoch++
		by, subs = append(by, org), append(subs, submission(s.t, s.sign(op, s.keys[org]), nil))
	}
	for i, out := range s.enter(at, subs...) {
		if out.Code != "" {
			fmt.Fprintf(&b, "%s is refused, %s: %s\n", by[i], out.Code, out.Message)
		}
	}
	if told := s.leaves(before); told != "ok\n" || b.Len() == 0 {
		b.WriteString(told)
	}
	return b.String()
}
