// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tocsin-db/tocsin/spec"
)

// A Profile fits raft's timeouts to the network between the sequencers.
type Profile string

const (
	LAN Profile = "lan" // round trips well under 100 ms: a new leader within about 3 s
	WAN Profile = "wan" // round trips up to about 700 ms: within about 9 s
)

// Config is what a Node needs to know. ID, Dir and Fatal are required.
type Config struct {
	ID      string   // raft server id of this node; also its address for the transport
	Dir     string   // holds raft.db and snapshots being received; created
	Voters  []string // the founding sequencers, identical on all of them; a node not among them waits to be added
	Profile Profile  // default LAN
	Peers   string   // path of the recovery file peers.json, or "": see Start
	Logger  *slog.Logger

	// Tick reports whether an entry is due although nothing was submitted, and
	// the cosigned checkpoint that the next entry begins with; none for an entry
	// that is to be bare. It is asked on the leader once a second and after each
	// Wake, and not again while an entry that it asked for is under way. Nil
	// means never.
	Tick func() (t *spec.Timed, due bool)

	// Seeded says that the database came from another sequencer with its place in
	// raft: a raft log that holds nothing begins behind it.
	Seeded bool

	// Fatal is called once, in its own goroutine, with a *Fault that this node
	// does not survive. It should end the process with the Fault's exit code.
	// Nothing is applied or acknowledged after it was called.
	Fatal func(error)

	// OpenLog opens the raft log in Dir; default OpenBolt.
	OpenLog func(dir string) (LogBackend, error)

	MaxQueued     int           // submissions waiting on the leader; default 16,384
	MaxQueueBytes int64         // and their size; default 16 MiB
	SnapshotBytes int64         // of log appended before it is compacted; default 64 MiB
	MaxSnapshot   int64         // bytes of a snapshot received; default 64 GiB
	Settle        time.Duration // how long a new sequencer must keep up before it votes; default 5 heartbeats
}

// snapshotEntries is after how many entries the log is compacted, trailing how
// many are left then for followers that lag.
const (
	snapshotEntries  = 1024
	trailingEntries  = 1024
	snapshotInterval = 30 * time.Second
	cachedEntries    = 128
)

func (c Config) withDefaults() (Config, error) {
	if c.ID == "" || c.Dir == "" || c.Fatal == nil {
		return c, spec.Errorf(spec.CodeConfig, "consensus needs an id, a directory and a handler for faults")
	}
	if c.Profile == "" {
		c.Profile = LAN
	}
	if c.Profile != LAN && c.Profile != WAN {
		return c, spec.Errorf(spec.CodeConfig, "unknown consensus profile %q: use %q or %q", c.Profile, LAN, WAN)
	}
	if sorted := slices.Sorted(slices.Values(c.Voters)); len(slices.Compact(sorted)) != len(c.Voters) {
		return c, spec.Errorf(spec.CodeConfig, "a sequencer is listed twice")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Tick == nil {
		c.Tick = func() (*spec.Timed, bool) { return nil, false }
	}
	if c.OpenLog == nil {
		c.OpenLog = OpenBolt
	}
	def(&c.MaxQueued, 16384)
	def(&c.MaxQueueBytes, 16<<20)
	def(&c.SnapshotBytes, 64<<20)
	def(&c.MaxSnapshot, 64<<30)
	def(&c.Settle, 5*c.heartbeat())
	return c, nil
}

func def[T int | int64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

func (c Config) heartbeat() time.Duration {
	if c.Profile == WAN {
		return 3 * time.Second
	}
	return time.Second
}

// raftConfig follows from the profile; everything else is the same everywhere.
func (c Config) raftConfig() *raft.Config {
	r := raft.DefaultConfig()
	r.LocalID = raft.ServerID(c.ID)
	r.Logger = newRaftLogger(c.Logger)
	r.HeartbeatTimeout = c.heartbeat()
	r.ElectionTimeout = c.heartbeat()
	r.LeaderLeaseTimeout = c.heartbeat() / 2
	// The herald tells followers of a commit. What it could not tell they learn
	// within twice this time. A shorter one would keep the way to a far follower
	// busy with requests that say nothing, behind which an entry has to wait.
	r.CommitTimeout = 100 * time.Millisecond
	if c.Profile == WAN {
		r.CommitTimeout = 500 * time.Millisecond
	}
	r.MaxAppendEntries = 64
	r.BatchApplyCh = true
	r.ShutdownOnRemove = false
	r.TrailingLogs = trailingEntries
	r.SnapshotThreshold = snapshotEntries
	r.SnapshotInterval = snapshotInterval
	r.NoSnapshotRestoreOnStart = true
	r.NoLegacyTelemetry = true
	return r
}

// configuration returns the founding configuration.
func (c Config) configuration() raft.Configuration {
	var conf raft.Configuration
	for _, id := range slices.Sorted(slices.Values(c.Voters)) {
		conf.Servers = append(conf.Servers, raft.Server{
			Suffrage: raft.Voter, ID: raft.ServerID(id), Address: raft.ServerAddress(id),
		})
	}
	return conf
}

func (c Config) String() string {
	return fmt.Sprintf("consensus %s (%s, %d founding voters)", c.ID, c.Profile, len(c.Voters))
}
