// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/spec"
)

// While requests are under way the next submissions gather; each gets its own
// outcome, and all of a request that fails get its error.
func TestForwardedSubmissionsTravelTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var mu sync.Mutex
		var sizes []int
		lost := errors.New("lost")
		f := forwarder{call: func(_ context.Context, _ p2p.PeerID, req []byte) ([]byte, error) {
			subs, err := parseForwarded(req)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			sizes = append(sizes, len(subs))
			mu.Unlock()
			<-release
			answers := make([]verdict, len(subs))
			for i, s := range subs {
				switch string(s.Envelope) {
				case "lost":
					return nil, lost
				case "busy":
					answers[i] = verdictOf(spec.Outcome{}, spec.Errorf(spec.CodeBusy, "full"))
				default:
					answers[i] = verdictOf(spec.Outcome{Message: string(s.Envelope)}, nil)
				}
			}
			return spec.Encode(answers)
		}}
		var wg sync.WaitGroup
		submit := func(what string, check func(spec.Outcome, error) bool) {
			wg.Go(func() {
				if out, err := f.forward(t.Context(), "leader", spec.Submission{Envelope: []byte(what)}); !check(out, err) {
					t.Errorf("%s: %+v, %v", what, out, err)
				}
			})
			synctest.Wait()
		}
		is := func(want string) func(spec.Outcome, error) bool {
			return func(out spec.Outcome, err error) bool { return err == nil && out.Message == want }
		}
		submit("lost", func(_ spec.Outcome, err error) bool { return errors.Is(err, lost) })
		submit("busy", func(_ spec.Outcome, err error) bool { return spec.CodeOf(err) == spec.CodeBusy })
		for i := range 300 {
			submit(fmt.Sprint(i), is(fmt.Sprint(i)))
		}
		close(release)
		wg.Wait()
		if n := len(sizes); n != maxCalls+2 || slices.Max(sizes) != maxTogether {
			t.Errorf("requests of %v submissions", sizes)
		}
	})
}

func FuzzForwarded(f *testing.F) {
	one, err := spec.Encode([]spec.Submission{{Envelope: []byte("a"), Opening: []byte("b")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(one)
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, data []byte) {
		subs, err := parseForwarded(data)
		if err != nil {
			return
		}
		again, err := spec.Encode(subs)
		if err != nil || string(again) != string(data) || len(subs) == 0 || len(subs) > maxTogether {
			t.Fatalf("%d submissions re-encode to other bytes, %v", len(subs), err)
		}
	})
}
