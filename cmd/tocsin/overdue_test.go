// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tocsin-db/tocsin/node/trial"
)

// TestOverdue lets days pass for four members.
func TestOverdue(t *testing.T) { overTime(t, "testdata/overdue", 4) }

// TestOutside has a reader that disputes.
func TestOutside(t *testing.T) { overTime(t, "testdata/outside", 3) }

// overTime runs a folder's scripts against members for whom days may pass. They have
// these commands:
//
//	later DURATION   the clocks of the members' nodes go on by that much
//	halt MEMBER      its node stops
//	resume MEMBER    its node starts again
func overTime(t *testing.T, scripts string, members int) {
	var ahead atomic.Int64
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
