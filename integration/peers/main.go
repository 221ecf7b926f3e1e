// SPDX-License-Identifier: Apache-2.0

// Command peers measures tocsin's lookups and those of the tools it is
// compared with on the same files in the same run, and prints the ratios.
//
//	go run ./integration/peers --entries 1000000
//
// faiss comes from Debian's python3-faiss and Redis from redis-server; a peer
// that is not installed is named as missing and its rows are left out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

type config struct {
	entries, queries int
	peerQueries      int
	keys             int
	kind             string
	seed             uint64
	dir              string
	kernels          bool
	skipSearch       bool
	skipExact        bool
}

func main() {
	var c config
	flag.IntVar(&c.entries, "entries", 1_000_000, "hashes in the index")
	flag.IntVar(&c.queries, "queries", 5_000, "queries to tocsin")
	flag.IntVar(&c.peerQueries, "peer-queries", 300, "how many of the queries each peer answers")
	flag.IntVar(&c.keys, "keys", 1_000_000, "keys in the exact table")
	flag.StringVar(&c.kind, "kind", "mixed", "uniform or mixed hashes")
	flag.Uint64Var(&c.seed, "seed", 1, "seed of the data")
	flag.StringVar(&c.dir, "dir", "", "where the data files go (default: a temporary folder)")
	flag.BoolVar(&c.kernels, "kernels", false, "measure every kernel of this machine, not only the fastest")
	flag.BoolVar(&c.skipSearch, "skip-search", false, "leave near lookups out")
	flag.BoolVar(&c.skipExact, "skip-exact", false, "leave exact lookups out")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config) error {
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "tocsin-peers-")
		if err != nil {
			return fmt.Errorf("making a folder for the data: %w", err)
		}
		defer os.RemoveAll(dir)
		c.dir = dir
	}
	t := &table{out: os.Stdout}
	t.head()
	if !c.skipSearch {
		if err := compareSearch(ctx, c, t); err != nil {
			return err
		}
	}
	if !c.skipExact {
		return compareExact(ctx, c, t)
	}
	return nil
}

func (c config) file(name string) string { return filepath.Join(c.dir, name) }
