// SPDX-License-Identifier: Apache-2.0

package media

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/tocsin-db/tocsin/spec"
)

// sums computes the exact hashes side by side.
type sums struct {
	names  []string
	hashes []hash.Hash
}

// MD5 and SHA-1 are no protection against collisions; lists still carry them.
func newSums() sums {
	return sums{[]string{"sha256", "md5", "sha1"}, []hash.Hash{sha256.New(), md5.New(), sha1.New()}}
}

// parallelSize is the least that is worth a goroutine for each hash.
const parallelSize = 64 << 10

func (s sums) write(p []byte) {
	if len(p) < parallelSize {
		for _, h := range s.hashes {
			h.Write(p)
		}
		return
	}
	var wg sync.WaitGroup
	for _, h := range s.hashes {
		wg.Go(func() { h.Write(p) })
	}
	wg.Wait()
}

func (s sums) signals() []Signal {
	out := make([]Signal, len(s.names))
	for i, name := range s.names {
		out[i] = Signal{Type: name, Value: hex.EncodeToString(s.hashes[i].Sum(nil))}
	}
	return out
}

// intake reads a file once: into the exact hashes and, where a decoder wants
// it, into the spool.
type intake struct {
	ctx   context.Context
	max   int64
	size  int64
	sums  sums
	spool *spool // nil: nobody will decode the file
}

func (in *intake) readAll(head []byte, r io.Reader) error {
	if err := in.take(head); err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	for {
		if err := in.ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if err := in.take(buf[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the file: %w", err)
		}
	}
}

func (in *intake) take(p []byte) error {
	in.size += int64(len(p))
	if in.size > in.max {
		return spec.Errorf(spec.CodeTooLarge, "the file has more than %d bytes", in.max)
	}
	in.sums.write(p)
	if in.spool != nil {
		in.spool.write(p)
	}
	return nil
}
