// SPDX-License-Identifier: Apache-2.0

// Package node plugs the rooms together into one running participant: a member,
// which takes part in consensus, or a reader, which follows the log and replays it
// by the same rules. It holds no rules, no format and no transport of its own.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-db/tocsin/consensus"
	"github.com/tocsin-db/tocsin/consensus/governance"
	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/node/cosign"
	"github.com/tocsin-db/tocsin/node/identity"
	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/node/sightings"
	"github.com/tocsin-db/tocsin/node/witness"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/p2p/federation/state"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
	"github.com/tocsin-db/tocsin/storage"
)

// Config is what a node needs from outside.
type Config struct {
	Dir          string              // data directory, with an identity and a genesis file in it
	Listen       []string            // libp2p multiaddrs; none: outbound connections only
	HTTP         string              // loopback TCP address of the lookup door, "" for none
	Peers        map[string][]string // addresses by organisation, beside those of the genesis file
	Profile      string              // "lan" or "wan": timeouts of consensus
	MaxFileBytes int64               // largest file that is hashed; 0: the default of package media
	PurgeEvery   time.Duration       // how often erased values are purged from the files; 0: a day, below: never
	VerifyEvery  time.Duration       // how often the store is verified; 0: an hour, below: never
	// SnapshotEvery is how many leaves lie between snapshot sizes, the same on every
	// node of a consortium; 0: what the protocol says.
	SnapshotEvery uint64
	VerifyFull    bool          // replay the log from the founding document on, whatever snapshots there are
	MaxAge        time.Duration // of what is final, past which lookups are refused; 0: they are flagged only
	Upstreams     []string      // nodes that this one follows in place of members: multiaddrs with peer ids
	Followers     int           // nodes that are pushed to at once; 0: the default of package federation
	Subscribers   int           // nodes that may follow at once; 0: the default
	BulkRate      int           // bytes a second for nodes that are far behind, all together; 0: the default
	Connections   int           // at once; 0: the default of package p2p
	Memory        int64         // bytes that connections and streams may hold; 0: the default
	SightingsDays int           // for which what was looked up is remembered on this site; 0: not at all
	Receipts      time.Duration // how long decisions are gathered before a member confirms them; 0: ten seconds
	Witness       Witness       // of other logs
	Witnesses     []string      // outside ones that cosign this log: "<verifier key> <URL>" each
	// Further gives the settings of a further consortium from its directory, of which
	// the directory, doors and outside parts do not count; nil: the defaults.
	Further func(dir string) (Config, error)
	Logger  *slog.Logger
	Fatal   func(error) // called at most once, when the node cannot go on and must end loudly
	Now     func() time.Time

	inside *Node  // whose process and doors the node of a further consortium shares
	name   string // of that consortium here
}

// Witness says whose logs a node cosigns for whoever asks, where and as who.
type Witness struct {
	Listen string   // TCP address; "" for none
	Name   string   // such as witness.example.org
	Logs   []string // verifier keys of the logs
}

// A Node is a running participant. Stop ends it.
type Node struct {
	cfg          Config
	log          *slog.Logger
	id           *identity.Identity
	genesis      *identity.GenesisFile
	store        *storage.Store
	replica      *replica
	directory    *directory
	host         *p2p.Host
	consensus    *consensus.Node                   // of a member, else nil
	reader       *federation.Reader                // of a node that follows, else nil
	following    atomic.Pointer[federation.Reader] // the same, once it is there
	pinned       []p2p.PeerID                      // that are followed in place of members
	followers    *federation.Server
	bulk         *bulk // of all that followers fetch in bulk
	commits      commits
	snapshots    *state.Server
	chain        *tlog.Chain // who makes the log final
	links        cosign.LinkStore
	final        *cosign.Keeper
	cosigned     []cosign.Key     // of a member that may cosign
	cosigner     *cosign.Cosigner // of a member, else nil
	tasks        *tasks           // that nobody waits for but the end
	handOffs     *asker           // of sequencers that know a panel which this node does not
	signer       *signer
	forwards     forwarder
	made         made
	sightings    *sightings.Store // nil: nothing is remembered
	hasher       *media.Hasher
	server       *api.Server
	loading      loading
	evidence     *cosign.Archive           // against whoever cosigned what is not the log
	watch        *cosign.Watch             // finds that out of who cosigns afterwards
	lies         chan *cosign.Equivocation // that it found, to be proved
	book         *witness.Book             // cosignatures on what is final that came afterwards
	witness      *witness.Witness          // for other logs, or nil
	invites      *invitations
	known        *addressBook                     // where sequencers are reached, as they and others say
	doubt        atomic.Pointer[error]            // what this node cosigned is not in its mark
	mayNotCosign error                            // why cosigned is nil on a member
	notWitness   atomic.Pointer[error]            // why a member that does not sequence does not cosign what is final
	keyed        bool                             // this node is of the digest tier: it has keys in the place of values
	tierSince    uint64                           // how long the log was when a case decided that tier, or 0
	sequencer    bool                             // this node takes part in consensus
	era          string                           // of raft's log: "" before the first recovery
	leftKey      atomic.Pointer[spec.PublicKey]   // in force by the state at the start, and not used: this node switched ahead
	asked        atomic.Bool                      // every member told how panels took over
	part         atomic.Pointer[[]string]         // organisations that do
	promoted     chan struct{}                    // a token: a case made this follower a sequencer
	turn         int                              // which member a reader asks first
	complete     atomic.Bool                      // a reader had the whole log once
	epoch        atomic.Uint64                    // one more than that of the directory, 0 before it was read
	name         string                           // of the consortium, at this node
	policies     sync.Mutex                       // held while the file of its import policy and policy change
	policy       atomic.Pointer[consortia.Policy] // what its matches count as here
	imports      atomic.Pointer[consortia.Policy] // the same, nil while all is trusted
	further      *further                         // other consortia; nil in one of those
	mending      bool                             // only its store is repaired

	doors    []func(context.Context) error // what Stop closes, last opened first
	stopping atomic.Bool
	failed   sync.Once
	err      error
	done     chan struct{}
}

