// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tocsin-db/tocsin/spec"
)

func TestMalformedRequestsOfASequencerDoNotReachRaft(t *testing.T) {
	entry := func(l raft.Log) any {
		l.Index, l.Term = 1000, 99
		return &raft.AppendEntriesRequest{Term: 99, PrevLogEntry: 999, Entries: []*raft.Log{&l}}
	}
	bad := map[string]any{
		"entry type":     entry(raft.Log{Type: 77}),
		"configuration":  entry(raft.Log{Type: raft.LogConfiguration, Data: []byte{0xc1, 0xff}}),
		"no voters":      entry(raft.Log{Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(raft.Configuration{})}),
		"nil entry":      &raft.AppendEntriesRequest{Term: 99, Entries: []*raft.Log{nil}},
		"gap":            &raft.AppendEntriesRequest{Term: 99, PrevLogEntry: 3, Entries: []*raft.Log{{Index: 9, Term: 99}}},
		"too large":      entry(raft.Log{Data: make([]byte, spec.MaxRaftEntry+1)}),
		"extensions":     entry(raft.Log{Extensions: []byte{1}}),
		"snapshot conf":  &raft.InstallSnapshotRequest{Term: 99, SnapshotVersion: 1, Configuration: []byte{0xc1}},
		"snapshot age":   &raft.InstallSnapshotRequest{Term: 99, SnapshotVersion: 0},
		"loud heartbeat": entry(raft.Log{Type: raft.LogNoop, Data: []byte{1}}),
	}
	inCluster(t, 1, nil, func(c *cluster) {
		c.submit("first")
		m := c.leader()
		_, liar := raft.NewInmemTransport("liar")
		liar.Connect("a", m.trans)
		for name, req := range bad {
			var err error
			switch req := req.(type) {
			case *raft.AppendEntriesRequest:
				err = liar.AppendEntries("a", "a", req, &raft.AppendEntriesResponse{})
			case *raft.InstallSnapshotRequest:
				err = liar.InstallSnapshot("a", "a", req, &raft.InstallSnapshotResponse{}, nil)
			}
			if spec.CodeOf(err) == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s := m.node.Status(); s.Term >= 99 || !m.node.IsLeader() {
			t.Errorf("a refused request moved the node: %+v", s)
		}
		c.submit("second")
	})
}

func TestHeartbeatsAreSiftedToo(t *testing.T) {
	g := &gate{}
	handled := 0
	handle := g.heartbeat(func(raft.RPC) { handled++ })
	handle(raft.RPC{Command: &raft.AppendEntriesRequest{Term: 1}})
	answer := make(chan raft.RPCResponse, 1)
	handle(raft.RPC{Command: &raft.AppendEntriesRequest{Entries: []*raft.Log{nil}}, RespChan: answer})
	if r := <-answer; handled != 1 || spec.CodeOf(r.Error) != spec.CodeMalformed {
		t.Errorf("handled %d, answer %v", handled, r.Error)
	}
}

func TestGateClosesWhileTheLogHangs(t *testing.T) {
	_, here := raft.NewInmemTransportWithTimeout("here", time.Minute)
	_, there := raft.NewInmemTransportWithTimeout("there", time.Minute)
	here.Connect("there", there)
	var stuck time.Duration
	g, err := newGate(here, func() time.Duration { return stuck }, newBreaker(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	go func() {
		for rpc := range there.Consumer() {
			rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
		}
	}()
	req := &raft.AppendEntriesRequest{Term: 4, PrevLogEntry: 7, Entries: []*raft.Log{{Index: 8}, {Index: 9}}}
	if err := g.AppendEntries("there", "there", req, &raft.AppendEntriesResponse{}); err != nil {
		t.Fatal(err)
	}
	if p := g.peer("there", 4); p.match != 9 || p.heard.IsZero() {
		t.Errorf("the follower is taken to be at %+v", p)
	}
	if p := g.peer("there", 5); p.match != 0 {
		t.Errorf("what was known in another term counts: %+v", p)
	}
	stuck = stuckLimit + 1
	if err := g.AppendEntries("there", "there", req, &raft.AppendEntriesResponse{}); err == nil {
		t.Error("it still sends while its log hangs")
	}
	if err := g.InstallSnapshot("there", "there", &raft.InstallSnapshotRequest{}, &raft.InstallSnapshotResponse{}, nil); err == nil {
		t.Error("it still sends snapshots while its log hangs")
	}
	if _, err := g.AppendEntriesPipeline("there", "there"); err != raft.ErrPipelineReplicationNotSupported {
		t.Errorf("it pipelines: %v", err)
	}
}

func FuzzCheckConfiguration(f *testing.F) {
	f.Add(raft.EncodeConfiguration(Config{Voters: []string{"a", "b"}}.configuration()))
	f.Add([]byte{0xc1})
	f.Add([]byte{0xdf, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkConfiguration(data) != nil {
			return
		}
		if conf := raft.DecodeConfiguration(data); len(conf.Servers) == 0 {
			t.Error("accepted without servers")
		}
	})
}
