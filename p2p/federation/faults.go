// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"errors"
	"fmt"

	"github.com/tocsin-db/tocsin/spec"
)

// errOffence marks what a sender must not do.
var errOffence = errors.New("upstream at fault")

// localError is a fault of our own.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// blame sorts the error of what came from a sender: with a code it is the sender's
// fault, else ours.
func blame(err error) error {
	var local *localError
	if err == nil || errors.As(err, &local) || errors.Is(err, errOffence) {
		return err
	}
	if spec.CodeOf(err) != "" {
		return fmt.Errorf("%w: %w", errOffence, err)
	}
	return &localError{err}
}

func offence(format string, args ...any) error {
	return blame(spec.Errorf(spec.CodeMalformed, format, args...))
}
