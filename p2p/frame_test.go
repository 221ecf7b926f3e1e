// SPDX-License-Identifier: Apache-2.0

package p2p_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

func frame(payload []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(payload))), payload...)
}

func TestReadFrame(t *testing.T) {
	long := bytes.Repeat([]byte("ab"), p2p.MaxFrame/2)
	cases := map[string]struct {
		in   []byte
		max  int
		want []byte
		code spec.Code
		err  error
	}{
		"empty payload":      {in: []byte{0}, max: 1, want: []byte{}},
		"short":              {in: frame([]byte("hello")), max: 5, want: []byte("hello")},
		"largest":            {in: frame(long), max: p2p.MaxFrame, want: long},
		"above max":          {in: frame([]byte("hello")), max: 4, code: spec.CodeTooLarge},
		"above MaxFrame":     {in: frame(append(long, 'x')), max: 2 * p2p.MaxFrame, code: spec.CodeTooLarge},
		"length of 2^63":     {in: binary.AppendUvarint(nil, 1<<63), max: 9, code: spec.CodeTooLarge},
		"length never ends":  {in: bytes.Repeat([]byte{0x80}, 20), max: 9, code: spec.CodeTooLarge},
		"length with a zero": {in: []byte{0x85, 0x00, 1, 2, 3, 4, 5}, max: 9, code: spec.CodeMalformed},
		"nothing":            {in: nil, max: 9, err: io.EOF},
		"cut in the length":  {in: []byte{0x85}, max: 999, err: io.ErrUnexpectedEOF},
		"cut before payload": {in: []byte{5}, max: 9, err: io.ErrUnexpectedEOF},
		"cut in the payload": {in: frame([]byte("hello"))[:4], max: 9, err: io.ErrUnexpectedEOF},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{bytes.NewReader(c.in), iotest.OneByteReader(bytes.NewReader(c.in))} {
				got, err := p2p.ReadFrame(bufio.NewReader(r), c.max)
				if spec.CodeOf(err) != c.code || c.err != nil && !errors.Is(err, c.err) || (c.code == "" && c.err == nil) != (err == nil) {
					t.Fatalf("error %v", err)
				}
				if err == nil && !bytes.Equal(got, c.want) {
					t.Fatalf("got %d bytes, want %d", len(got), len(c.want))
				}
			}
		})
	}
}

// A claimed length must not cost memory before the bytes are there.
func TestReadFrameAllocatesWhatArrived(t *testing.T) {
	claim := append(binary.AppendUvarint(nil, p2p.MaxFrame), bytes.Repeat([]byte("x"), 100)...)
	const rounds = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := bufio.NewReader(nil)
	for range rounds {
		r.Reset(bytes.NewReader(claim))
		if _, err := p2p.ReadFrame(r, p2p.MaxFrame); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if per := (after.TotalAlloc - before.TotalAlloc) / rounds; per > 16<<10 {
		t.Fatalf("%d bytes allocated for 100 received", per)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(frame([]byte("hello")), 100)
	f.Add([]byte{0x85, 0x00}, 5)
	f.Add([]byte{0xff, 0xff, 0xff, 0x7f}, 1<<20)
	f.Fuzz(func(t *testing.T, in []byte, limit int) {
		r := bufio.NewReader(bytes.NewReader(in))
		consumed := 0
		for {
			got, err := p2p.ReadFrame(r, limit)
			if err != nil {
				return
			}
			if len(got) > max(0, min(limit, p2p.MaxFrame)) || cap(got) > 4<<10+2*len(in) {
				t.Fatalf("%d bytes (capacity %d) with limit %d of input %d", len(got), cap(got), limit, len(in))
			}
			again := frame(got)
			if !bytes.Equal(again, in[consumed:consumed+len(again)]) {
				t.Fatal("another encoding of the same frame was accepted")
			}
			consumed += len(again)
		}
	})
}

func FuzzDecodeFault(f *testing.F) {
	good, _ := p2p.EncodeFault(p2p.Gone(7))
	f.Add(good)
	f.Add([]byte{0x84, 0x60, 0x60, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, in []byte) {
		err := p2p.DecodeFault(in)
		var fault *p2p.Fault
		if errors.As(err, &fault) && (fault.Err.Code == "" || fault.Retry < 0 || len(fault.Err.Message) > 1024) {
			t.Fatalf("accepted %+v", fault)
		}
		if err != nil && spec.CodeOf(err) == "" {
			t.Fatalf("uncoded error %v", err)
		}
	})
}
