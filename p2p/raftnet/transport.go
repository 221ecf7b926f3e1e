// SPDX-License-Identifier: Apache-2.0

package raftnet

import (
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tocsin-db/tocsin/p2p"
)

// Defaults of Config.
const (
	DefaultTimeout    = 10 * time.Second
	DefaultStuckAfter = 2 * time.Second
	maxPool           = 3
)

// ErrStuck refuses AppendEntries while our own log append hangs.
var ErrStuck = errors.New("own log append is stuck: not acting as leader")

// Config is what a Transport needs.
type Config struct {
	Host  *p2p.Host
	Allow func(p2p.PeerID) bool // who may open raft streams; see NewStreamLayer

	// Era tells logs apart that began anew, "" before the first did: sequencers of
	// different eras do not reach each other.
	Era string

	// Stuck tells for how long the log append that is now under way has been
	// running, 0 when none is. nil: never stuck.
	Stuck      func() time.Duration
	StuckAfter time.Duration // from when on AppendEntries are refused; 0: DefaultStuckAfter

	Timeout time.Duration // of one RPC; 0: DefaultTimeout
	Logger  *slog.Logger  // nil: slog.Default()
}

// A Transport is raft's network transport with the gate. It embeds the stock
// one, and so keeps what raft asks for by type assertion: pre-vote, closing.
type Transport struct {
	*raft.NetworkTransport
	stuck func() time.Duration
	after time.Duration
}

// New starts a transport. MaxRPCsInFlight is 1: with the default of 2 one failed
// append of a follower can stop replication to it for good.
func New(cfg Config) *Transport {
	t := &Transport{stuck: cfg.Stuck, after: cfg.StuckAfter}
	if t.stuck == nil {
		t.stuck = func() time.Duration { return 0 }
	}
	if t.after <= 0 {
		t.after = DefaultStuckAfter
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	t.NetworkTransport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:          NewStreamLayer(cfg.Host, cfg.Era, cfg.Allow),
		MaxPool:         maxPool,
		MaxRPCsInFlight: 1,
		Timeout:         cfg.Timeout,
		Logger:          newLogger(cfg.Logger),
	})
	return t
}

// Close stops the transport and its streams.
func (t *Transport) Close() error {
	err := t.NetworkTransport.Close()
	t.CloseStreams()
	return err
}

func (t *Transport) gate() error {
	if t.stuck() > t.after {
		return ErrStuck
	}
	return nil
}

// AppendEntries replicates or, without entries, is a heartbeat. Both are
// refused while the log append hangs: either would keep followers from electing.
func (t *Transport) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if err := t.gate(); err != nil {
		return err
	}
	return t.NetworkTransport.AppendEntries(id, to, req, resp)
}

// AppendEntriesPipeline is not offered: a pipeline would pass the gate once and
// then go on without it.
func (t *Transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// InstallSnapshot also counts as contact from a leader, so it is gated too.
func (t *Transport) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if err := t.gate(); err != nil {
		return err
	}
	return t.NetworkTransport.InstallSnapshot(id, to, req, resp, data)
}

var (
	_ raft.Transport   = (*Transport)(nil)
	_ raft.WithPreVote = (*Transport)(nil)
	_ raft.WithClose   = (*Transport)(nil)
)
