// SPDX-License-Identifier: Apache-2.0

package tlog

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/transparency-dev/formats/log"

	"github.com/tocsin-db/tocsin/spec"
)

// MaxSize is more leaves than any log has: above it a size is refused, so that
// sizes can be counted in int64.
const MaxSize = 1 << 48

// A Checkpoint says what the log is at one size (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   spec.Hash
}

// Text is the body of the note that carries it:
// origin ‖ "\n" ‖ size ‖ "\n" ‖ base64(root) ‖ "\n".
func (c Checkpoint) Text() []byte {
	return log.Checkpoint{Origin: c.Origin, Size: c.Size, Hash: c.Root[:]}.Marshal()
}

// ParseCheckpoint reads a Text and nothing else: extension lines are refused.
func ParseCheckpoint(text []byte) (Checkpoint, error) {
	bad := spec.Errorf(spec.CodeCheckpoint, "not the text of a checkpoint")
	lines := strings.SplitN(string(text[:min(len(text), maxText)]), "\n", 4)
	if len(lines) != 4 || lines[3] != "" || lines[0] == "" {
		return Checkpoint{}, bad
	}
	c := Checkpoint{Origin: lines[0]}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || size > MaxSize {
		return c, bad
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(c.Root) {
		return c, bad
	}
	c.Size, c.Root = size, spec.Hash(root)
	if !bytes.Equal(c.Text(), text) {
		return c, bad
	}
	return c, nil
}

// maxText bounds the body of a checkpoint in bytes: an origin, two numbers.
const maxText = 256
