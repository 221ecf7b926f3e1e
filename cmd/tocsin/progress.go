// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// A progress tells how far a long command is: as a bar on a terminal, elsewhere as
// a line every ten seconds.
type progress interface {
	at(done int64)
	clear() // before something else is written
	end()
}

func (p *program) progress(total int64) progress {
	if f, ok := p.talk.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &bar{progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(f), progressbar.OptionShowBytes(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))}
	}
	return &ticker{to: p.talk, total: max(1, total), now: time.Now, last: time.Now()}
}

type bar struct{ *progressbar.ProgressBar }

// A terminal that cannot be written to stops nothing.
func (b *bar) at(done int64) { _ = b.Set64(done) }
func (b *bar) clear()        { _ = b.Clear() }
func (b *bar) end()          { _ = b.Finish() }

type ticker struct {
	to    io.Writer
	total int64
	now   func() time.Time
	last  time.Time
}

func (t *ticker) at(done int64) {
	if now := t.now(); now.Sub(t.last) >= 10*time.Second {
		t.last = now
		fmt.Fprintf(t.to, "tocsin: %d%%\n", 100*done/t.total)
	}
}
func (*ticker) clear() {}
func (*ticker) end()   {}
