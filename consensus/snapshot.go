// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft"
)

// liveID names the only snapshot there is: the live database.
const liveID = "live"

// partPattern names the files that hold a snapshot while it is received.
const partPattern = "install-*.part"

// snapshots is raft's SnapshotStore, derived from the Store. A snapshot being
// received is spilled to a file of its own, since raft receives it while the
// database still applies earlier entries; it needs no fsync, because a crash
// before the import makes the leader send it again.
type snapshots struct {
	store      Store
	dir        string
	limit      int64 // bytes of a received snapshot
	recovering bool  // Persist forces the configuration; Open does not export

	mu       sync.Mutex
	next     int
	received map[string]*installed
}

var _ raft.SnapshotStore = (*snapshots)(nil)

// reap deletes what a crash left of received snapshots.
func (s *snapshots) reap() error {
	parts, err := filepath.Glob(filepath.Join(s.dir, partPattern))
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove a partly received snapshot: %w", err)
		}
	}
	return nil
}

// List returns the live database, or nothing while it is empty.
func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	a := s.store.Applied()
	if a.Index == 0 {
		return nil, nil
	}
	return []*raft.SnapshotMeta{snapshotMeta(a, liveID, 0)}, nil
}

func snapshotMeta(a Applied, id string, size int64) *raft.SnapshotMeta {
	return &raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: id, Index: a.Index, Term: a.Term, Size: size,
		Configuration: raft.DecodeConfiguration(a.Conf), ConfigurationIndex: a.ConfIndex,
	}
}

// Open exports the live database, which may be further than List said, or
// opens a snapshot that was received.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if id != liveID {
		return s.openReceived(id)
	}
	if s.recovering {
		return snapshotMeta(s.store.Applied(), id, 0), untouched{}, nil
	}
	a, size, r, err := s.store.Export()
	if err != nil {
		return nil, nil, fmt.Errorf("export the database: %w", err)
	}
	return snapshotMeta(a, id, size), r, nil
}

func (s *snapshots) openReceived(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.received[id]
	if in == nil {
		return nil, nil, fmt.Errorf("no snapshot %q", id)
	}
	delete(s.received, id)
	return snapshotMeta(in.meta, id, in.size), in, nil
}

// Create returns a sink that marks the live database as a snapshot when raft
// takes one, and receives the leader's when it is written to.
func (s *snapshots) Create(_ raft.SnapshotVersion, index, term uint64, conf raft.Configuration,
	confIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	return &sink{snaps: s, id: liveID, meta: Applied{
		Index: index, Term: term, Conf: raft.EncodeConfiguration(conf), ConfIndex: confIndex,
	}}, nil
}

type sink struct {
	snaps *snapshots
	id    string
	meta  Applied
	file  *os.File // nil until the first write
	size  int64
}

func (k *sink) ID() string { return k.id }

func (k *sink) Write(p []byte) (int, error) {
	if k.file == nil {
		if err := k.receive(); err != nil {
			return 0, err
		}
	}
	if k.size += int64(len(p)); k.size > k.snaps.limit {
		return 0, fmt.Errorf("the snapshot is larger than %d bytes", k.snaps.limit)
	}
	return k.file.Write(p)
}

func (k *sink) receive() error {
	f, err := os.CreateTemp(k.snaps.dir, partPattern)
	if err != nil {
		return fmt.Errorf("receive a snapshot: %w", err)
	}
	k.snaps.mu.Lock()
	defer k.snaps.mu.Unlock()
	k.snaps.next++
	k.id = fmt.Sprintf("received-%d-%d", k.meta.Index, k.snaps.next)
	k.file = f
	return nil
}

// Close ends the sink. A received snapshot can be opened once.
func (k *sink) Close() error {
	if k.file == nil {
		return nil
	}
	if _, err := k.file.Seek(0, io.SeekStart); err != nil {
		return errors.Join(err, k.Cancel())
	}
	k.snaps.mu.Lock()
	defer k.snaps.mu.Unlock()
	if k.snaps.received == nil {
		k.snaps.received = make(map[string]*installed)
	}
	k.snaps.received[k.id] = &installed{File: k.file, meta: k.meta, size: k.size}
	return nil
}

func (k *sink) Cancel() error {
	if k.file == nil {
		return nil
	}
	return (&installed{File: k.file}).Close()
}

// installed is a received snapshot; Close deletes it.
type installed struct {
	*os.File
	meta Applied
	size int64
}

func (in *installed) Close() error {
	return errors.Join(in.File.Close(), os.Remove(in.Name()))
}

// untouched stands for the live database where it need not be read.
type untouched struct{}

func (untouched) Read([]byte) (int, error) { return 0, io.EOF }
func (untouched) Close() error             { return nil }

// checkConf reports whether raft can decode a configuration, which it does by
// panicking when it cannot.
func checkConf(conf []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = corrupt("read the database", "its raft configuration cannot be decoded")
		}
	}()
	if len(conf) == 0 {
		return corrupt("read the database", "it holds no raft configuration")
	}
	raft.DecodeConfiguration(conf)
	return nil
}
