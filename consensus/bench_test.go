// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tocsin-db/tocsin/spec"
)

// BenchmarkSubmit commits 100-byte submissions on three sequencers with bolt
// logs on the disk of the temporary directory and a transport in memory. Its
// peer is one raft.Apply per submission on the same node, without coalescing.
// Compare the ops/s of the two:
//
//	go test -run '^$' -bench Submit -benchtime 3s ./consensus
func BenchmarkSubmit(b *testing.B) {
	for _, clients := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("coalesced/clients=%d", clients), func(b *testing.B) {
			benchmarkSubmit(b, clients, func(n *Node, s spec.Submission) error {
				_, err := n.Submit(b.Context(), s)
				return err
			})
		})
		b.Run(fmt.Sprintf("raft.Apply/clients=%d", clients), func(b *testing.B) {
			benchmarkSubmit(b, clients, func(n *Node, s spec.Submission) error {
				data, err := (&spec.RaftEntry{Submissions: []spec.Submission{s}}).Marshal()
				if err != nil {
					return err
				}
				return n.raft.Apply(data, 0).Error()
			})
		})
	}
}

func benchmarkSubmit(b *testing.B, clients int, submit func(*Node, spec.Submission) error) {
	voters := []string{"a", "b", "c"}
	var nodes []*Node
	var stores []*memStore
	var transports []*raft.InmemTransport
	for _, id := range voters {
		_, trans := raft.NewInmemTransport(raft.ServerAddress(id))
		for _, o := range transports {
			trans.Connect(o.LocalAddr(), o)
			o.Connect(trans.LocalAddr(), trans)
		}
		store := newMemStore()
		n, err := Start(Config{ID: id, Dir: b.TempDir(), Voters: voters, Fatal: func(err error) { b.Error(err) }}, store, trans)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := n.Stop(ctx); err != nil {
				b.Error(err)
			}
		})
		nodes, stores, transports = append(nodes, n), append(stores, store), append(transports, trans)
	}
	led := leaderOf(b, nodes)

	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range clients {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := submit(led, sub("%0100d", i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	for i, n := range nodes { // all three must hold them all
		if err := n.WaitApplied(b.Context(), led.Applied()); err != nil || len(stores[i].ops()) != b.N {
			b.Errorf("%s holds %d of %d operations (%v)", voters[i], len(stores[i].ops()), b.N, err)
		}
	}
}

// leaderOf polls for a leader.
func leaderOf(b *testing.B, nodes []*Node) *Node {
	b.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.After(20 * time.Second); ; {
		for _, n := range nodes {
			if n.IsLeader() {
				return n
			}
		}
		select {
		case <-poll.C:
		case <-deadline:
			b.Fatal("no leader")
		}
	}
}
