// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tocsin-db/tocsin/storage/nearby/bench"
)

const batchKeys = 1000

// compareExact asks a running node, by POST /v1/match:rows, and Redis for the same
// keys, half of them listed, each through its own unix socket, and takes turns.
func compareExact(ctx context.Context, c config, t *table) error {
	if err := inProcess(ctx, c, t); err != nil {
		return err
	}
	r, err := startRedis(ctx, c.dir, c.file("redis.sock"))
	if errors.Is(err, errMissing) {
		t.note("redis: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer r.stop()
	s, err := startNode(ctx, c.keys)
	if err != nil {
		return err
	}
	defer s.close()
	if err := fill(c.keys, s.filled.Digest, r); err != nil {
		return err
	}
	for _, size := range []int{10 * batchKeys, batchKeys, 1} {
		ours, theirs, err := askBoth(c, size, s.filled.Digest, s, r)
		if err != nil {
			return err
		}
		t.row(fmt.Sprintf("SHA-256 through a unix socket, %d a call", size), ours, theirs, "ns", "Redis SMISMEMBER, same run, per key, "+short(c.keys)+" keys")
	}
	return nil
}

func inProcess(ctx context.Context, c config, t *table) error {
	var out bytes.Buffer
	if err := bench.Exact(ctx, bench.ExactOptions{Entries: c.keys, JSON: true}, &out); err != nil {
		return err
	}
	var r bench.ExactReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return fmt.Errorf("reading the report: %w", err)
	}
	t.row("SHA-256 in process, hit", r.HitNS, r.MemoryNS, "ns", "one dependent read of this machine's memory, same run; above 1 is less")
	t.row("SHA-256 in process, miss", r.MissNS, r.MemoryNS, "ns", "the same")
	t.row("SHA-256 in process, hit in a batch", r.BatchHitNS, 3400, "ns", "Pebble Get, warm, recorded elsewhere")
	t.note("exact table: %.1f bytes per key, %.2f s to fill with %s", r.BytesPerEntry, r.BuildSeconds, short(r.Entries))
	return nil
}

func fill(n int, digest func(i int) [32]byte, r *redis) error {
	for from := 0; from < n; from += batchKeys {
		keys := make([][32]byte, min(batchKeys, n-from))
		for i := range keys {
			keys[i] = digest(from + i)
		}
		if err := r.add(keys); err != nil {
			return err
		}
	}
	return nil
}

type asker interface {
	ask(keys [][32]byte, out []byte) error
}

// askBoth returns the median nanoseconds per key.
func askBoth(c config, size int, digest func(i int) [32]byte, ours, theirs asker) (a, b float64, err error) {
	rng := rand.New(rand.NewPCG(c.seed, 3))
	keys, x, y := make([][32]byte, size), make([]byte, size), make([]byte, size)
	var tookA, tookB []float64
	for range 400 {
		for i := range keys { // half of the numbers are listed
			keys[i] = digest(rng.IntN(2 * c.keys))
		}
		for _, turn := range []struct {
			who  asker
			out  []byte
			took *[]float64
		}{{ours, x, &tookA}, {theirs, y, &tookB}} {
			started := time.Now()
			if err := turn.who.ask(keys, turn.out); err != nil {
				return 0, 0, err
			}
			*turn.took = append(*turn.took, float64(time.Since(started))/float64(size))
		}
		if !bytes.Equal(x, y) {
			return 0, 0, errors.New("tocsin and Redis answer differently")
		}
	}
	slices.Sort(tookA)
	slices.Sort(tookB)
	return tookA[len(tookA)/2], tookB[len(tookB)/2], nil
}
