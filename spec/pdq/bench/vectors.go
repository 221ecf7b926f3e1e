// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/csv"
	"fmt"
	"image/png"
	"strconv"
	"strings"

	"github.com/tocsin-db/tocsin/spec/pdq"
	"github.com/tocsin-db/tocsin/spec/pdq/testdata"
)

// checkVectors hashes the lossless vectors with every kernel and counts them.
func checkVectors() (int, error) {
	f, err := testdata.Exact.Open("expected.csv")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return 0, fmt.Errorf("reading the vectors: %w", err)
	}
	n := 0
	for _, l := range lines {
		if !strings.HasPrefix(l[0], "exact/") {
			continue
		}
		if err := checkVector(l[0], l[1], l[2]); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

func checkVector(file, hash, quality string) error {
	f, err := testdata.Exact.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		return fmt.Errorf("decoding %s: %w", file, err)
	}
	for _, k := range pdq.Kernels() {
		t, err := k.TransformImage(img)
		if err != nil {
			return err
		}
		if t.Hash().String() != hash || strconv.Itoa(t.Quality()) != quality {
			return fmt.Errorf("kernel %s: %s does not have its hash and quality", k.Name(), file)
		}
	}
	return nil
}
