// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-db/tocsin/spec"
)

// ErrNotSent is in the chain of an error of a Call whose request cannot have
// reached the handler: it may be repeated, there or elsewhere.
var ErrNotSent = errors.New("request not sent")

// ErrUnknownOutcome is in the chain of an error of a Call whose request may
// have been carried out: repeat it only if it is idempotent.
var ErrUnknownOutcome = errors.New("outcome unknown")

// A Fault is a coded error with the hints that travel beside it. Over the wire
// a handler's error becomes its code, message and hints, and nothing else.
type Fault struct {
	Err     *spec.Error
	Retry   time.Duration // with BUSY: ask again after this; whole milliseconds
	MinSize uint64        // with GONE: the smallest log size that can be served
}

func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns the coded error.
func (f *Fault) Unwrap() error { return f.Err }

// Busy is the fault of a peer that asks too much at once.
func Busy(retry time.Duration) *Fault {
	return &Fault{Err: spec.Errorf(spec.CodeBusy, "too much at once, ask again in %v", retry), Retry: retry}
}

// Gone is the fault of asking for what is no longer kept.
func Gone(minSize uint64) *Fault {
	return &Fault{Err: spec.Errorf(spec.CodeGone, "kept from size %d on only", minSize), MinSize: minSize}
}

func denied() *Fault {
	return &Fault{Err: spec.Errorf(spec.CodeDenied, "not allowed")}
}

// departed refuses a peer that was enrolled once.
func departed() *Fault {
	return &Fault{Err: spec.Errorf(spec.CodeDenied, "this key is not enrolled any more")}
}

// maxStatus bounds the status frame; maxMessage the message in it.
const (
	maxStatus  = 2 << 10
	maxMessage = 1 << 10
)

// status is the first frame that a called peer sends: [code, message, retry_ms,
// min_size]. An empty code means that the call was accepted or carried out.
type status struct {
	_       struct{} `cbor:",toarray"`
	Code    spec.Code
	Message string
	RetryMS uint32
	MinSize uint64
}

// statusOf tells the wire what err is. An error without a code is ours alone to
// know: the peer learns INTERNAL.
func statusOf(err error) status {
	if err == nil {
		return status{}
	}
	var coded *spec.Error
	if !errors.As(err, &coded) {
		return status{Code: spec.CodeInternal, Message: "internal error"}
	}
	st := status{Code: coded.Code, Message: clip(coded.Message)}
	var f *Fault
	if errors.As(err, &f) {
		st.RetryMS = uint32(min(f.Retry.Milliseconds(), time.Hour.Milliseconds()))
		st.MinSize = f.MinSize
	}
	return st
}

func (st status) err() error {
	if st.Code == "" {
		return nil
	}
	return &Fault{
		Err:     &spec.Error{Code: st.Code, Message: clip(st.Message)},
		Retry:   time.Duration(st.RetryMS) * time.Millisecond,
		MinSize: st.MinSize,
	}
}

// EncodeFault is the status frame for err, for protocols that report a failure
// in the middle of a long stream.
func EncodeFault(err error) ([]byte, error) { return spec.Encode(statusOf(err)) }

// DecodeFault is the reverse of EncodeFault: a *Fault, nil when the status is
// good, or MALFORMED.
func DecodeFault(b []byte) error {
	if len(b) > maxStatus {
		return spec.Errorf(spec.CodeTooLarge, "a status is at most %d bytes", maxStatus)
	}
	var st status
	if err := spec.Decode(b, &st); err != nil {
		return err
	}
	return st.err()
}

// clip keeps messages short and printable, whoever wrote them.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
	for len(s) > maxMessage {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// notSent and unknown carry a code for people beside the sentinel for programs.
func notSent(to PeerID, cause error) error {
	return &callError{ErrNotSent, spec.Errorf(spec.CodeUnavailable, "cannot reach peer %s: %w", to, cause)}
}

func unknown(to PeerID, cause error) error {
	return &callError{ErrUnknownOutcome, spec.Errorf(spec.CodeUnknown, "no answer from peer %s: %w", to, cause)}
}

type callError struct {
	sentinel error
	coded    *spec.Error
}

func (e *callError) Error() string   { return fmt.Sprintf("%v: %v", e.sentinel, e.coded) }
func (e *callError) Unwrap() []error { return []error{e.sentinel, e.coded} }
