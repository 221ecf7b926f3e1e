// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// Log is the log as this node recomputed it; *storage.Store is one.
type Log interface {
	tlog.Hashes
	Size() uint64
	Wait(ctx context.Context, size uint64) error
	Leaves(from uint64, maxBytes int) ([][]byte, error)
}

// Config is what a Cosigner needs. Every field without "or" is required.
type Config struct {
	Chain  *tlog.Chain
	Org    string // this node's organisation
	Keys   []Key  // that it cosigns with, each while a panel has it; or none with Refused
	Log    Log
	Final  *Keeper
	Now    func() time.Time
	Logger *slog.Logger

	// Wanted reports whether a newer time than that of the newest final checkpoint
	// is wanted, because something is due; or nil. It is asked while this node leads.
	Wanted func() bool
	// Covered is the size up to which the log was not recomputed here, but came from
	// another: nothing is cosigned before others made that final; or nil.
	Covered func() uint64
	// Learn brings the chain up to what the log, as it is now, says of panels; or nil.
	Learn func() error
	// HandOff is told that a panel took over, with the proof; or nil. It must not block.
	HandOff func(number uint64, l *tlog.Link)
	// Recovery returns what proves that the panel of a number took over by a recovery,
	// but for its own cosignatures; or nil.
	Recovery func(number uint64) (*tlog.Recovery, error)
	// Asked reports whether every member told how panels took over: a start waits for
	// that a moment; or nil.
	Asked func() bool
	// Behind is told of a sequencer whose newest checkpoint a panel made final that this
	// node does not know; or nil. It must not block.
	Behind func(org string)
	// Doubt says why this node must not cosign any more, once that was found; or nil.
	Doubt func() error
	// Refused says why this node must not cosign; or nil.
	Refused error
	// Leader names the organisation that leads consensus, "" while unknown.
	Leader func() string
	// Send hands a request to another sequencer and returns its answer.
	Send func(ctx context.Context, org string, req []byte) ([]byte, error)
	// Alarm is told of a proven fork; or nil. It must not block.
	Alarm func(*Evidence)
	// Twice is told of a sequencer that cosigned two roots of a size which the log does
	// not have; or nil. Its Org, Key, Size and Statements are set. It must not block.
	Twice func(*Equivocation)
}

// A Key cosigns for this node's organisation, and has a store of its own.
type Key struct {
	Private ed25519.PrivateKey
	Store   *Store
}

func (k *Key) public() spec.PublicKey { return spec.PublicKey(k.Private.Public().(ed25519.PublicKey)) }

// How often sizes are named.
const (
	every   = 10 * time.Millisecond // at most, while the log grows
	idle    = 15 * time.Second      // when it does not
	observe = time.Second           // between two questions of a node that has no seat
	silent  = time.Second           // after which the next sequencer names in the leader's place
	greet   = 2 * time.Second       // how long a start waits for what the others saw of this node
	renew   = 1                     // seconds between two cosignatures of one size
)

// A Cosigner takes part in making the log final on one sequencer.
type Cosigner struct {
	cfg     Config
	wake    chan struct{}
	running sync.WaitGroup

	mu        sync.Mutex
	peers     map[string]*peer
	pages     map[uint64]*page
	held      map[string]int // pages that hold a claim, by organisation
	lastNamed uint64
	namedAt   time.Time // when a size was last named
	grownAt   time.Time // when the log outgrew lastNamed; zero: it did not
	ahead     *noted
	conflicts map[string]conflict
	newest    map[spec.Seat]claim // of each key that cosigned, since this node runs
	told      map[string]int      // lies that Twice was told of, by organisation
	refused   error               // for good
	suspended error               // for as long as the store is damaged
	started   time.Time
	waiting   map[string]bool // organisations that have not greeted yet
}

// A noted checkpoint was final by the panels that were known when it came.
type noted struct {
	size uint64
	note []byte
}

