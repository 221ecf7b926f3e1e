// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// maxWitnesses bounds whose cosignatures a checkpoint carries beside the
// sequencers'.
const maxWitnesses = 64

// A Book holds the newest cosignature of each witness of one log, in memory.
type Book struct {
	mu    sync.Mutex
	lines map[string]seen // by the witness's name
}

type seen struct {
	text string // of the checkpoint
	line []byte
}

// Add takes a witness's lines on a checkpoint when one of them is its cosignature.
func (b *Book) Add(c tlog.Checkpoint, v note.Verifier, lines []byte) error {
	text := string(c.Text())
	n, err := note.Open(append([]byte(text+"\n"), lines...), note.VerifierList(v))
	if err != nil || len(n.Sigs) == 0 {
		return spec.Errorf(spec.CodeCheckpoint, "the witness %s did not cosign the checkpoint", v.Name())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lines == nil {
		b.lines = map[string]seen{}
	}
	if _, known := b.lines[v.Name()]; !known && len(b.lines) >= maxWitnesses {
		return spec.Errorf(spec.CodeTooLarge, "at most %d witnesses", maxWitnesses)
	}
	b.lines[v.Name()] = seen{text, []byte("— " + n.Sigs[0].Name + " " + n.Sigs[0].Base64 + "\n")}
	return nil
}

// On lists the witnesses that cosigned this very text, sorted.
func (b *Book) On(c tlog.Checkpoint) []string {
	text := string(c.Text())
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(b.lines)) {
		if b.lines[name].text == text {
			names = append(names, name)
		}
	}
	return names
}

// Cosigned returns a signed note with the cosignatures of witnesses on its very
// text behind the others, in the order of the witnesses' names.
func (b *Book) Cosigned(signed []byte) []byte {
	end := bytes.Index(signed, []byte("\n\n"))
	if b == nil || end < 0 {
		return signed
	}
	text, out := string(signed[:end+1]), slices.Clone(signed)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(b.lines)) {
		there := bytes.Contains(signed[end:], []byte("\n— "+name+" "))
		if s := b.lines[name]; !there && s.text == text && len(out)+len(s.line) <= tlog.MaxNote {
			out = append(out, s.line...)
		}
	}
	return out
}
