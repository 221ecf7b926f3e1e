// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// MaxValue is the largest signal value in bytes.
const MaxValue = 16 << 10

// A SignalType says how one kind of hash is written, checked and compared.
type SignalType struct {
	Name       string
	Size       int    // bytes of a value; 0: variable, at most MaxValue
	Quality    bool   // its values carry a quality from 0 to 100
	MinQuality int    // below it a value is not proposed
	Threshold  int    // the default distance at which two values match; 0: equality
	Distance   string // how the distance is counted, "" for equality
	Text       string // form of the canonical string, "" for lower-case hex
	Source     string // where the algorithm is specified
}

// SignalTypes lists every type that may be proposed, in the order of the
// specification.
func SignalTypes() []SignalType { return append([]SignalType(nil), signalTypes...) }

var signalTypes = []SignalType{
	{Name: "sha256", Size: 32, Source: "FIPS 180-4"},
	{Name: "sha1", Size: 20, Source: "FIPS 180-4"},
	{Name: "md5", Size: 16, Source: "RFC 1321"},
	{Name: "video_md5", Size: 16, Source: "RFC 1321"},
	{Name: "pdq", Size: 32, Quality: true, MinQuality: 50, Threshold: 31, Distance: "bits that differ", Source: "pdq.md"},
	{Name: "vpdq", Size: 32, Quality: true, MinQuality: 50, Threshold: 20, Distance: "per cent of the query's frames without a listed one within 31 bits", Source: "vpdq.md"},
	{Name: "text_tlsh", Size: 35, Threshold: 30, Distance: "TLSH diff without length", Text: textTLSH, Source: "tlsh.md"},
	{Name: "text_tlsh_norm", Size: 35, Threshold: 30, Distance: "TLSH diff without length", Text: textTLSH, Source: "tlsh.md"},
	{Name: "chromaprint", Threshold: 250, Distance: "bits in a thousand that differ at the best offset", Text: textBase64, Source: "chromaprint.md"},
	{Name: "url", Size: 32, Source: "weburl.md"},
	{Name: "url_md5", Size: 16, Source: "weburl.md"},
	{Name: "photodna", Source: "opaque: of a third party, compared for equality"},
	{Name: "tmk_pdqf", Source: "opaque: of a third party, compared for equality"},
}

// Forms of canonical strings other than lower-case hex.
const (
	textTLSH   = "T1 and upper-case hex"
	textBase64 = "base64url without padding"
)

// SignalTypeOf finds a type by name.
func SignalTypeOf(name string) (SignalType, bool) {
	if t := typeOf(name); t != nil {
		return *t, true
	}
	return SignalType{}, false
}

func typeOf(name string) *SignalType {
	for i := range signalTypes {
		if signalTypes[i].Name == name {
			return &signalTypes[i]
		}
	}
	return nil
}

// A Signal is one hash of one kind. Value is in binary; String and ParseSignal
// convert from and to the canonical text.
type Signal struct {
	Type    string
	Value   []byte
	Quality int // 0 for types without a quality
}

// Text returns the canonical string of the value, in the form of its type.
func (s Signal) Text() string {
	t, _ := SignalTypeOf(s.Type)
	switch t.Text {
	case textTLSH:
		return "T1" + strings.ToUpper(hex.EncodeToString(s.Value))
	case textBase64:
		return base64.RawURLEncoding.EncodeToString(s.Value)
	}
	return hex.EncodeToString(s.Value)
}

// parseText is the reverse of Signal.Text.
func (t SignalType) parseText(text string) ([]byte, error) {
	switch t.Text {
	case textTLSH:
		body, ok := strings.CutPrefix(text, "T1")
		if v, err := hex.DecodeString(body); ok && err == nil && body == strings.ToUpper(body) {
			return v, nil
		}
		return nil, Errorf(CodeSignal, "a value of type %s is T1 and upper-case hex digits", t.Name)
	case textBase64:
		if v, err := base64.RawURLEncoding.Strict().DecodeString(text); err == nil && !strings.ContainsAny(text, "\r\n") {
			return v, nil
		}
		return nil, Errorf(CodeSignal, "a value of type %s is base64url without padding", t.Name)
	}
	if v, ok := lowerHex(text); ok {
		return v, nil
	}
	return nil, Errorf(CodeSignal, "a value of type %s is written in lower-case hex digits", t.Name)
}

// lowerHex reads pairs of lower-case hex digits, in one pass: lists have many.
func lowerHex(text string) ([]byte, bool) {
	if len(text)%2 != 0 {
		return nil, false
	}
	out, bad := make([]byte, len(text)/2), byte(0)
	for i := range out {
		high, low := hexDigits[text[2*i]], hexDigits[text[2*i+1]]
		bad |= high | low
		out[i] = high<<4 | low&15
	}
	return out, bad < 16
}

// hexDigits are the values of lower-case hex digits; of all else 16.
var hexDigits = func() (of [256]byte) {
	for i := range of {
		of[i] = 16
	}
	for i, c := range "0123456789abcdef" {
		of[c] = byte(i)
	}
	return of
}()

// Check refuses a signal that no node may list: an unknown type, a value of the
// wrong size, a quality where there is none or outside 0 to 100.
func (s Signal) Check() error {
	t := typeOf(s.Type)
	if t == nil {
		return Errorf(CodeSignalType, "no signal type of this name is known")
	}
	return t.check(&s)
}

// check is Check for a signal of the type.
func (t *SignalType) check(s *Signal) error {
	if t.Size != 0 && len(s.Value) != t.Size || len(s.Value) == 0 || len(s.Value) > MaxValue {
		return Errorf(CodeSignal, "a value of type %s has %d bytes, not %d", t.Name, t.Size, len(s.Value))
	}
	if s.Quality < 0 || s.Quality > 100 || !t.Quality && s.Quality != 0 {
		return Errorf(CodeSignal, "this quality is not one of type %s", t.Name)
	}
	return nil
}

// listable is check for a signal that is to be listed: its quality must reach the
// type's least.
func (t *SignalType) listable(s *Signal) error {
	if err := t.check(s); err != nil {
		return err
	}
	if s.Quality < t.MinQuality {
		return Errorf(CodeSignal, "a %s of quality %d is below the %d that a listing needs", t.Name, s.Quality, t.MinQuality)
	}
	return nil
}

// ParseSignal reads the canonical text of a value. The error never repeats it.
func ParseSignal(typ, text string) (Signal, error) {
	t := typeOf(typ)
	if t == nil {
		return Signal{}, Errorf(CodeSignalType, "no signal type of this name is known")
	}
	if len(text) > 2*MaxValue {
		return Signal{}, Errorf(CodeTooLarge, "a value has at most %d bytes", MaxValue)
	}
	v, err := t.parseText(text)
	if err != nil {
		return Signal{}, err
	}
	s := Signal{Type: typ, Value: v}
	return s, t.check(&s)
}

// Key is the name under which a signal is stored and proved: unsalted, so it
// stays inside the enrolled parties.
func (s Signal) Key() Hash {
	return sha256.Sum256(s.appendKey(make([]byte, 0, 96)))
}

// appendKey appends what Key hashes.
func (s *Signal) appendKey(b []byte) []byte {
	b = appendText(appendHead(b, majorArray, 3), "tocsin.k.v1")
	return appendBytes(appendText(b, s.Type), s.Value)
}