// A page collects what was claimed of one size, by organisation.
type page struct {
	claims map[spec.Seat]claim
	asked  bool // somebody else claims our own root: cosign it too
}

// New makes a Cosigner; Run starts it.
func New(cfg Config) *Cosigner {
	c := &Cosigner{
		cfg: cfg, peers: map[string]*peer{}, wake: make(chan struct{}, 1), pages: map[uint64]*page{}, held: map[string]int{},
		conflicts: map[string]conflict{}, told: map[string]int{}, newest: map[spec.Seat]claim{}, waiting: map[string]bool{}, refused: cfg.Refused,
	}
	for _, org := range cfg.Chain.From(cfg.Final.Newest().Size) {
		if org != cfg.Org {
			c.waiting[org] = true
		}
	}
	return c
}

// meet keeps one peer for each organisation whose cosignature may count from the
// newest final checkpoint on. Caller holds mu.
func (c *Cosigner) meet(ctx context.Context) {
	orgs := c.cfg.Chain.From(c.cfg.Final.Newest().Size)
	for _, org := range orgs {
		if org == c.cfg.Org || c.peers[org] != nil {
			continue
		}
		p := newPeer(c, org)
		p.over = c.refused != nil
		c.peers[org] = p
		ctx, cancel := context.WithCancel(ctx)
		p.leave = cancel
		c.running.Go(func() { p.run(ctx) })
	}
	for org, p := range c.peers {
		if !slices.Contains(orgs, org) {
			p.leave()
			delete(c.peers, org)
			delete(c.waiting, org)
		}
	}
}

// Run cosigns until ctx ends. It returns early only with a fault of this node's
// own log or store.
func (c *Cosigner) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer c.running.Wait()
	defer cancel()
	c.mu.Lock()
	c.started, c.namedAt = c.cfg.Now(), c.cfg.Now()
	if c.refused != nil {
		c.cfg.Logger.Error("this node does not cosign", "error", c.refused)
	}
	if s := c.cfg.Final.Signed(); s != nil {
		c.checkOwn(s)
		c.ahead = &noted{s.Size, c.cfg.Final.Newest().Note}
	}
	c.mu.Unlock()
	c.running.Go(func() { c.watch(ctx) })
	c.running.Go(func() { c.persist(ctx) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.wake:
		case <-timer.C:
		}
		next, err := c.step(ctx)
		if err != nil {
			return err
		}
		timer.Reset(next)
	}
}

// watch wakes the cosigner when the log grew: once for several commits where they
// follow one another closely.
func (c *Cosigner) watch(ctx context.Context) {
	for size := uint64(0); c.cfg.Log.Wait(ctx, size) == nil; {
		size = c.cfg.Log.Size()
		c.poke()
		select {
		case <-ctx.Done():
		case <-time.After(every / 4):
		}
	}
}

// persist makes what became final durable, at most ten times a second: a member
// can compute it again, so that nothing waits for it.
func (c *Cosigner) persist(ctx context.Context) {
	for {
		changed := c.cfg.Final.Changed()
		if err := c.cfg.Final.Sync(); err != nil {
			c.cfg.Logger.Error("keeping the newest final checkpoint", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *Cosigner) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Refused says why this node does not cosign, or nil.
func (c *Cosigner) Refused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped()
}

// Refuse ends cosigning for good, for a reason that was found outside.
func (c *Cosigner) Refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse(err)
}

// Suspend has this node not cosign until Resume: its store is damaged.
func (c *Cosigner) Suspend(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.suspended == nil {
		c.cfg.Logger.Error("this node stops cosigning until that is repaired", "error", err)
	}
	c.suspended = err
}

// Resume ends what Suspend began. What was refused for good stays so.
func (c *Cosigner) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.suspended != nil {
		c.cfg.Logger.Warn("the store is repaired: this node cosigns again, unless it refuses for another reason")
	}
	c.suspended = nil
}

