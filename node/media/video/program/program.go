// SPDX-License-Identifier: Apache-2.0

// Package program runs an installed program (ffmpeg, fpcalc) on one hostile
// file. The program gets the file as its standard input, a clean environment
// and nothing else: no network, no file to write, no other program or process,
// little memory and time. It is killed when the caller's context ends.
//
// The limits are set between fork and exec by this program itself, which is
// re-executed for that with a hidden argument; importing the package is enough.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
)

// Input is the name under which the program finds its file. It opens it anew,
// from the start, and may seek in it.
const Input = "/dev/stdin"

// Limits of one run. Zero fields take the defaults.
type Limits struct {
	Memory int64         // bytes of data; 1 GiB
	CPU    time.Duration // of all threads; 2 minutes
	Output int64         // bytes read from a run by Output; 1 MiB
}

func (l Limits) withDefaults() Limits {
	if l.Memory <= 0 {
		l.Memory = 1 << 30
	}
	if l.CPU <= 0 {
		l.CPU = 2 * time.Minute
	}
	if l.Output <= 0 {
		l.Output = 1 << 20
	}
	return l
}

// Find returns the path of an installed program, or spec.CodeUnsupported.
func Find(name string) (string, error) {
	if !available {
		return "", spec.Errorf(spec.CodeUnsupported, "%s cannot be confined on this platform", name)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", spec.Errorf(spec.CodeUnsupported, "%s is not installed", name)
	}
	return path, nil
}

// A Process is a running program.
type Process struct {
	Stdout io.Reader // ends when the program does
	ctx    context.Context
	cmd    *exec.Cmd
	stderr tail
}

// Start runs the program at path on a file. The caller reads Stdout to its end
// or ends ctx, then calls Wait.
func Start(ctx context.Context, path string, args []string, file *os.File, lim Limits) (*Process, error) {
	lim = lim.withDefaults()
	p := &Process{ctx: ctx}
	err := p.start(path, args, file, lim)
	if ctx.Err() != nil {
		return nil, spec.Errorf(extract.CodeTimeout, "there was no time left for a decoder")
	}
	if err != nil {
		return nil, spec.Errorf(spec.CodeInternal, "starting a decoder: %w", err)
	}
	return p, nil
}

// Wait waits for the end of the program. It fails with extract.CodeTimeout when ctx or
// the time on the processors ended it, spec.CodeTooLarge when it ran out of memory,
// extract.CodeDecoder when it crashed, spec.CodeUnsupported when it does not know an
// option, and spec.CodeMalformed when it gave up.
func (p *Process) Wait() error {
	err := p.cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case p.ctx.Err() != nil, errors.As(err, &exit) && outOfTime(exit.ProcessState):
		return spec.Errorf(extract.CodeTimeout, "decoding took too long")
	case p.stderr.has("annot allocate"), p.stderr.has("std::bad_alloc"):
		return spec.Errorf(spec.CodeTooLarge, "decoding takes more memory than one file may")
	case p.stderr.has("Unrecognized option"), p.stderr.has("Option not found"):
		return spec.Errorf(spec.CodeUnsupported, "the installed decoder is too old: it lacks an option")
	case exit == nil:
		return spec.Errorf(spec.CodeInternal, "waiting for a decoder: %w", err)
	case exit.ExitCode() == shimFailed:
		return spec.Errorf(spec.CodeInternal, "a decoder could not be confined: %s", p.stderr.line())
	case exit.ExitCode() < 0:
		return spec.Errorf(extract.CodeDecoder, "the decoder crashed (%v)", exit.ProcessState)
	}
	return spec.Errorf(spec.CodeMalformed, "the decoder cannot read this file")
}

// Output runs a program to its end and returns what it printed. Its errors are
// those of Start and Wait, and spec.CodeTooLarge when it prints too much. What
// it printed before it failed is returned with the error.
func Output(ctx context.Context, path string, args []string, file *os.File, lim Limits) ([]byte, error) {
	lim = lim.withDefaults()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p, err := Start(ctx, path, args, file, lim)
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(p.Stdout, lim.Output+1))
	if int64(len(out)) > lim.Output {
		cancel()
		p.Wait()
		return nil, spec.Errorf(spec.CodeTooLarge, "the decoder says more than it may")
	}
	if werr := p.Wait(); werr != nil {
		return out, werr
	}
	if err != nil {
		return out, fmt.Errorf("reading from a decoder: %w", err)
	}
	return out, nil
}
