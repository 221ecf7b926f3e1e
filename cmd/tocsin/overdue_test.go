// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// TestOverdue lets days pass for four members.
func TestOverdue(t *testing.T) { overTime(t, "testdata/overdue", 4, 0) }

// TestOutside has a reader that disputes.
func TestOutside(t *testing.T) { overTime(t, "testdata/outside", 3, 0) }

// TestLimits has a policy with limits; its clocks begin early in a day, which is what
// quotas count in.
func TestLimits(t *testing.T) {
	now := time.Now()
	overTime(t, "testdata/limits", 4, now.Truncate(24*time.Hour).Add(25*time.Hour).Sub(now))
}

// overTime runs a folder's scripts against members for whom days may pass, and whose
// clocks are ahead from the start. They have these commands:
//
//	refuses CODE MEMBER HEX  its node refuses to propose the SHA-256 digest
//	later DURATION   the clocks of the members' nodes go on by that much
//	halt MEMBER      its node stops
//	resume MEMBER    its node starts again
func overTime(t *testing.T, scripts string, members int, begin time.Duration) {
	var ahead atomic.Int64
	ahead.Store(int64(begin))
	par, c := onTrial(t, scripts, func(o *trial.Options) {
		o.Members, o.Receipts = members, 20*time.Millisecond
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	member := func(ts *testscript.TestScript, args []string) *trial.Participant {
		for _, m := range c.Members {
			if len(args) == 1 && m.ID == args[0] {
				return m
			}
		}
		ts.Fatalf("no member is named by %q", args)
		return nil
	}
	par.Cmds["refuses"] = func(ts *testscript.TestScript, _ bool, args []string) {
		s, err := spec.ParseSignal("sha256", args[2])
		ts.Check(err)
		_, err = member(ts, args[1:2]).Propose(context.Background(), api.Proposal{
			Items: []api.ProposalItem{{Labels: []string{"isil"}, Signals: []spec.Signal{s}}}, Basis: "test",
		})
		if code := spec.CodeOf(err); string(code) != args[0] {
			ts.Fatalf("%v, want %s", err, args[0])
		}
	}
	par.Cmds["later"] = func(ts *testscript.TestScript, _ bool, args []string) {
		d, err := time.ParseDuration(args[0])
		ts.Check(err)
		ahead.Add(int64(d))
	}
	par.Cmds["halt"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(member(ts, args).Stop(context.Background()))
	}
	par.Cmds["resume"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(c.Start(context.Background(), member(ts, args)))
	}
	testscript.Run(t, par)
}
