// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/trial"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/p2p/federation/state"
)

// everyone lets a host connect to anybody.
type everyone struct{}

func (everyone) Role(p2p.PeerID) (string, bool) { return "member", true }

// An enrolled peer opens as many streams of a protocol as it can, at every member:
// it gets as many as one peer may have, and the consortium decides on, in one term.
func TestAPeerWithTooManyStreamsIsRefusedWhileRaftGoesOn(t *testing.T) {
	ctx, c := foundWith(t, trial.Options{Members: 3, Profile: "wan"}) // which a busy machine takes no leader from
	reader, err := c.AddReader(ctx, "tango")
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	id, err := identity.Load(reader.Dir)
	if err != nil {
		t.Fatal(err)
	}
	h, err := p2p.NewHost(p2p.Config{
		Key: id.Libp2p, Directory: everyone{}, Logger: slog.New(slog.DiscardHandler),
		Limits: map[string]p2p.Limit{federation.Protocol: {Streams: 4096, PerPeer: 256, Memory: 1 << 30}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	term := c.Members[0].Term()
	for proto, most := range map[string]int{federation.Protocol: federation.MaxStreams, state.Protocol: p2p.DefaultStreams} {
		for _, m := range c.Members {
			if err := h.AddPeer(m.PeerOf(m.ID), m.Addresses()); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			got := make(chan struct{}, 40)
			for range 40 {
				wg.Go(func() {
					if _, err := h.OpenStream(ctx, m.PeerOf(m.ID), proto); err == nil {
						got <- struct{}{}
					}
				})
			}
			wg.Wait()
			if n := len(got); n < 1 || n > most {
				t.Errorf("%s lets one peer open %d streams of %s, want at most %d", m.ID, n, proto, most)
			}
		}
		list(t, c, sha(byte(most)))
		for _, m := range c.Members {
			awaitMatches(t, ctx, m, sha(byte(most)), 1)
		}
	}
	if now := c.Members[0].Term(); now != term {
		t.Errorf("the term went from %d to %d: a leader was lost", term, now)
	}
}
