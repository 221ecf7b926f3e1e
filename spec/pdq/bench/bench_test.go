// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec/pdq"
)

func TestRunReportsEveryKernel(t *testing.T) {
	var table, object bytes.Buffer
	if err := Run(context.Background(), &table, false); err != nil {
		t.Fatal(err)
	}
	if err := Run(context.Background(), &object, true); err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(object.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Vectors != 10 || len(r.Results) != len(pdq.Kernels())+1 {
		t.Fatalf("%+v", r)
	}
	for i, k := range append(pdq.Kernels(), nil) {
		name := "plain"
		if k != nil {
			name = k.Name()
		}
		if got := r.Results[i]; got.Kernel != name || got.BestNS <= 0 || got.MedianNS < got.BestNS || !strings.Contains(table.String(), name) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Run(ctx, new(bytes.Buffer), false); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestAWrongVectorIsAnError(t *testing.T) {
	if err := checkVector("exact/wee-34x42.png", strings.Repeat("0", 64), "100"); err == nil {
		t.Fatal("a wrong hash passed")
	}
}
