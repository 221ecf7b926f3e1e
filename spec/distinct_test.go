// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"encoding/binary"
	"testing"
)

func TestOnlyTheSameSignalIsFoundTwice(t *testing.T) {
	var signals []Opened
	value := func(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
	for n := range MaxSignals / 2 {
		signals = append(signals, Opened{Signal: Signal{Type: "photodna", Value: value(n)}}, Opened{Signal: Signal{Type: "tmk_pdqf", Value: value(n)}})
	}
	d := newDistinct(signals)
	for i := range signals {
		if !d.add(i) {
			t.Fatalf("signal %d is taken for another", i)
		}
	}
	for _, i := range []int{0, 1, MaxSignals / 2, MaxSignals - 1} {
		again := signals[i]
		again.Signal.Value, again.Signal.Quality = value(i/2), 7
		d.signals = append(signals[:len(signals):len(signals)], again)
		if d.add(len(signals)) {
			t.Errorf("signal %d is not found again", i)
		}
	}
}
