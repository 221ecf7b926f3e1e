// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage/entries"
)

// A store of the digest tier is keyed: its live signals and openings have k in the
// place of type and value. A record of a live signal has an empty type and value
// there, for k stands in its key. Lookups find what is equal, by k alone.

// keyedKey stands in a keyed database.
var keyedKey = []byte{tableMeta, 'k'}

// checkKeyed refuses with NOT_IN_TIER a database of the other sort than was asked for.
func checkKeyed(db *pebble.DB, o *Options) error {
	keyed, err := isKeyed(db)
	if err != nil || o.anyTier || keyed == o.Keyed {
		return err
	}
	return errKeyed
}

var errKeyed = spec.Errorf(spec.CodeTier, "the database is of another tier than the node")

func isKeyed(db *pebble.DB) (bool, error) {
	b, err := get(db, keyedKey)
	return b != nil, err
}

// checkTier refuses with OPENING_MISMATCH an opening with values where there are to
// be keys, or with keys where values are needed.
func (t *Tx) checkTier(o *spec.Opening) error {
	tier, err := o.Tier()
	if err != nil || tier == "" || (tier == spec.TierDigest) == t.d.keyed {
		return err
	}
	return spec.Errorf(spec.CodeMismatch, "an opening for another tier than that of this node")
}

// keyed reports whether the value is not here.
func (l *liveSignal) keyed() bool { return l.Type == "" }

// liveOf is the live signal that an opened one is for an entry.
func liveOf(o *spec.Opened, entry spec.Hash, meta []byte) *liveSignal {
	return &liveSignal{
		Type: o.Signal.Type, Value: o.Signal.Value, Quality: uint64(o.Signal.Quality),
		C: o.Commitment(), Meta: meta, Salt: o.Salt, Item: uint64(o.Item), k: o.SignalKey(), entry: entry,
	}
}

// entriesKey is what the table of entries knows a value by.
func (d *database) entriesKey(typ string, value []byte) entries.Key {
	if !d.keyed {
		return d.entries.Key(typ, value)
	}
	k := spec.Signal{Type: typ, Value: value}.Key()
	return d.entries.KeyOf("", nil, &k)
}

// Inexact are the types among signals that this store compares for equality though
// others compare them by nearness: that none is found says nothing of near ones.
func (s *Store) Inexact(signals []spec.Signal) (types []string) {
	if !s.opts.Keyed {
		return nil
	}
	seen := map[string]bool{}
	for i := range signals {
		if t, ok := spec.SignalTypeOf(signals[i].Type); ok && t.Threshold > 0 && !seen[t.Name] {
			seen[t.Name] = true
			types = append(types, t.Name)
		}
	}
	return types
}
