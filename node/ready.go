// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
)

// Ready implements api.Backend. A node is ready once it had all that the others
// had, and remembers it: from then on it answers from what it has, flagged by its
// age. A store that lost what was final makes it begin again. A node that follows says
// in which state it does; one that is set to fail closed is not ready while it refuses.
func (n *Node) Ready(context.Context) []api.Check {
	checks := n.answering()
	if st := n.Sync(); st != nil {
		sync := &checks[0]
		state := fmt.Sprintf("%s, %d behind", st.State, st.Behind()) + n.refused(st)
		if sync.OK {
			sync.Reason = state
		} else {
			sync.Reason += " (" + state + ")"
		}
		c := api.Check{Name: "history", OK: true} // a node that found two final histories answers on
		if err := n.halted(); err != nil {
			c.OK, c.Reason = false, err.Error()
		}
		checks = append(checks, c)
	}
	if n.cfg.MaxAge > 0 {
		c := api.Check{Name: "fresh", OK: true}
		if err := n.tooOld(n.freshness()); err != nil {
			c.OK, c.Reason = false, err.Error()
		}
		checks = append(checks, c)
	}
	return checks
}

// refused names the upstreams that let this node follow no more: why nothing comes from
// them, of which the log that it has cannot tell.
func (n *Node) refused(st *federation.Status) (out string) {
	for _, r := range st.Refusals {
		who := string(r.Peer)
		if org, known := n.directory.organisation(r.Peer); known {
			who = org.ID
		}
		out += fmt.Sprintf("; %s refuses since %s: %s: %s", who, r.Since.UTC().Format(time.RFC3339), r.Code, r.Message)
	}
	return out
}

// answering are the checks without which no lookup is answered. They are made for each,
// and cost nothing.
func (n *Node) answering() []api.Check {
	ok := n.complete.Load() || n.reader != nil && n.followed()
	c := api.Check{Name: "sync", OK: ok}
	if !ok {
		c.Reason = "the log has not been fetched to its end yet"
	}
	store := api.Check{Name: "store", OK: true}
	if err := n.store.Damage(); err != nil {
		store.OK, store.Reason = false, err.Error()
	}
	return []api.Check{c, n.coverage(), store}
}

// coverage fails while the database came from another node and nothing final says yet
// that the log in it is the consortium's.
func (n *Node) coverage() api.Check {
	c := api.Check{Name: "final", OK: n.replica.covered()}
	if !c.OK {
		c.Reason = "the database came from another node, and no final checkpoint covers it yet"
	}
	return c
}

// caughtUpFile marks a data directory whose node has had the whole log once.
const caughtUpFile = "caught-up"

// CaughtUp reports whether the node of a data directory has had the whole log once.
func CaughtUp(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, caughtUpFile))
	return err == nil
}

// recall makes the node ready at once when it was before and its store still has
// what it had shown then.
func (n *Node) recall(shown uint64) {
	if size := n.store.Size(); CaughtUp(n.cfg.Dir) && size > 0 && size >= shown {
		n.complete.Store(true)
	}
}

// caughtUp notes that the node has the whole log.
func (n *Node) caughtUp() {
	if n.complete.Swap(true) {
		return
	}
	if err := os.WriteFile(filepath.Join(n.cfg.Dir, caughtUpFile), nil, 0o600); err != nil {
		n.log.Warn("noting that the log was fetched", "error", err)
	}
}

// followed reports whether a reader has all that is final.
func (n *Node) followed() bool {
	if !n.reader.Status().Current() {
		return false
	}
	n.caughtUp()
	return true
}

// protocolPosition tells a sequencer how far the leader is.
const protocolPosition = "/tocsin/position/1"

// catchUp makes a member ready once it has applied all that was committed when it
// came, as the leader tells: raft's own commit index on a follower is never beyond
// that follower's log.
func (n *Node) catchUp(ctx context.Context) {
	for ctx.Err() == nil {
		upto, err := n.position(ctx)
		if err == nil {
			err = n.consensus.WaitApplied(ctx, upto)
		}
		if err == nil {
			n.caughtUp()
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// position asks for the raft index up to which the leader has applied.
func (n *Node) position(ctx context.Context) (uint64, error) {
	if n.consensus.IsLeader() {
		return n.consensus.Barrier(ctx)
	}
	leader, ok := n.consensus.Leader()
	if !ok {
		return 0, spec.Errorf(spec.CodeUnavailable, "no leader has been elected yet")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	resp, err := n.host.Call(ctx, p2p.PeerID(leader), protocolPosition, nil, 8)
	if err != nil {
		return 0, err
	}
	if len(resp) != 8 {
		return 0, spec.Errorf(spec.CodeMalformed, "a position has eight bytes")
	}
	return binary.BigEndian.Uint64(resp), nil
}

// servePosition answers protocolPosition. Only members may call, and only the
// leader knows.
func (n *Node) servePosition(ctx context.Context, _ p2p.PeerID, _ string, _ []byte) ([]byte, error) {
	upto, err := n.consensus.Barrier(ctx)
	return binary.BigEndian.AppendUint64(nil, upto), err
}