// stopped says why this node does not cosign now, or nil. Caller holds mu.
func (c *Cosigner) stopped() error {
	if c.refused != nil {
		return c.refused
	}
	return c.suspended
}

// refuse ends cosigning for good: what has not left yet does not leave. Who signed a
// recovery says that others are to cosign, and what it said before could still make
// final what the recovery discards. Caller holds mu.
func (c *Cosigner) refuse(err error) {
	if c.refused == nil {
		c.refused = err
		c.cfg.Logger.Error("this node stops cosigning", "error", err)
		for _, p := range c.peers {
			p.end()
		}
	}
}

// doubt ends cosigning if it was found that it must. Caller holds mu.
func (c *Cosigner) doubt() {
	if c.cfg.Doubt != nil && c.refused == nil {
		if err := c.cfg.Doubt(); err != nil {
			c.refuse(err)
		}
	}
}

// step does what is due and returns when to look again.
func (c *Cosigner) step(ctx context.Context) (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doubt()
	size := c.cfg.Log.Size()
	if c.cfg.Learn != nil { // after the size was read: the chain is then as far at least
		if err := c.cfg.Learn(); err != nil {
			return 0, err
		}
	}
	if err := c.settleAhead(size); err != nil {
		return 0, err
	}
	if err := c.leftBehind(size); err != nil {
		return 0, err
	}
	c.meet(ctx)
	size = c.limit(size)
	want, err := c.compare(size)
	if err != nil {
		return 0, err
	}
	if size > c.lastNamed && c.grownAt.IsZero() {
		c.grownAt = c.cfg.Now()
	}
	due := c.due(size)
	if due <= 0 && size > 0 && c.ready() && c.seated(size) {
		want = append(want, size)
		c.name(size)
		due = c.due(size)
	}
	if len(want) > 0 && c.ready() {
		slices.Sort(want)
		if err := c.cosign(slices.Compact(want)); err != nil {
			return 0, err
		}
	}
	if err := c.tally(size); err != nil {
		return 0, err
	}
	return min(max(due, time.Millisecond), observe), c.cry()
}

// limit is how far this node cosigns: to the end of its log, but not past a
// hand-off before enough of both panels made it final.
func (c *Cosigner) limit(size uint64) uint64 {
	if next, ok := c.cfg.Chain.Next(c.cfg.Final.Newest().Size); ok {
		return min(size, next)
	}
	return size
}

// seated reports whether this node's cosignature counts at a size.
func (c *Cosigner) seated(size uint64) bool {
	p := c.cfg.Chain.At(size)
	return slices.ContainsFunc(c.cfg.Keys, func(k Key) bool { return p.Has(spec.Seat{Org: c.cfg.Org, Key: k.public()}) })
}

// ready reports whether this node may cosign yet.
func (c *Cosigner) ready() bool {
	if c.cfg.Covered != nil && c.cfg.Final.Newest().Size < c.cfg.Covered() {
		return false
	}
	heard := len(c.waiting) == 0 && (c.cfg.Asked == nil || c.cfg.Asked())
	c.doubt() // what the last of them said may be one
	return c.stopped() == nil && (heard || c.cfg.Now().Sub(c.started) >= greet)
}

// due is how long until this node names a size: at once, when it leads and the log
// grew; later by a second for each sequencer between it and the leader.
func (c *Cosigner) due(size uint64) time.Duration {
	now := c.cfg.Now()
	patience := time.Duration(c.rank()) * silent
	at := c.namedAt.Add(idle + patience)
	if size > c.lastNamed {
		grown := c.namedAt.Add(every)
		if patience > 0 || c.grownAt.After(grown) {
			grown = c.grownAt.Add(patience)
		}
		if grown.Before(at) {
			at = grown
		}
	}
	if at.After(now) && patience == 0 && c.cfg.Wanted != nil && now.Sub(c.namedAt) >= time.Second && c.cfg.Wanted() {
		at = now
	}
	if !c.seated(size) {
		return observe
	}
	if !c.ready() {
		return 50 * time.Millisecond
	}
	return at.Sub(now)
}

