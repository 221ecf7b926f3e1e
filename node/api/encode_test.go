// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// FuzzAnswer holds what is written by hand to what encoding/json writes.
func FuzzAnswer(f *testing.F) {
	f.Add("a", "label", uint64(7), int64(1500), 3, true, []byte{1, 2})
	f.Add("<\"\\&>\u2028\x00", "\xff né", uint64(1<<63), int64(-1), -4, false, []byte("T"))
	f.Fuzz(func(t *testing.T, id, label string, size uint64, age int64, n int, flag bool, value []byte) {
		all := MatchAnswer{
			Matches: []Match{
				{Entry: spec.LeafHash(value), Type: id, Distance: n, Threshold: -n, State: label, Labels: []string{label, id}, LogIndex: size, Final: flag},
				{Type: "pdq", Labels: nil, Final: !flag, Verdict: label, Consortium: id},
			},
			Consortia:   []ConsortiumAnswer{{Name: id, Origin: label, Freshness: Freshness{Size: size, Final: size / 3, Age: time.Duration(age), Stale: flag}}, {Code: spec.Code(id), Reason: label}},
			Unsupported: []Unsupported{{id, spec.Code(label)}, {"md5", spec.CodeSignalType}},
			Truncated:   flag, Freshness: Freshness{Size: size, Final: size / 2, Age: time.Duration(age), Stale: !flag, Incomplete: flag},
		}
		for _, st := range spec.SignalTypes() {
			all.Signals = append(all.Signals, spec.Signal{Type: st.Name, Value: value, Quality: n})
		}
		for _, a := range []MatchAnswer{all, {Signals: all.Signals[:1]}, {Unsupported: all.Unsupported[:1]}, {}} {
			w := wireAnswer(a)
			want, err := json.Marshal(wire.BatchAnswer{ID: id, Answer: &w})
			if err != nil {
				t.Fatal(err)
			}
			if got := appendBatchAnswer(nil, id, &a); string(got) != string(want) {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
		}
	})
}
