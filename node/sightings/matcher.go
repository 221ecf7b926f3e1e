// SPDX-License-Identifier: Apache-2.0

package sightings

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"strings"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlsh"
)

// A Matcher knows the signals of a case, by item. PDQ hashes, of pictures and of
// frames, match within their threshold, TLSH hashes within theirs, all others when
// they are equal.
type Matcher struct {
	items int
	equal map[string][]int // type ‖ 0 ‖ value → items
	near  map[string][]candidate
}

type candidate struct {
	value []byte
	item  int
}

// NewMatcher makes the matcher of a case with so many items.
func NewMatcher(items int) *Matcher {
	return &Matcher{items: items, equal: map[string][]int{}, near: map[string][]candidate{}}
}

// Add adds a signal of an item.
func (m *Matcher) Add(item int, s spec.Signal) {
	if distances[s.Type] != nil {
		m.near[s.Type] = append(m.near[s.Type], candidate{s.Value, item})
		return
	}
	k := s.Type + "\x00" + string(s.Value)
	m.equal[k] = append(m.equal[k], item)
}

// distances say whether two values of a type are near, for those where that is
// more than equality.
var distances = map[string]func(a, b []byte) bool{
	"pdq": within31, "vpdq": within31, "text_tlsh": tlshNear, "text_tlsh_norm": tlshNear,
}

func within31(a, b []byte) bool {
	if len(a) != 32 || len(b) != 32 {
		return false
	}
	n := 0
	for i := 0; i < 32; i += 8 {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]))
	}
	return n <= 31
}

func tlshNear(a, b []byte) bool {
	return len(a) == len(tlsh.Hash{}) && len(b) == len(tlsh.Hash{}) && tlsh.Hash(a).Match(tlsh.Hash(b))
}

// count adds one to each item that an upload matches.
func (m *Matcher) count(u upload, hits []uint64) {
	var done map[int]bool
	hit := func(item int) {
		if !done[item] {
			if done == nil {
				done = map[int]bool{}
			}
			done[item] = true
			hits[item]++
		}
	}
	for _, s := range u {
		near := distances[s.Type]
		if near == nil {
			for _, item := range m.equal[s.Type+"\x00"+string(s.Value)] {
				hit(item)
			}
			continue
		}
		for _, c := range m.near[s.Type] {
			if near(s.Value, c.value) {
				hit(c.item)
			}
		}
	}
}

// Matches counts, for each item, the signals of a list that match it.
func (m *Matcher) Matches(list []spec.Signal) []uint64 {
	hits := make([]uint64, m.items)
	for _, s := range list {
		m.count(upload{{Type: s.Type, Value: s.Value}}, hits)
	}
	return hits
}

// Bounds of a list of lawful content.
const (
	maxLawful      = 1 << 20  // values
	maxLawfulBytes = 64 << 20 // of the file
)

// ReadLawful reads a site's own list of lawful content: one TYPE and VALUE a line,
// with a space between them, and comments behind "#". found is false when there is
// no such file. What is wrong gets BAD_CONFIG and its line, never its value.
func ReadLawful(path string) (list []spec.Signal, found bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	list, err = parseLawful(f)
	return list, err == nil, err
}

func parseLawful(r io.Reader) ([]spec.Signal, error) {
	limited := &io.LimitedReader{R: r, N: maxLawfulBytes + 1}
	var list []spec.Signal
	lines := bufio.NewScanner(limited)
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		typ, value, ok := strings.Cut(line, " ")
		s, err := spec.ParseSignal(typ, strings.TrimSpace(value))
		if !ok || err != nil {
			return nil, spec.Errorf(spec.CodeConfig, "line %d of the list of lawful content is not a type and a value of it", n)
		}
		if list = append(list, s); len(list) > maxLawful {
			return nil, spec.Errorf(spec.CodeTooLarge, "the list of lawful content has more than %d values", maxLawful)
		}
	}
	if lines.Err() != nil || limited.N == 0 {
		return nil, spec.Errorf(spec.CodeTooLarge, "the list of lawful content has a line or a size beyond what is read")
	}
	return list, nil
}
