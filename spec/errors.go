// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
)

// A Code names one kind of failure for ever: scripts, peers and other
// implementations decide on it. The table in errors.md lists them all.
type Code string

// Error is a failure with a code that a caller can decide on. Message is one
// clear sentence without secrets: no hash value, key or token stands in it.
type Error struct {
	Code    Code
	Message string
	Err     error // the cause, or nil
}

func (e *Error) Error() string {
	if _, shown := e.Err.(hidden); e.Err != nil && !shown {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an Error with the same code, so that
// errors.Is(err, spec.Errorf(code, "")) and CodeOf agree.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Errorf makes an Error. A %w verb in format keeps its operand as the cause
// without printing it twice.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: quiet(errors.Unwrap(err))}
}

// quiet hides the text of a cause that the message already holds.
func quiet(err error) error {
	if err == nil {
		return nil
	}
	return hidden{err}
}

type hidden struct{ error }

func (hidden) Error() string   { return "" }
func (h hidden) Unwrap() error { return h.error }

// CodeOf returns the code of the first Error in err's chain, or "" when there
// is none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
