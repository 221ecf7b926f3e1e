// SPDX-License-Identifier: Apache-2.0

// Package corpus makes malformed media files, the same ones every time: each
// seed truncated, flipped, spliced and stretched, and the bombs that are
// written by hand. It serves tests; nothing else imports it.
package corpus

import (
	"bytes"
	"embed"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
)

//go:embed seeds
var seedFS embed.FS

// A File is one member of the corpus.
type File struct {
	Name string // of its seed and what was done to it
	Data []byte
}

// Seeds returns the small valid images that the corpus is made of, by name.
func Seeds() []File {
	entries, err := seedFS.ReadDir("seeds")
	if err != nil {
		panic(err) // embedded at build time
	}
	var all []File
	for _, e := range entries {
		data, err := seedFS.ReadFile("seeds/" + e.Name())
		if err != nil {
			panic(err)
		}
		all = append(all, File{e.Name(), data})
	}
	return all
}

// All yields the whole corpus but for Heavy: more than 2,000 small files.
func All() iter.Seq[File] {
	return func(yield func(File) bool) {
		seeds := Seeds()
		for i, s := range seeds {
			other := seeds[(i+7)%len(seeds)]
			for _, f := range malformed(s, other) {
				if !yield(f) {
					return
				}
			}
		}
		for _, f := range Bombs() {
			if !yield(f) {
				return
			}
		}
	}
}

// malformed makes the variants of one seed.
func malformed(s, other File) []File {
	var out []File
	name := func(what string, n int) string { return fmt.Sprintf("%s: %s %d", s.Name, what, n) }
	for n := range 16 {
		out = append(out, File{name("cut to sixteenth", n), s.Data[:len(s.Data)*n/16]})
	}
	for _, n := range []int{1, 2, 7} {
		out = append(out, File{name("short by", n), s.Data[:len(s.Data)-n]})
	}
	r := random(s.Name)
	for n := range 24 {
		out = append(out, File{name("bits flipped", n), flipped(r, s.Data, 1+n/4, len(s.Data))})
	}
	for n := range 24 { // headers are where the lengths are
		out = append(out, File{name("header bytes changed", n), flipped(r, s.Data, 1+n/8, 64)})
	}
	for n := range 8 {
		out = append(out, File{name("bytes filled", n), filled(r, s.Data, byte(n%2)*0xff)})
		out = append(out, File{name("part repeated", n), repeated(r, s.Data)})
		out = append(out, File{name("part dropped", n), dropped(r, s.Data)})
	}
	return append(out, polyglots(s, other)...)
}

func random(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(h.Sum64(), 1))
}

// flipped changes n bits within the first limit bytes.
func flipped(r *rand.Rand, data []byte, n, limit int) []byte {
	out := bytes.Clone(data)
	for range n {
		out[r.IntN(min(limit, len(out)))] ^= 1 << r.IntN(8)
	}
	return out
}

// span picks a part of at least one byte.
func span(r *rand.Rand, n int) (from, to int) {
	from = r.IntN(n)
	return from, from + 1 + r.IntN(n-from)
}

func filled(r *rand.Rand, data []byte, with byte) []byte {
	out := bytes.Clone(data)
	from, to := span(r, len(out))
	copy(out[from:to], bytes.Repeat([]byte{with}, to-from))
	return out
}

func repeated(r *rand.Rand, data []byte) []byte {
	from, to := span(r, len(data))
	return bytes.Join([][]byte{data[:to], data[from:]}, nil)
}

func dropped(r *rand.Rand, data []byte) []byte {
	from, to := span(r, len(data))
	return bytes.Join([][]byte{data[:from], data[to:]}, nil)
}

// polyglots are two files in one, or one under the magic of another.
func polyglots(s, other File) []File {
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	half := len(s.Data) / 2
	head := min(16, len(other.Data))
	return []File{
		{s.Name + ": then " + other.Name, join(s.Data, other.Data)},
		{s.Name + ": half, then " + other.Name, join(s.Data[:half], other.Data)},
		{s.Name + ": around " + other.Name, join(s.Data[:half], other.Data, s.Data[half:])},
		{s.Name + ": under the magic of " + other.Name, join(other.Data[:head], s.Data[min(head, len(s.Data)):])},
		{s.Name + ": then an archive", join(s.Data, []byte("PK\x03\x04\x14\x00\x00\x00\x08\x00"))},
		{s.Name + ": behind a document", join([]byte("%PDF-1.4\n"), s.Data)},
		{s.Name + ": behind a script", join([]byte("#!/bin/sh\nexit 0\n"), s.Data)},
	}
}
