// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

// FuzzQuickLive holds the reading by hand to the general codec: what it accepts is
// what that accepts, and means the same.
func FuzzQuickLive(f *testing.F) {
	meta, _ := spec.Encode(&spec.LiveMeta{Entry: spec.Hash{1}, State: spec.StateActive, Since: 300, Labels: []string{"a", "bé"}})
	f.Add(meta)
	record, _ := spec.Encode(&liveSignal{Type: "pdq", Value: make([]byte, 32), Quality: 100, Meta: meta})
	f.Add(record)
	f.Add(record[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		var l liveSignal
		general := spec.Decode(b, &l) == nil
		v, ok := quickLive(b)
		if ok != general {
			t.Fatalf("a live signal %x: by hand %v, by the codec %v", b, ok, general)
		}
		if ok && (string(v.Type) != l.Type || !bytes.Equal(v.Value, l.Value) || v.Quality != l.Quality || spec.Hash(v.C) != l.C || !bytes.Equal(v.Meta, l.Meta) || [spec.SaltSize]byte(v.Salt) != l.Salt || v.Item != l.Item) {
			t.Fatalf("a live signal %x is read as %+v and as %+v", b, v, l)
		}
		var m spec.LiveMeta
		general = spec.Decode(b, &m) == nil
		got, ok := quickMeta(b)
		if ok && !general || ok && !reflect.DeepEqual(got, m) {
			t.Fatalf("a meta %x is read as %+v and as %+v, %v", b, got, m, general)
		}
		if general && !ok {
			t.Fatalf("a meta %x is not read by hand", b)
		}
		split, ok := appendSaid(nil, b)
		said, err := saidOf(split.Said)
		again := spec.LiveMeta{Entry: split.Entry, State: said.State, Since: split.Since, Sunset: said.Sunset, Labels: said.Labels}
		if (ok && err == nil) != general || general && !reflect.DeepEqual(again, m) {
			t.Fatalf("a meta %x is split into %+v and %+v, %v, which is %+v", b, split, said, err, m)
		}
	})
}
