// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
)

// DataOptions say what files of hashes to write.
type DataOptions struct {
	Kind        string // uniform or mixed
	Entries     int
	Queries     int
	Seed        uint64
	DB          string // file of Entries rows of 32 bytes
	QueriesFile string // file of Queries rows of 32 bytes
}

// chunkRows is how many rows one seed makes; chunks are made in parallel and
// the files are the same whatever the number of processors.
const chunkRows = 8192

// Data writes entries and queries. Half of the queries lie 0 to 31 bits from
// an entry, the others are made like entries and mostly miss.
func Data(ctx context.Context, o DataOptions) error {
	if o.Entries <= 0 || o.Queries < 0 || o.Kind != "uniform" && o.Kind != "mixed" {
		return fmt.Errorf("data of kind %q with %d entries and %d queries: want uniform or mixed and at least one entry", o.Kind, o.Entries, o.Queries)
	}
	m := newMixture(o)
	if err := writeFile(o.DB, func(w *bufio.Writer) error { return m.writeEntries(ctx, w, o.Entries) }); err != nil {
		return err
	}
	return writeFile(o.QueriesFile, func(w *bufio.Writer) error { return m.writeQueries(ctx, w, o) })
}

func writeFile(name string, write func(*bufio.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("creating a data file: %w", err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return f.Close()
}

func (m *mixture) writeEntries(ctx context.Context, w *bufio.Writer, n int) error {
	workers := runtime.GOMAXPROCS(0)
	for from := 0; from < n; from += workers * chunkRows {
		chunks := make([][][rowSize]byte, workers)
		var wg sync.WaitGroup
		for i := range chunks {
			at := from + i*chunkRows
			wg.Go(func() { chunks[i] = m.chunk(uint64(at/chunkRows), min(chunkRows, max(0, n-at))) })
		}
		wg.Wait()
		for _, rows := range chunks {
			for i := range rows {
				if _, err := w.Write(rows[i][:]); err != nil {
					return fmt.Errorf("writing entries: %w", err)
				}
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func (m *mixture) writeQueries(ctx context.Context, w *bufio.Writer, o DataOptions) error {
	db, err := os.Open(o.DB)
	if err != nil {
		return fmt.Errorf("reading the entries back: %w", err)
	}
	defer db.Close()
	rng := rand.New(rand.NewPCG(o.Seed, 1<<63))
	for i := range o.Queries {
		q := m.miss(rng)
		if i%2 == 0 {
			if _, err := db.ReadAt(q[:], int64(rng.IntN(o.Entries))*rowSize); err != nil {
				return fmt.Errorf("reading an entry back: %w", err)
			}
			flip(rng, &q, rng.IntN(32))
		}
		if _, err := w.Write(q[:]); err != nil {
			return fmt.Errorf("writing queries: %w", err)
		}
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
