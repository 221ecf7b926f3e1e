// SPDX-License-Identifier: Apache-2.0

package governance

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/tocsin-db/tocsin/spec"
)

// Bounds of the admission checks on PDQ: a real picture's hash has about half of
// its 256 bits set, since each says which side of the median a coefficient lies.
const (
	popcountLow  = 112
	popcountHigh = 144
	goodQuality  = 80
	nearBits     = 31 // from a value of the allow-list
)

// perceptual reports whether values of a type are PDQ hashes, of a picture or of
// a frame.
func perceptual(typ string) bool { return typ == "pdq" || typ == "vpdq" }

// examine records what the checks find in a proposal's values, as an Admission
// leaf, and reports whether any item is held. In a log that is replayed it takes
// what those found who held the values.
func examine(v *view, id spec.Hash, p *spec.Proposal, b *Beside) (held bool, err error) {
	if b.Tried {
		return false, nil
	}
	var found []spec.Finding
	if b.Attested {
		found, err = attested(id, p, b.Admission)
	} else {
		found, err = findings(v, p, b.Opening)
	}
	if err != nil || len(found) == 0 {
		return false, err
	}
	a := &spec.Admission{Tag: spec.TagAdmission, Case: id, Findings: found}
	if _, err := v.derive(a); err != nil {
		return false, err
	}
	held = slices.ContainsFunc(found, func(f spec.Finding) bool { return spec.Holds(f.What) })
	return held, v.put(spec.AdmissionKey(id), a)
}

// attested checks the form of findings that came with the log.
func attested(id spec.Hash, p *spec.Proposal, a *spec.Admission) ([]spec.Finding, error) {
	if a == nil {
		return nil, nil
	}
	ordered := slices.IsSortedFunc(a.Findings, func(x, y spec.Finding) int {
		if x.Item != y.Item {
			return int(x.Item) - int(y.Item)
		}
		return int(x.What) - int(y.What)
	})
	if a.Case != id || len(a.Findings) == 0 || !ordered {
		return nil, mismatch("an admission is out of order")
	}
	for i, f := range a.Findings {
		if f.Item >= uint64(len(p.Items)) || f.What < spec.FindingListed || f.What > spec.FindingAllowed ||
			f.Count == 0 || f.Count > uint64(p.Items[f.Item].Signals()) || i > 0 && a.Findings[i-1].Item == f.Item && a.Findings[i-1].What == f.What {
			return nil, mismatch("an admission finds what cannot be")
		}
	}
	return a.Findings, nil
}

// findings examines the values of a proposal, whose opening was checked.
func findings(v *view, p *spec.Proposal, o *spec.Opening) ([]spec.Finding, error) {
	lists, err := loadLists(v, p)
	if err != nil {
		return nil, err
	}
	var out []spec.Finding
	n := 0
	for i := range p.Items {
		var counts [spec.FindingAllowed + 1]uint64
		for range p.Items[i].Signals() {
			s := &o.Signals[n].Signal
			n++
			listed, err := v.Listed(*s)
			if err != nil {
				return nil, err
			}
			counts[spec.FindingListed] += uint64(min(listed, 1))
			look(s, lists.of(s.Type), &counts)
		}
		for what := spec.FindingListed; what <= spec.FindingAllowed; what++ {
			if counts[what] > 0 {
				out = append(out, spec.Finding{Item: uint64(i), What: what, Count: counts[what]})
			}
		}
	}
	return out, nil
}

// look examines one signal by itself and against the allow-list of its type.
func look(s *spec.Signal, allowed [][]byte, counts *[spec.FindingAllowed + 1]uint64) {
	if perceptual(s.Type) {
		ones := weight(s.Value)
		if s.Quality < goodQuality {
			counts[spec.FindingQuality]++
		}
		if ones < popcountLow || ones > popcountHigh {
			counts[spec.FindingPopcount]++
		}
	}
	if degenerate(s) {
		counts[spec.FindingDegenerate]++
	}
	if nearAny(s, allowed) {
		counts[spec.FindingAllowed]++
	}
}

func weight(b []byte) int {
	n := 0
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}

// ofNothing are the digests of no bytes.
var ofNothing = map[string]string{
	"sha256": "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9\x24\x27\xae\x41\xe4\x64\x9b\x93\x4c\xa4\x95\x99\x1b\x78\x52\xb8\x55",
	"sha1":   "\xda\x39\xa3\xee\x5e\x6b\x4b\x0d\x32\x55\xbf\xef\x95\x60\x18\x90\xaf\xd8\x07\x09",
	"md5":    "\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e",
}

// degenerate reports whether a value stands for no content at all: the digest of
// nothing, or a PDQ with at most two different rows of sixteen bits, as flat and
// striped pictures have.
func degenerate(s *spec.Signal) bool {
	if !perceptual(s.Type) {
		return ofNothing[s.Type] == string(s.Value) && len(s.Value) > 0
	}
	var rows []uint16
	for i := 0; i < len(s.Value); i += 2 {
		if r := binary.BigEndian.Uint16(s.Value[i:]); !slices.Contains(rows, r) {
			rows = append(rows, r)
		}
	}
	return len(rows) <= 2
}

// lists are the allow-lists of the types in a proposal.
type lists struct {
	types  []string
	values [][][]byte
}

func loadLists(v *view, p *spec.Proposal) (*lists, error) {
	l := &lists{}
	for i := range p.Items {
		for _, c := range p.Items[i].Counts {
			if slices.Contains(l.types, c.Type) {
				continue
			}
			values, err := allowList(v, c.Type)
			if err != nil {
				return nil, err
			}
			l.types, l.values = append(l.types, c.Type), append(l.values, values)
		}
	}
	return l, nil
}

func (l *lists) of(typ string) [][]byte { return l.values[slices.Index(l.types, typ)] }

// nearAny reports whether a signal is on a list or, for a perceptual hash, near a
// value on it.
func nearAny(s *spec.Signal, list [][]byte) bool {
	if !perceptual(s.Type) {
		_, found := slices.BinarySearchFunc(list, s.Value, bytes.Compare)
		return found
	}
	return slices.ContainsFunc(list, func(other []byte) bool { return distance(s.Value, other) <= nearBits })
}

// distance counts the bits in which two values of one size differ.
func distance(a, b []byte) int {
	n := 0
	for ; len(a) >= 8; a, b = a[8:], b[8:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(a) ^ binary.LittleEndian.Uint64(b))
	}
	for i := range a {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	return n
}
