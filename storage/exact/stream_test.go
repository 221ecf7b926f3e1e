// SPDX-License-Identifier: Apache-2.0

package exact

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestStreamAnswersRowByRow(t *testing.T) {
	table := New(0)
	for i := range 3000 {
		k := key(3 * i)
		table.Add(&k)
	}
	for _, n := range []int{0, 1, streamRows - 1, streamRows, streamRows + 1, 3 * streamRows} {
		var rows, want []byte
		for i := range n {
			k := key(i)
			rows = append(rows, k[:]...)
			b := byte(0)
			if i%3 == 0 {
				b = 1
			}
			want = append(want, b)
		}
		for name, src := range map[string]io.Reader{"whole": bytes.NewReader(rows), "in halves": iotest.HalfReader(bytes.NewReader(rows))} {
			var out bytes.Buffer
			answered, err := Stream(&out, src, has(table))
			if err != nil || answered != int64(n) || !bytes.Equal(out.Bytes(), want) {
				t.Fatalf("%d rows %s: %d answered, %v", n, name, answered, err)
			}
		}
		var out bytes.Buffer
		if _, err := Stream(&out, bytes.NewReader(append(rows, 1, 2, 3)), has(table)); !errors.Is(err, ErrTornRow) || !bytes.Equal(out.Bytes(), want) {
			t.Fatalf("%d rows and a torn one: %v after %d answers", n, err, out.Len())
		}
	}
	broken := errors.New("broken")
	if _, err := Stream(io.Discard, iotest.ErrReader(broken), has(table)); !errors.Is(err, broken) {
		t.Fatalf("a broken stream gives %v", err)
	}
	refuse := func(_, _ []byte) error { return broken }
	if n, err := Stream(io.Discard, bytes.NewReader(make([]byte, 64)), refuse); !errors.Is(err, broken) || n != 0 {
		t.Fatalf("a refusal to answer gives %v", err)
	}
}

func has(table *Table) func(rows, out []byte) error {
	return func(rows, out []byte) error {
		table.HasRows(rows, out)
		return nil
	}
}

func FuzzStream(f *testing.F) {
	table := New(0)
	listed := key(1)
	table.Add(&listed)
	f.Add([]byte{})
	f.Add(listed[:])
	f.Add(append(make([]byte, 32), listed[:7]...))
	f.Fuzz(func(t *testing.T, rows []byte) {
		var out bytes.Buffer
		answered, err := Stream(&out, bytes.NewReader(rows), has(table))
		want := len(rows) / 32
		if answered != int64(want) || out.Len() != want || (err != nil) != (len(rows)%32 != 0) {
			t.Fatalf("%d bytes: %d answered, %d written, %v", len(rows), answered, out.Len(), err)
		}
		for i, has := range out.Bytes() {
			if (has == 1) != bytes.Equal(rows[32*i:32*i+32], listed[:]) {
				t.Fatal("a wrong answer")
			}
		}
	})
}