// Start opens the node in cfg.Dir and returns once it serves. What it fails with
// is a *spec.Error where the user can act on it.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	n := &Node{cfg: cfg, book: &witness.Book{}, log: cfg.Logger, directory: newDirectory(cfg.Now), tasks: newTasks(), promoted: make(chan struct{}, 1), done: make(chan struct{})}
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.close(context.Background()))
	}
	return n, nil
}

// open starts the parts in the order in which they need each other.
func (n *Node) open(ctx context.Context) error {
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"loading the identity", n.openIdentity},
		{"loading the import policy", n.openInside},
		{"opening the doors", n.openDoors},
		{"opening the store", n.openStore},
		{"opening the sightings", n.openSightings},
		{"opening what is final", n.openFinal},
		{"watching for other histories", n.openEvidence},
		{"choosing a part", n.choosePart},
		{"starting the network", n.openHost},
		{"joining consensus", n.openConsensus},
		{"cosigning", n.openCosigner},
		{"serving peers", n.servePeers},
		{"removing what an interruption left", n.sweep},
		{"following the log", n.follow},
		{"exchanging addresses", n.openExchange},
		{"looking after the transport key", n.openRekey},
		{"looking after the store", n.upkeep},
		{"witnessing", n.openWitness},
		{"asking witnesses", n.feedWitnesses},
		{"confirming decisions", n.confirm},
		{"hashing", n.openHasher},
		{"following further consortia", n.openFurther},
		{"answering", n.answer},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

func (n *Node) openIdentity(context.Context) (err error) {
	if n.id, err = identity.Load(n.cfg.Dir); err != nil {
		return err
	}
	if n.genesis, err = identity.LoadGenesis(n.cfg.Dir); err != nil {
		return err
	}
	n.signer = &signer{org: n.id.Organisation, keys: n.id.Held(spec.UseOp), origin: n.genesis.Genesis.Origin(), now: n.cfg.Now}
	n.known = openAddresses(n.cfg.Dir)
	n.invites, err = loadInvitations(n.cfg.Dir, n.directory, n.log)
	return err
}

// refresh brings the directory in line with the state after a commit. Every change
// of the enrolled organisations begins an epoch.
func (n *Node) refresh() {
	clock, err := governance.Clock(n.store)
	if err != nil {
		n.fail(fmt.Errorf("reading the epoch: %w", err))
		return
	}
	if n.epoch.Swap(clock.Epoch+1+clock.Panel<<32) == clock.Epoch+1+clock.Panel<<32 {
		return
	}
	changed, err := n.directory.load(n.store)
	if err != nil {
		n.fail(fmt.Errorf("reading the enrolled organisations: %w", err))
		return
	}
	if n.host == nil {
		return // not open yet
	}
	n.tasks.begin(func(context.Context) { // all of this waits for streams or for the store, which may wait for this commit
		n.lookAtPart()
		if changed {
			n.host.Recheck()
			n.meet()
		}
	})
}

// fail ends the node loudly, once.
func (n *Node) fail(err error) {
	n.failed.Do(func() {
		n.err = err
		defer close(n.done)
		if errors.Is(err, ErrPart) {
			return
		}
		n.log.Error("the node cannot go on", "error", err)
		if n.cfg.Fatal != nil {
			n.cfg.Fatal(err)
		}
	})
}

// Done is closed when the node failed or was stopped.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err says why the node failed, or nil. It is valid once Done is closed.
func (n *Node) Err() error { return n.err }

// background runs fn until the node stops.
func (n *Node) background(fn func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		fn(ctx)
	}()
	n.onStop(func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
}

func (n *Node) onStop(fn func(context.Context) error) { n.doors = append(n.doors, fn) }

// Stop ends the node in order: it hands leadership over, stops answering, and
// makes what it knows durable. It may be called once the node failed.
func (n *Node) Stop(ctx context.Context) error {
	if n.stopping.Swap(true) {
		return nil
	}
	err := n.close(ctx)
	n.failed.Do(func() { close(n.done) })
	return err
}

func (n *Node) close(ctx context.Context) error {
	var errs []error
	for i := len(n.doors) - 1; i >= 0; i-- {
		errs = append(errs, n.doors[i](ctx))
	}
	n.doors = nil
	return errors.Join(errs...)
}

func (n *Node) after(d time.Duration) <-chan time.Time { return time.After(d) }
