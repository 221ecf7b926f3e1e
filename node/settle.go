// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/spec"
)

// Settled is what a node could do once it had all that is final.
type Settled struct {
	Entries uint64        // that can match
	Age     time.Duration // of the newest final checkpoint
	Lookup  time.Duration // that a lookup of a made-up signal took
}

// Settle runs the node in cfg.Dir until it answers lookups, asks it one of a
// made-up signal, which nothing lists, and stops it. progress is told in words how
// it goes. What was fetched stays: the node goes on from there when it is started.
func Settle(ctx context.Context, cfg Config, progress func(string)) (out Settled, err error) {
	n, err := Start(ctx, cfg)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, n.Stop(context.WithoutCancel(ctx))) }()
	if err := n.awaitReady(ctx, progress); err != nil {
		return out, err
	}
	var value [32]byte
	rand.Read(value[:])
	began := time.Now()
	a, err := n.Match(ctx, []spec.Signal{{Type: "sha256", Value: value[:]}})
	if err != nil {
		return out, err
	}
	if a.Verdict() != api.VerdictNoMatch {
		return out, spec.Errorf(spec.CodeCorrupt, "a made-up signal matches: this store cannot be trusted")
	}
	return Settled{Entries: n.store.Head().Entries, Age: a.Age, Lookup: time.Since(began)}, nil
}

// awaitReady polls until every check passes.
func (n *Node) awaitReady(ctx context.Context, progress func(string)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var told string
	for {
		ready := true
		for _, c := range n.Ready(ctx) {
			ready = ready && c.OK
		}
		if ready {
			return nil
		}
		if text := wordsOf(n.Sync()); text != told && progress != nil {
			told = text
			progress(text)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-n.Done():
			return n.Err()
		case <-tick.C:
		}
	}
}

// wordsOf tells how far a node that follows is.
func wordsOf(st *federation.Status) string {
	switch {
	case st == nil:
		return "waiting for the consortium"
	case st.State == federation.Snapshot && st.Of > 0:
		return fmt.Sprintf("fetching a snapshot: %d %%", 10*(10*st.Done/st.Of))
	case st.State == federation.Range || st.State == federation.Lag:
		if st.Known == 0 {
			return "fetching the log"
		}
		return fmt.Sprintf("fetching the log: %d %%", 10*(10*st.Size/st.Known))
	case st.State == federation.Halt:
		return "two histories are final: nothing is fetched any more"
	case len(st.Upstreams) == 0:
		return "connecting"
	}
	return "comparing with what is final"
}
