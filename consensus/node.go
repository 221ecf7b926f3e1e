// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// A Node is one running sequencer.
type Node struct {
	cfg   Config
	store Store
	log   *logStore
	fsm   *fsm
	gate  *gate
	brk   *breaker
	raft  *raft.Raft

	packer     *packer
	caught     atomic.Uint64 // term in which CaughtUp held
	compacting sync.Mutex    // one compaction at a time
	quit       chan struct{} // closed when Stop begins
	ended      chan struct{} // closed when raft and the tasks have ended
	tasks      sync.WaitGroup
	stop       sync.Once
	result     error // of Stop

	halted  sync.Once
	halting chan struct{} // closed when raft's end begins
	end     raft.Future   // of raft, from then on
}

// Start opens the raft log and joins the other sequencers over the transport,
// which must be able to pre-vote and is closed by Stop. On the very first
// start of a founding sequencer it writes the founding configuration.
//
// If the file at cfg.Peers exists (a JSON array of {"id", "address"} as
// hashicorp/raft documents it), the node takes the servers in it for the
// configuration, whatever a quorum thinks, and renames the file to peers.info.
// That is for the loss of a quorum only, and must be done with the same file
// on every survivor while all are stopped.
//
// Start fails when log and database do not belong together; the Fault in the
// error says with which exit code to stop.
func Start(cfg Config, store Store, transport raft.Transport) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, store: store, quit: make(chan struct{}), ended: make(chan struct{}), halting: make(chan struct{})}
	n.brk = newBreaker(n.fault)
	if err := n.open(transport); err != nil {
		if n.gate != nil {
			err = errors.Join(err, n.gate.Close())
		}
		if n.log != nil {
			err = errors.Join(err, n.log.backend.Close())
		}
		return nil, fmt.Errorf("start consensus: %w", err)
	}
	n.packer = newPacker(n)
	n.brk.armed.Store(true)
	if err := n.brk.err(); err != nil {
		_ = n.halt().Error()
		return nil, errors.Join(err, n.log.backend.Close())
	}
	n.tasks.Go(n.packer.run)
	n.tasks.Go(n.watch)
	return n, nil
}

func (n *Node) open(transport raft.Transport) error {
	if err := os.MkdirAll(n.cfg.Dir, 0o700); err != nil {
		return err
	}
	snaps := &snapshots{store: n.store, dir: n.cfg.Dir, limit: n.cfg.MaxSnapshot}
	if err := errors.Join(snaps.reap(), reapRewrite(n.cfg.Dir)); err != nil {
		return err
	}
	backend, err := n.cfg.OpenLog(n.cfg.Dir)
	if err != nil {
		return err
	}
	n.log = &logStore{backend: backend, brk: n.brk}
	n.fsm = newFSM(n.store, n.log, n.brk)
	if n.gate, err = newGate(transport, n.log.StuckFor, n.brk); err != nil {
		return err
	}
	n.gate.durable = n.log.durable
	if err := seed(n.cfg, n.fsm, n.log); err != nil {
		return err
	}
	if err := check(n.fsm, n.log); err != nil {
		return err
	}
	if err := recoverPeers(n.cfg, n.fsm, n.log, snaps, n.gate); err != nil {
		return err
	}
	if err := bootstrap(n.cfg, n.fsm, n.log); err != nil {
		return err
	}
	return n.startRaft(snaps)
}

// startRaft turns the panic with which raft meets an unreadable log into an
// error. From here on faults are reported.
func (n *Node) startRaft(snaps *snapshots) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("start raft: %v", p)
			if e := n.brk.err(); e != nil {
				err = e
			}
		}
	}()
	cache, err := raft.NewLogCache(cachedEntries, n.log)
	if err != nil {
		return err
	}
	var started atomic.Pointer[raft.Raft] // raft applies before NewRaft returns
	n.log.leads = func() bool {
		r := started.Load()
		return r != nil && r.State() == raft.Leader
	}
	n.fsm.committed = func(index uint64) {
		if n.log.leads() {
			n.gate.announce(index, started.Load().CurrentTerm())
		}
	}
	n.raft, err = raft.NewRaft(n.cfg.raftConfig(), n.fsm, cache, n.log, snaps, n.gate)
	started.Store(n.raft)
	return err
}

func reapRewrite(dir string) error {
	err := os.Remove(filepath.Join(dir, logFile+".new"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// fault stops raft at once and then reports.
func (n *Node) fault(f *Fault) {
	n.cfg.Logger.Error("consensus stops on a fault", "error", f, "exit", f.Exit)
	n.halt()
	n.cfg.Fatal(f)
}

// Stop ends this node's part in consensus in good order: it refuses new
// submissions, waits for those under way, hands leadership on, makes the
// database durable and closes the log, so that the next start applies nothing
// again. ctx bounds the waiting. The transport is closed, the Store is not.
func (n *Node) Stop(ctx context.Context) error {
	n.stop.Do(func() { n.result = n.shutdown(ctx) })
	return n.result
}

func (n *Node) shutdown(ctx context.Context) error {
	close(n.quit)
	n.packer.finish(ctx)
	if ctx.Err() == nil && n.brk.err() == nil && n.raft.State() == raft.Leader && len(n.voters()) > 1 {
		if err := n.Transfer(ctx); err != nil {
			n.cfg.Logger.Warn("stopping without handing on leadership", "error", err)
		}
	}
	halted := n.halt()
	go func() {
		_ = halted.Error()
		n.log.tail.writer.Wait()
		n.gate.heralds.Wait()
		n.tasks.Wait()
		close(n.ended)
	}()
	select {
	case <-n.ended:
	case <-ctx.Done():
		// Closing the log under a running raft would only turn the hang into
		// a fault.
		return fmt.Errorf("stop consensus: %w", ctx.Err())
	}
	n.compacting.Lock() // for good: nothing rewrites a closed log
	if err := n.brk.err(); err != nil {
		return errors.Join(err, n.log.backend.Close())
	}
	n.brk.armed.Store(false) // what fails now is returned
	return errors.Join(n.fsm.sync(n.Applied()), n.log.backend.Close())
}

// Transfer hands leadership to the follower that is furthest. It returns when
// this node no longer leads.
func (n *Node) Transfer(ctx context.Context) error {
	if err := n.leading(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- n.outcome(n.raft.LeadershipTransfer()) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("transfer leadership: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("transfer leadership: %w", ctx.Err())
	case <-n.brk.down:
		return ErrStopped
	}
}

// StuckFor tells how long the append to the raft log that is under way has
// taken so far. The node stops acting as leader after 2 s.
func (n *Node) StuckFor() time.Duration { return n.log.StuckFor() }
