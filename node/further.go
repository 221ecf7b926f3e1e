// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/spec"
)

// furtherStopTime is how long the node of a further consortium may take to end.
const furtherStopTime = 30 * time.Second

// The further consortia of a node, each with a node of its own in this process: its
// own keys, transport, store, mark and clock of staleness. Nothing of one reaches
// another but the answers of a lookup.
type further struct {
	n    *Node
	mu   sync.Mutex // held while the list changes
	list atomic.Pointer[[]*consortium]
	over bool
}

// A consortium is one that is followed beside the node's own.
type consortium struct {
	place  consortia.Place
	node   atomic.Pointer[Node] // nil while it does not run
	why    atomic.Pointer[spec.Error]
	failed atomic.Bool // it stays down
	cancel context.CancelFunc
	ended  chan struct{}
}

// all lists them; none of a node that is itself one of a further consortium.
func (f *further) all() []*consortium {
	if f == nil {
		return nil
	}
	if list := f.list.Load(); list != nil {
		return *list
	}
	return nil
}

// openFurther begins to follow the consortia that were joined. None of them holds the
// node's own up: until one runs, answers say that it is missing.
func (n *Node) openFurther(context.Context) error {
	if n.cfg.inside != nil {
		return nil
	}
	n.server.Mount(n.name, alone{n}, n, nil)
	places, err := consortia.Further(n.cfg.Dir)
	if err != nil {
		return err
	}
	n.further = &further{n: n}
	n.onStop(n.further.stop)
	for _, p := range places {
		if p.Joined {
			n.further.begin(p)
		} else {
			n.server.Unmount(p.Name)
		}
	}
	return nil
}

// begin follows a consortium until it is told to end. f.mu is held, or f not shared.
func (f *further) begin(p consortia.Place) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &consortium{place: p, cancel: cancel, ended: make(chan struct{})}
	c.why.Store(&spec.Error{Code: spec.CodeNotReady, Message: "its store is being opened"})
	list := append(slices.Clone(f.all()), c)
	slices.SortFunc(list, func(a, b *consortium) int { return strings.Compare(a.place.Name, b.place.Name) })
	f.list.Store(&list)
	f.n.server.Mount(p.Name, nil, nil, c.checks)
	go func() {
		defer close(c.ended)
		c.run(ctx, f.n)
	}()
}

// end stops following one, and takes it from the list. f.mu is held.
func (f *further) end(c *consortium) {
	list := slices.DeleteFunc(slices.Clone(f.all()), func(x *consortium) bool { return x == c })
	f.list.Store(&list)
	c.cancel()
	<-c.ended
	f.n.server.Unmount(c.place.Name) // last: while its node ends, it is mounted as one that does
}

func (f *further) stop(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	for _, c := range f.all() {
		c.cancel()
	}
	for _, c := range f.all() {
		<-c.ended
	}
	return nil
}

func (f *further) find(name string) *consortium {
	for _, c := range f.all() {
		if c.place.Name == name {
			return c
		}
	}
	return nil
}

// run keeps the node of a consortium running. A fault of its own ends it, loudly, and
// it alone: what it would have answered is missing from then on and said to be.
func (c *consortium) run(ctx context.Context, n *Node) {
	log := n.log.With("consortium", c.place.Name)
	for ctx.Err() == nil {
		err := c.serve(ctx, n)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrPart):
			continue
		case errors.Is(err, syscall.EAGAIN): // the lock of the database
			c.why.Store(&spec.Error{Code: spec.CodeNotReady, Message: "another process, perhaps one that joins it, uses its directory"})
			select {
			case <-ctx.Done():
			case <-n.after(time.Second):
			}
		default:
			why := &spec.Error{Code: spec.CodeUnavailable, Message: "its node failed; the log says why"}
			if coded := new(spec.Error); errors.As(err, &coded) {
				why = &spec.Error{Code: coded.Code, Message: err.Error()}
			}
			c.why.Store(why)
			c.failed.Store(true)
			log.Error("a consortium is not followed any more", "error", err)
			return
		}
	}
}

// serve runs its node once.
func (c *consortium) serve(ctx context.Context, n *Node) error {
	cfg, err := n.furtherConfig(c.place)
	if err != nil {
		return err
	}
	child, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	n.server.Mount(c.place.Name, child, child, nil)
	c.node.Store(child)
	n.log.Info("a further consortium is followed", "consortium", c.place.Name, "origin", c.place.Origin)
	select {
	case <-ctx.Done():
	case <-child.Done():
	}
	c.why.Store(&spec.Error{Code: spec.CodeNotReady, Message: "its node ends"})
	n.server.Mount(c.place.Name, nil, nil, c.checks)
	c.node.Store(nil)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), furtherStopTime)
	defer cancel()
	stopped := child.Stop(ending)
	return errors.Join(child.Err(), stopped)
}

// checks is what is told of its readiness while its node does not run.
func (c *consortium) checks() []api.Check {
	return []api.Check{{Name: "consortium", Reason: c.why.Load().Message}}
}

// furtherConfig is how the node of a further consortium is started.
func (n *Node) furtherConfig(p consortia.Place) (Config, error) {
	cfg := Config{Dir: p.Dir, PurgeEvery: n.cfg.PurgeEvery, VerifyEvery: n.cfg.VerifyEvery, SnapshotEvery: n.cfg.SnapshotEvery}
	if n.cfg.Further != nil {
		var err error
		if cfg, err = n.cfg.Further(p.Dir); err != nil {
			return cfg, fmt.Errorf("the settings of the consortium %s: %w", p.Name, err)
		}
	}
	cfg.Dir, cfg.HTTP, cfg.inside, cfg.name = p.Dir, "", n, p.Name
	cfg.Witness, cfg.Witnesses, cfg.SightingsDays, cfg.Further = Witness{}, nil, 0, nil
	cfg.Logger, cfg.Fatal = n.log.With("consortium", p.Name), nil
	if cfg.Now == nil {
		cfg.Now = n.cfg.Now
	}
	return cfg, nil
}

// openInside makes sure that a further consortium is followed and nothing more: its
// matches are looked up here, and nothing is decided from here.
func (n *Node) openInside(context.Context) error {
	n.name = n.cfg.name
	if n.cfg.inside == nil {
		n.name = n.genesis.Genesis.Name
	} else if n.id.Organisation.Role != spec.RoleReader {
		return spec.Errorf(spec.CodeRole, "a further consortium is followed as a reader, not as a %s", n.id.Organisation.Role)
	}
	return n.loadImports(false)
}
