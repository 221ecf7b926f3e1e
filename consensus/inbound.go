// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"fmt"

	"github.com/hashicorp/raft"
	"github.com/tocsin-db/tocsin/spec"
)

// maxConf bounds an encoded raft configuration: nine sequencers and as many
// that join or leave take a few kilobytes.
const maxConf = 64 << 10

// sift passes on the requests of other sequencers that raft can handle. Raft
// panics on a configuration that it cannot decode and on an entry of a type
// that it does not know, and an entry comes back at every start: one malformed
// message would put an end to this node.
func (g *gate) sift(in <-chan raft.RPC) {
	for {
		select {
		case <-g.closed:
			return
		case rpc := <-in:
			if err := checkRequest(rpc.Command); err != nil {
				rpc.Respond(nil, err)
				continue
			}
			select {
			case g.requests <- rpc:
			case <-g.closed:
				return
			}
		}
	}
}

func checkRequest(cmd any) error {
	switch req := cmd.(type) {
	case *raft.AppendEntriesRequest:
		return checkEntries(req)
	case *raft.InstallSnapshotRequest:
		if req.SnapshotVersion != raft.SnapshotVersionMax {
			return spec.Errorf(spec.CodeVersion, "snapshot version %d", req.SnapshotVersion)
		}
		return checkConfiguration(req.Configuration)
	}
	return nil
}

func checkEntries(req *raft.AppendEntriesRequest) error {
	for i, e := range req.Entries {
		if e == nil || e.Index != req.PrevLogEntry+1+uint64(i) {
			return spec.Errorf(spec.CodeMalformed, "the entries do not follow entry %d one by one", req.PrevLogEntry)
		}
		if len(e.Extensions) > 0 {
			return spec.Errorf(spec.CodeMalformed, "entry %d has extensions", e.Index)
		}
		switch e.Type {
		case raft.LogCommand:
			if len(e.Data) > spec.MaxRaftEntry {
				return spec.Errorf(spec.CodeTooLarge, "entry %d has %d bytes, the limit is %d", e.Index, len(e.Data), spec.MaxRaftEntry)
			}
		case raft.LogConfiguration:
			if err := checkConfiguration(e.Data); err != nil {
				return err
			}
		case raft.LogNoop, raft.LogBarrier:
			if len(e.Data) > 0 {
				return spec.Errorf(spec.CodeMalformed, "entry %d should be empty", e.Index)
			}
		default:
			return spec.Errorf(spec.CodeKind, "entry %d is of type %d", e.Index, e.Type)
		}
	}
	return nil
}

// checkConfiguration accepts what raft can decode and act on.
func checkConfiguration(data []byte) (err error) {
	if len(data) > maxConf {
		return spec.Errorf(spec.CodeTooLarge, "a raft configuration of %d bytes", len(data))
	}
	defer func() {
		if p := recover(); p != nil {
			err = spec.Errorf(spec.CodeMalformed, "a raft configuration that cannot be decoded")
		}
	}()
	voters, seen := 0, make(map[raft.ServerID]bool)
	for _, s := range raft.DecodeConfiguration(data).Servers {
		if s.ID == "" || string(s.ID) != string(s.Address) || seen[s.ID] {
			return spec.Errorf(spec.CodeMalformed, "a raft configuration with a wrong server")
		}
		seen[s.ID] = true
		if s.Suffrage == raft.Voter {
			voters++
		}
	}
	if voters == 0 {
		return spec.Errorf(spec.CodeMalformed, "a raft configuration without voters")
	}
	return nil
}

// heartbeat guards the path on which heartbeats pass by the queue.
func (g *gate) heartbeat(handle func(raft.RPC)) func(raft.RPC) {
	return func(rpc raft.RPC) {
		if err := checkRequest(rpc.Command); err != nil {
			rpc.Respond(nil, fmt.Errorf("heartbeat: %w", err))
			return
		}
		handle(rpc)
	}
}
