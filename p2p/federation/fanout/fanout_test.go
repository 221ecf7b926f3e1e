// SPDX-License-Identifier: Apache-2.0

package fanout

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

// The measurement measures every reader and commit, and checks its own answers.
func TestEveryReaderIsMeasured(t *testing.T) {
	var out bytes.Buffer
	o := Options{Readers: 60, Real: 2, FanOut: 4, Commits: 5, Every: 50 * time.Millisecond, Apart: true, Latency: time.Millisecond, JSON: true}
	if err := Run(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	var r Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Depth != 2 || r.Samples < 60*5/2 || r.Samples > 60*5 || r.P50MS < r.CosignMS+1 || r.P99MS < r.P50MS || r.RealP50MS < r.CosignMS {
		t.Fatalf("%+v", r)
	}
}
