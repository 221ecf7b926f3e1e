// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestErrorKeepsCodeAndCauseAndPrintsOnce(t *testing.T) {
	err := fmt.Errorf("reading card: %w", Errorf("BAD_CARD", "the card ends early: %w", io.ErrUnexpectedEOF))
	if got := CodeOf(err); got != "BAD_CARD" {
		t.Fatalf("CodeOf = %q", got)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal("the cause is lost")
	}
	if want := "reading card: the card ends early: unexpected EOF"; err.Error() != want {
		t.Fatalf("text = %q, want %q", err, want)
	}
	if !errors.Is(err, &Error{Code: "BAD_CARD"}) || errors.Is(err, &Error{Code: "OTHER"}) {
		t.Fatal("errors.Is must compare codes")
	}
}
