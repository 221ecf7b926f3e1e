// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-db/tocsin/spec"
)

// A FieldError says which field of a request is at fault.
type FieldError struct {
	Pointer string // RFC 6901
	Err     error
}

func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with the field.
func (e *FieldError) Unwrap() error { return e.Err }

// At marks err as one of the field at pointer.
func At(pointer string, err error) error {
	if err == nil {
		return nil
	}
	return &FieldError{pointer, err}
}

// What is sent to a node is read strictly: a field that does not exist is a
// mistake of the caller, and silently leaving it out could change a vote.

// UnmarshalJSON implements json.Unmarshaler.
func (v *MatchRequest) UnmarshalJSON(b []byte) error {
	if v.Quick(b) {
		return nil
	}
	type plain MatchRequest
	return strict(b, (*plain)(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *BatchQuery) UnmarshalJSON(b []byte) error {
	if v.Quick(b) {
		return nil
	}
	type plain BatchQuery
	return strict(b, (*plain)(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *ProposalRequest) UnmarshalJSON(b []byte) error {
	type plain ProposalRequest
	return strict(b, (*plain)(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *VoteRequest) UnmarshalJSON(b []byte) error {
	type plain VoteRequest
	return strict(b, (*plain)(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *DisputeRequest) UnmarshalJSON(b []byte) error {
	type plain DisputeRequest
	return strict(b, (*plain)(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *InvitationRequest) UnmarshalJSON(b []byte) error {
	type plain InvitationRequest
	return strict(b, (*plain)(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *WithdrawalRequest) UnmarshalJSON(b []byte) error {
	type plain WithdrawalRequest
	return strict(b, (*plain)(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *MembershipRequest) UnmarshalJSON(b []byte) error {
	type plain MembershipRequest
	return strict(b, (*plain)(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *KeyRequest) UnmarshalJSON(b []byte) error {
	type plain KeyRequest
	return strict(b, (*plain)(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *TaxonomyRequest) UnmarshalJSON(b []byte) error {
	type plain TaxonomyRequest
	return strict(b, (*plain)(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *AllowRequest) UnmarshalJSON(b []byte) error {
	type plain AllowRequest
	return strict(b, (*plain)(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *ActionsRequest) UnmarshalJSON(b []byte) error {
	type plain ActionsRequest
	return strict(b, (*plain)(v))
}

// UnmarshalJSON implements json.Unmarshaler. A policy is sent whole: a field that
// was left out would be a rule that nobody asked for.
func (v *PolicyRequest) UnmarshalJSON(b []byte) error {
	type plain PolicyRequest
	if err := strict(b, (*plain)(v)); err != nil {
		return err
	}
	return complete(b, v)
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *ConsortiumRequest) UnmarshalJSON(b []byte) error {
	type plain ConsortiumRequest
	return strict(b, (*plain)(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *ImportPolicy) UnmarshalJSON(b []byte) error {
	type plain ImportPolicy
	return strict(b, (*plain)(v))
}

// complete refuses an object in which a field of v is missing.
func complete(b []byte, v any) error {
	again, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var given, want any
	if err := errors.Join(json.Unmarshal(b, &given), json.Unmarshal(again, &want)); err != nil {
		return err
	}
	return missing("", given, want)
}

func missing(pointer string, given, want any) error {
	fields, ok := want.(map[string]any)
	if !ok {
		return nil
	}
	have, _ := given.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		at := pointer + "/" + name
		if _, ok := have[name]; !ok {
			return At(at, spec.Errorf(spec.CodeMalformed, "the field %q is missing", name))
		}
		if err := missing(at, have[name], fields[name]); err != nil {
			return err
		}
	}
	return nil
}

// strict decodes an object without unknown fields. Its errors are MALFORMED,
// name the field, and repeat no value.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		return nil
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		what := strings.TrimPrefix(kind.Type.String(), "wire.")
		return At(pointerAt(b, kind.Offset), spec.Errorf(spec.CodeMalformed, "a %s stands where %s is expected", noun(kind.Value), what))
	}
	if _, rest, ok := strings.Cut(err.Error(), "unknown field "); ok {
		if name, err := strconv.Unquote(rest); err == nil {
			return At(pointerTo(b, name), spec.Errorf(spec.CodeMalformed, "there is no field of this name"))
		}
	}
	return spec.Errorf(spec.CodeMalformed, "the body is not the JSON object that is expected")
}

// noun drops what follows the kind of a value in the decoder's words.
func noun(value string) string {
	kind, _, _ := strings.Cut(value, " ")
	return kind
}

// pointerAt returns the pointer of the value that ends at or after an offset.
func pointerAt(b []byte, offset int64) string {
	found := ""
	walk(b, func(pointer string, end int64) bool {
		found = pointer
		return end < offset
	})
	return found
}

// pointerTo returns the pointer of the first field of a name.
func pointerTo(b []byte, name string) string {
	found := ""
	walk(b, func(pointer string, _ int64) bool {
		if strings.HasSuffix(pointer, "/"+escape(name)) {
			found = pointer
		}
		return found == ""
	})
	return found
}

// walk calls fn with the pointer of every value in order, and the offset behind
// its first token, until fn returns false.
func walk(b []byte, fn func(pointer string, end int64) bool) {
	d := json.NewDecoder(bytes.NewReader(b))
	w := walker{d: d, fn: fn}
	w.value("")
}

type walker struct {
	d    *json.Decoder
	fn   func(string, int64) bool
	done bool
}

func (w *walker) value(pointer string) {
	token, err := w.d.Token()
	if err != nil || !w.fn(pointer, w.d.InputOffset()) {
		w.done = true
		return
	}
	open, ok := token.(json.Delim)
	if !ok {
		return
	}
	for i := 0; !w.done && w.d.More(); i++ {
		name := strconv.Itoa(i)
		if open == '{' {
			key, err := w.d.Token()
			if err != nil {
				w.done = true
				return
			}
			name = escape(fmt.Sprint(key))
		}
		w.value(pointer + "/" + name)
	}
	if _, err := w.d.Token(); err != nil { // the closing delimiter
		w.done = true
	}
}

func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
