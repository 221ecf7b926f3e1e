// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// HandOffPath is the path of the link by which the panel of a number took over,
// among the files of the log.
func HandOffPath(number uint64) string { return handOffs + strconv.FormatUint(number, 10) }

const handOffs = "handoff/"

// A LinkStore keeps the links of a chain as files, so that a node that restarts
// knows whose cosignatures count before it asks anyone.
type LinkStore struct{ Dir string }

// Load adds what is kept to the chain.
func (s LinkStore) Load(c *tlog.Chain) error {
	for number := uint64(1); ; number++ {
		b, err := os.ReadFile(s.path(number))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		l, err := tlog.ParseLink(b)
		if err == nil {
			err = c.Add(l)
		}
		if err != nil {
			return spec.Errorf(spec.CodeCorrupt, "how panel %d took over is damaged in the data directory: %w", number, err)
		}
	}
}

// Save keeps a link durably.
func (s LinkStore) Save(number uint64, l *tlog.Link) error {
	b, err := l.Encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	if err := durable.Replace(s.path(number), b, 0o600); err != nil {
		return fmt.Errorf("keeping how a panel took over: %w", err)
	}
	return nil
}

func (s LinkStore) path(number uint64) string {
	return filepath.Join(s.Dir, strconv.FormatUint(number, 10))
}