// rank is 0 on the leader and counts the sequencers by id behind it.
func (c *Cosigner) rank() int {
	orgs := c.cfg.Chain.At(c.limit(c.cfg.Log.Size())).Orgs()
	self, leader := slices.Index(orgs, c.cfg.Org), slices.Index(orgs, c.cfg.Leader())
	if leader < 0 {
		return self + 1
	}
	return (self - leader + len(orgs)) % len(orgs)
}

// name notes that a size was named, by this node or another.
func (c *Cosigner) name(size uint64) {
	if size >= c.lastNamed {
		c.lastNamed, c.namedAt = size, c.cfg.Now()
	}
	if c.cfg.Log.Size() <= c.lastNamed {
		c.grownAt = time.Time{}
	} else {
		c.grownAt = c.cfg.Now()
	}
}

// cosign cosigns sizes in ascending order with every key that has a seat there.
func (c *Cosigner) cosign(sizes []uint64) error {
	for i := range c.cfg.Keys {
		k := &c.cfg.Keys[i]
		seat := spec.Seat{Org: c.cfg.Org, Key: k.public()}
		var of []uint64
		for _, s := range sizes {
			if c.cfg.Chain.At(s).Has(seat) {
				of = append(of, s)
			}
		}
		if err := c.cosignWith(k, of); err != nil {
			return err
		}
	}
	return nil
}

// cosignWith notes the last size durably in the store of a key, then sends all.
// Nothing leaves that is not consistent with what the key cosigned before.
func (c *Cosigner) cosignWith(k *Key, sizes []uint64) error {
	mark := k.Store.Mark()
	for len(sizes) > 0 && sizes[0] < mark.Size {
		sizes = sizes[1:] // this node is past it, or its log is still behind its mark
	}
	if len(sizes) == 0 || c.stopped() != nil {
		return nil
	}
	roots := make([]spec.Hash, len(sizes))
	before := mark
	for i, s := range sizes {
		root, err := c.consistent(before, s)
		if err != nil {
			if spec.CodeOf(err) == spec.CodeForked {
				c.refuse(err)
				return nil
			}
			return err
		}
		roots[i], before = root, Mark{Size: s, Root: root}
	}
	if err := k.Store.Advance(mark, before); err != nil {
		c.refuse(err)
		return nil
	}
	now := uint64(c.cfg.Now().Unix())
	for i, s := range sizes {
		cp := tlog.Checkpoint{Origin: c.cfg.Chain.Origin, Size: s, Root: roots[i]}
		sig := tlog.Cosign(cp, c.cfg.Org, k.Private, now)
		mine := claim{Size: s, Root: roots[i], Key: sig.Key, Time: now, Sig: sig.Sig}
		c.put(c.cfg.Org, mine)
		for _, p := range c.peers {
			p.queue(mine)
		}
	}
	return nil
}

// consistent proves from this node's own hashes that its log at size begins with
// what it cosigned, and returns the root there.
func (c *Cosigner) consistent(mark Mark, size uint64) (spec.Hash, error) {
	old, err := tlog.Root(c.cfg.Log, mark.Size)
	if err != nil {
		return old, err
	}
	root, err := tlog.Root(c.cfg.Log, size)
	if err != nil {
		return root, err
	}
	proof, err := tlog.Consistency(c.cfg.Log, mark.Size, size)
	if err != nil {
		return root, err
	}
	if old != mark.Root || tlog.CheckConsistency(proof, mark.Size, mark.Root, size, root) != nil {
		return root, spec.Errorf(spec.CodeForked, "this node's log at size %d does not begin with what it cosigned at size %d", size, mark.Size)
	}
	return root, nil
}
