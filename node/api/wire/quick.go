// SPDX-License-Identifier: Apache-2.0

package wire

// A lookup's few fields are read by hand where they are written as programs write
// them. Whatever is unusual in any way, wrong or only rare, is left to the decoder
// that is strict.

// Quick reads a query of the plain form {"id":"…","signals":[{"type":"…","value":"…"}]},
// with spaces and in any order. When it returns false, v is as it was.
func (v *BatchQuery) Quick(b []byte) bool {
	q, ok := quickQuery(b)
	if ok && q.hasID {
		v.ID, v.Signals = q.id, q.signals
	}
	return ok && q.hasID
}

// Quick does the same for a request without an id.
func (v *MatchRequest) Quick(b []byte) bool {
	q, ok := quickQuery(b)
	if ok && !q.hasID {
		v.Signals = q.signals
	}
	return ok && !q.hasID
}

type plainQuery struct {
	id      string
	hasID   bool
	signals []Signal
}

func quickQuery(b []byte) (q plainQuery, ok bool) {
	r := plainReader{rest: b}
	r.object(func(name string) {
		switch {
		case name == "id" && !q.hasID:
			q.id, q.hasID = r.text(), true
		case name == "signals" && q.signals == nil:
			q.signals = list(&r, r.signal)
		default:
			r.bad = true
		}
	})
	r.space()
	return q, !r.bad && len(r.rest) == 0 && q.signals != nil
}

// A plainReader takes JSON off the front of its bytes. The first thing that is not
// plain makes bad true, for good.
type plainReader struct {
	rest []byte
	bad  bool
}

func (r *plainReader) space() {
	for len(r.rest) > 0 && (r.rest[0] == ' ' || r.rest[0] == '\t' || r.rest[0] == '\r' || r.rest[0] == '\n') {
		r.rest = r.rest[1:]
	}
}

// take takes a delimiter if it comes next.
func (r *plainReader) take(c byte) bool {
	r.space()
	if r.bad || len(r.rest) == 0 || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

func (r *plainReader) must(c byte) { r.bad = !r.take(c) || r.bad }

// object calls field with each name, which reads the value. It takes no empty one.
func (r *plainReader) object(field func(name string)) {
	r.must('{')
	for !r.bad {
		name := r.bytes()
		r.must(':')
		if r.bad {
			return
		}
		field(string(name))
		if !r.take(',') {
			r.must('}')
			return
		}
	}
}

// list takes a list that is not empty.
func list[T any](r *plainReader, one func() T) (out []T) {
	r.must('[')
	for !r.bad {
		out = append(out, one())
		if !r.take(',') {
			r.must(']')
			return out
		}
	}
	return nil
}

func (r *plainReader) signal() (s Signal) {
	var typ, value bool
	r.object(func(name string) {
		switch {
		case name == "type" && !typ:
			s.Type, typ = r.kind(), true
		case name == "value" && !value:
			s.Value, value = r.text(), true
		case name == "quality" && s.Quality == nil:
			s.Quality = r.number()
		default:
			r.bad = true
		}
	})
	r.bad = r.bad || !typ || !value
	return s
}

// bytes takes a string without escapes, of printable ASCII.
func (r *plainReader) bytes() []byte {
	r.must('"')
	for i, c := range r.rest {
		switch {
		case r.bad || c < ' ' || c > '~' || c == '\\':
			r.bad = true
			return nil
		case c == '"':
			s := r.rest[:i]
			r.rest = r.rest[i+1:]
			return s
		}
	}
	r.bad = true
	return nil
}

func (r *plainReader) text() string { return string(r.bytes()) }

// kind is text that allocates nothing for the names that come most.
func (r *plainReader) kind() string {
	b := r.bytes()
	for _, name := range [...]string{"pdq", "sha256", "vpdq"} {
		if string(b) == name {
			return name
		}
	}
	return string(b)
}

// number takes a whole number of up to four digits.
func (r *plainReader) number() *int {
	r.space()
	n, digits := 0, 0
	for len(r.rest) > digits && r.rest[digits] >= '0' && r.rest[digits] <= '9' && digits < 5 {
		n = 10*n + int(r.rest[digits]-'0')
		digits++
	}
	if digits == 0 || digits == 5 || digits > 1 && r.rest[0] == '0' {
		r.bad = true
		return nil
	}
	r.rest = r.rest[digits:]
	return &n
}
