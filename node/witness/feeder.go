// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/spec/tlog"
)

// A Feeder asks outside witnesses to cosign the final checkpoints of a log.
type Feeder struct {
	Witnesses []Address
	Log       tlog.Hashes
	Book      *Book
	// Newest returns the newest final checkpoint and its signed note, nil while
	// there is none; Changed is closed when another takes its place.
	Newest  func() (tlog.Checkpoint, []byte)
	Changed func() <-chan struct{}
	Client  *http.Client
	Every   time.Duration // at least, between two requests to one witness
	Logger  *slog.Logger
}

// maxAnswer bounds a witness's answer in bytes, and answerTime how long it may take.
const (
	maxAnswer  = 16 << 10
	answerTime = 10 * time.Second
	// renewAfter is the age from which a checkpoint that stays the same is cosigned
	// again.
	renewAfter = 5 * time.Minute
)

// Run feeds until ctx ends.
func (f *Feeder) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, a := range f.Witnesses {
		all.Go(func() { (&asking{Feeder: f, Address: a}).run(ctx) })
	}
	all.Wait()
}

// An asking is what a Feeder knows of one witness.
type asking struct {
	*Feeder
	Address
	size   uint64 // that the witness cosigned last, as far as is known
	done   string // text of the checkpoint that it cosigned last
	failed bool
}

func (a *asking) run(ctx context.Context) {
	for ctx.Err() == nil {
		changed := a.Changed()
		c, signed := a.Newest()
		renew := time.After(renewAfter)
		if signed != nil && string(c.Text()) != a.done {
			err := a.ask(ctx, c, signed)
			if err == nil {
				a.done = string(c.Text())
			}
			if a.tell(err); err != nil {
				changed = nil // try again after a while, not at once
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(a.Every):
			}
			if err != nil {
				continue
			}
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-renew:
			a.done = ""
		}
	}
}

// tell logs when a witness begins to fail, and when it is back.
func (a *asking) tell(err error) {
	if err != nil && !a.failed {
		a.Logger.Warn("a witness does not cosign", "witness", a.Verifier.Name(), "error", err)
	} else if err == nil && a.failed {
		a.Logger.Info("a witness cosigns again", "witness", a.Verifier.Name())
	}
	a.failed = err != nil
}

// ask has the witness cosign a checkpoint; where it knows another size than was
// thought, it says which, and is asked once more.
func (a *asking) ask(ctx context.Context, c tlog.Checkpoint, signed []byte) error {
	for range 2 {
		a.size = min(a.size, c.Size)
		status, kind, answer, err := a.post(ctx, c, signed)
		if err != nil {
			return err
		}
		switch {
		case status == http.StatusOK:
			if err := a.Book.Add(c, a.Verifier, answer); err != nil {
				return err
			}
			a.size = c.Size
			return nil
		case status == http.StatusConflict && kind == "text/x.tlog.size":
			size, err := strconv.ParseUint(strings.TrimSuffix(string(answer), "\n"), 10, 64)
			if err != nil || size > c.Size {
				return spec.Errorf(spec.CodeCheckpoint, "the witness cosigned a size that is not final here")
			}
			a.size = size
		default:
			return fmt.Errorf("the witness answers with status %d", status)
		}
	}
	return spec.Errorf(spec.CodeCheckpoint, "the witness says another size each time")
}

func (a *asking) post(ctx context.Context, c tlog.Checkpoint, signed []byte) (status int, kind string, answer []byte, err error) {
	proof, err := tlog.Consistency(a.Log, a.size, c.Size)
	if err != nil {
		return 0, "", nil, err
	}
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", a.size)
	for _, h := range proof {
		fmt.Fprintln(&body, base64.StdEncoding.EncodeToString(h[:]))
	}
	body.WriteByte('\n')
	body.Write(signed)
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL, &body)
	if err != nil {
		return 0, "", nil, err
	}
	resp, err := a.Client.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, resp.Header.Get("Content-Type"), answer, err
}
