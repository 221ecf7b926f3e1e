// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"
)

var keyTerm = []byte("CurrentTerm") // raft's name for it

// check makes sure that the log and the database belong together before raft
// relies on it, and finishes an install that a crash cut short.
func check(f *fsm, log *logStore) error {
	const op = "check the raft log against the database"
	first, err := log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	term, err := currentTerm(log)
	if err != nil {
		return err
	}
	floor, err := log.floor()
	if err != nil {
		return err
	}
	at := f.cur
	if at.Index > 0 {
		if err := checkConf(at.Conf); err != nil {
			return err
		}
	}
	switch {
	case term < at.Term:
		// Without its term and vote this node could vote twice.
		return corrupt(op, "the database is at term %d and the raft log at term %d: the raft log was lost or rolled back", at.Term, term)
	case at.Index < floor || first > at.Index+1:
		return corrupt(op, "the database ends at entry %d, was at %d and the raft log begins at %d: the database was lost or rolled back", at.Index, floor, first)
	case last == 0 || first == at.Index+1:
		return nil
	}
	var entry raft.Log
	if last >= at.Index {
		if err := log.read(at.Index, &entry); err != nil {
			return err
		}
	}
	if entry.Term == at.Term {
		return nil
	}
	// The database came by a snapshot that these entries preceded.
	if err := f.sync(at.Index); err != nil {
		return err
	}
	return log.drop()
}

func currentTerm(log *logStore) (uint64, error) { return log.number(keyTerm) }

// seed lets an empty raft log begin behind a database that came from another
// sequencer. This node never voted in a term up to there, so none is lost.
func seed(cfg Config, f *fsm, log *logStore) error {
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	term, err := currentTerm(log)
	if err != nil || !cfg.Seeded || last > 0 || term > 0 || f.cur.Index == 0 {
		return err
	}
	return log.SetUint64(keyTerm, f.cur.Term)
}

// Anew is the place in raft of a database with which voters begin a log of their own,
// the same on each: they start Seeded, with no raft log.
func Anew(voters []string) Applied {
	conf := raft.EncodeConfiguration(Config{Voters: voters}.configuration())
	return Applied{Index: 1, Term: 1, Conf: conf, ConfIndex: 1}
}

// bootstrap writes the founding configuration as entry 1 when this node is one
// of the founders and holds nothing yet. All founders write the same entry. A
// crash between the two writes is made good by the next start: no election can
// have happened in term 1.
func bootstrap(cfg Config, f *fsm, log *logStore) error {
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	term, err := currentTerm(log)
	if err != nil {
		return err
	}
	if f.cur.Index > 0 || last > 0 || term > 1 || !slices.Contains(cfg.Voters, cfg.ID) {
		return nil
	}
	if err := log.SetUint64(keyTerm, 1); err != nil {
		return err
	}
	return log.StoreLog(&raft.Log{
		Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(cfg.configuration()),
	})
}

// recoverPeers forces the configuration in the peers.json at cfg.Peers, if
// there is one, and renames it to peers.info when done. It may run again after
// a crash in between.
func recoverPeers(cfg Config, f *fsm, log *logStore, snaps *snapshots, trans raft.Transport) error {
	if cfg.Peers == "" {
		return nil
	}
	if _, err := os.Stat(cfg.Peers); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	conf, err := raft.ReadConfigJSON(cfg.Peers)
	if err == nil {
		err = checkConfiguration(raft.EncodeConfiguration(conf))
	}
	if err != nil {
		return fmt.Errorf("read the recovery file %s: %w", filepath.Base(cfg.Peers), err)
	}
	snaps.recovering = true
	defer func() { snaps.recovering = false }()
	if err := raft.RecoverCluster(cfg.raftConfig(), f, log, log, snaps, trans, conf); err != nil {
		return fmt.Errorf("recover with %s: %w", filepath.Base(cfg.Peers), err)
	}
	cfg.Logger.Warn("forced a raft configuration", "servers", len(conf.Servers), "index", f.cur.Index)
	return replaceFile(cfg.Peers, filepath.Join(filepath.Dir(cfg.Peers), "peers.info"))
}
