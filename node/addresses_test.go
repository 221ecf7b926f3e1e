// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/spec"
)

// foundFor is found for a test that takes nodes apart and waits for them longer.
func foundFor(t *testing.T, limit time.Duration, o trial.Options) (context.Context, *trial.Consortium) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	o.Dir, o.Logger = t.TempDir(), slog.New(slog.DiscardHandler)
	if os.Getenv("TRIAL_LOG") != "" {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	o.Fatal = func(who string, err error) { t.Errorf("the node of %s failed: %v", who, err) }
	c, err := trial.Found(ctx, o)
	if err != nil {
		t.Fatalf("founding: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = c.Stop(ctx)
	})
	return ctx, c
}

// sees reports whether a member's node shows another as connected.
func sees(ctx context.Context, from *trial.Participant, org string) bool {
	members, err := from.Members(ctx)
	return err == nil && slices.ContainsFunc(members, func(m api.Member) bool { return m.ID == org && m.Connected })
}

// Two members that join later become sequencers and find each other, though nobody
// told either where the other is. Without the member that introduced them the log
// goes on to be final, and without another it goes on.
func TestNewcomersFindEachOther(t *testing.T) {
	ctx, c := foundFor(t, 3*time.Minute, trial.Options{Members: 3})
	delta, err := c.AddMember(ctx, "delta")
	if err != nil {
		t.Fatal(err)
	}
	echo, err := c.AddMember(ctx, "echo")
	if err != nil {
		t.Fatal(err)
	}
	alpha, bravo, charlie := c.Members[0], c.Members[1], c.Members[2]
	all := []string{"alpha", "bravo", "charlie", "delta", "echo"}
	err = c.Settle(ctx, func() (bool, error) {
		return slices.Equal(echo.Panel(), all) && slices.Equal(delta.Panel(), all) && echo.MayCosign() == nil && delta.MayCosign() == nil, nil
	})
	if err != nil {
		t.Fatalf("both get a seat: %v", err)
	}
	if err := trial.Await(ctx, func() (bool, error) { return sees(ctx, delta, "echo") && sees(ctx, echo, "delta"), nil }); err != nil {
		t.Fatal("the newcomers never met")
	}
	for i, away := range []*trial.Participant{alpha, bravo} {
		if err := away.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		s := sha(byte(i + 1))
		id, err := delta.Propose(ctx, api.Proposal{Items: []api.ProposalItem{{Labels: []string{"x"}, Signals: []spec.Signal{s}}}, Basis: "test"})
		if err != nil {
			t.Fatalf("without %s: %v", away.ID, err)
		}
		approve(t, echo, id)
		approve(t, charlie, id)
		for _, m := range []*trial.Participant{charlie, delta, echo} {
			awaitMatches(t, ctx, m, s, 1)
		}
		size := delta.LogSize()
		if i == 0 { // four of five cosign, and with three there is no finality
			if err := trial.Await(ctx, func() (bool, error) { return delta.Final().Size >= size && echo.Final().Size >= size, nil }); err != nil {
				t.Fatalf("not final without %s: delta %d, echo %d, log %d", away.ID, delta.Final().Size, echo.Final().Size, size)
			}
		}
	}
}

func FuzzParseAddresses(f *testing.F) {
	for _, v := range []any{
		[]string{}, []string{"/ip4/192.0.2.1/tcp/1"}, slices.Repeat([]string{"x"}, 9), []string{strings.Repeat("x", 129)},
		[]any{[]any{"delta", []string{"/ip4/192.0.2.1/tcp/1"}}}, slices.Repeat([]any{[]any{"delta", []string{}}}, 19),
	} {
		b, err := spec.Encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, err := range []error{node.ParseAddresses(b), node.ParseToldAddresses(b)} {
			if err != nil && spec.CodeOf(err) == "" {
				t.Errorf("an error without a code: %v", err)
			}
		}
	})
}

func TestToldAddressesAreBounded(t *testing.T) {
	for name, v := range map[string]any{
		"too many addresses":     slices.Repeat([]string{"/ip4/192.0.2.1/tcp/1"}, 9),
		"too long":               []string{strings.Repeat("x", 129)},
		"too many organisations": slices.Repeat([]any{[]any{"delta", []string{}}}, 19),
		"too many of one":        []any{[]any{"delta", slices.Repeat([]string{"x"}, 9)}},
	} {
		b, err := spec.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if node.ParseAddresses(b) == nil || node.ParseToldAddresses(b) == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// Whoever says much, and says it anew each time, takes no place from what others say,
// over a restart neither.
func TestALiarCrowdsNobodyOut(t *testing.T) {
	dir, orgs := t.TempDir(), []string{"alpha", "bravo", "liar", "victim"}
	b := node.OpenAddresses(dir)
	for i := range 50 {
		var lies []string
		for k := range 8 {
			lies = append(lies, fmt.Sprintf("/ip4/198.51.100.%d/tcp/%d", i, k+1))
		}
		if !b.Said("liar", "victim", lies) {
			t.Fatal("what is new is not taken")
		}
	}
	const honest, own = "/ip4/192.0.2.1/tcp/7230", "/ip4/192.0.2.2/tcp/7230"
	if !b.Said("bravo", "victim", []string{honest}) || !slices.Contains(b.Of("victim"), honest) {
		t.Fatalf("crowded out: %v", b.Of("victim"))
	}
	if n := len(b.Of("victim")); n > 9 {
		t.Fatalf("%d addresses are kept of one that lies and one that does not", n)
	}
	if !b.Said("victim", "victim", []string{own}) || b.Of("victim")[0] != own {
		t.Fatalf("what it says itself does not come first: %v", b.Of("victim"))
	}
	if b.Said("bravo", "victim", []string{own}) {
		t.Fatal("what is known counts as new")
	}
	b.Said("bravo", "victim", []string{honest})
	if err := b.Save(orgs); err != nil {
		t.Fatal(err)
	}
	if again := node.OpenAddresses(dir).Of("victim"); !slices.Contains(again, honest) || !slices.Contains(again, own) {
		t.Fatalf("after a restart: %v", again)
	}
	if err := b.Save(orgs[:3]); err != nil || len(b.Of("victim")) != 0 {
		t.Fatalf("one that sequences no more is kept: %v, %v", b.Of("victim"), err)
	}
}
