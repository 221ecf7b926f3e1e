// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
)

const rowSize = 32

// eachRow calls yield for every 32-byte row of a file, until yield or the
// context ends it.
func eachRow(ctx context.Context, name string, yield func(i int, row *[rowSize]byte) error) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("opening the rows: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	var row [rowSize]byte
	for i := 0; ; i++ {
		switch _, err := io.ReadFull(r, row[:]); {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("reading row %d of %s: %w", i, name, err)
		}
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := yield(i, &row); err != nil {
			return err
		}
	}
}

// readRows reads a whole file of rows.
func readRows(ctx context.Context, name string) (rows [][rowSize]byte, err error) {
	n, err := countRows(name)
	if err != nil {
		return nil, err
	}
	rows = make([][rowSize]byte, 0, n)
	err = eachRow(ctx, name, func(_ int, row *[rowSize]byte) error {
		rows = append(rows, *row)
		return nil
	})
	return rows, err
}

func countRows(name string) (int, error) {
	info, err := os.Stat(name)
	if err != nil {
		return 0, fmt.Errorf("opening the rows: %w", err)
	}
	if info.Size()%rowSize != 0 {
		return 0, fmt.Errorf("%s is not made of %d-byte rows: %d bytes", name, rowSize, info.Size())
	}
	return int(info.Size() / rowSize), nil
}
