// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"testing"
)

func TestAPeerIsAskedOneThingAtATime(t *testing.T) {
	a := newAsker()
	running := make(chan string, 3)
	until := func(who string) func(context.Context) {
		return func(ctx context.Context) {
			running <- who
			<-ctx.Done()
		}
	}
	a.ask("liar", until("liar"))
	a.ask("liar", until("liar again"))
	a.ask("honest", until("honest"))
	if err := a.stop(t.Context()); err != nil { // and waits for both
		t.Fatal(err)
	}
	a.ask("late", until("late"))
	close(running)
	seen := map[string]bool{}
	for who := range running {
		seen[who] = true
	}
	if len(seen) != 2 || !seen["liar"] || !seen["honest"] {
		t.Errorf("asked: %v", seen)
	}
}
