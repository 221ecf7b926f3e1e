// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package program

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tocsin-db/tocsin/node/media/extract"
	"github.com/tocsin-db/tocsin/spec"
)

// spooled returns an unlinked file, as node/media keeps uploads.
func spooled(t *testing.T, content string) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	os.Remove(f.Name())
	return f
}

func inMemory(t *testing.T, content string) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "x")
	t.Cleanup(func() { f.Close() })
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	return f
}

func find(t *testing.T, name string) string {
	t.Helper()
	path, err := Find(name)
	if err != nil {
		t.Skip(err)
	}
	return path
}

func shell(t *testing.T, script string, lim Limits) (string, error) {
	t.Helper()
	out, err := Output(t.Context(), find(t, "bash"), []string{"-c", script}, spooled(t, "content"), lim)
	return string(out), err
}

func TestTheProgramReadsItsFileFromTheStart(t *testing.T) {
	for name, f := range map[string]*os.File{"spooled": spooled(t, "content"), "in memory": inMemory(t, "content")} {
		out, err := Output(t.Context(), find(t, "cat"), []string{Input}, f, Limits{})
		if err != nil || string(out) != "content" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

func TestTheProgramReachesNothingElse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"reads another file":    `read x <` + secret + ` && echo "$x"`,
		"reads /etc":            `read x </etc/passwd && echo "$x"`,
		"reads another process": `read x </proc/1/cmdline && echo "$x"`,
		"writes a file":         `echo x >` + dir + `/new && echo done`,
		"appends to its file":   `echo x >>` + Input + ` && echo done`,
		"opens a socket":        `exec 3<>/dev/tcp/127.0.0.1/` + port + ` && echo done`,
		"forks":                 `(echo done)`,
		"runs another program":  `exec ` + find(t, "cat") + ` ` + Input,
		"signals its parent":    `kill -0 $PPID && echo done`,
		"sees the environment":  `[ -n "$HOME$USER$TOCSIN_SECRET" ] && echo "$HOME$USER$TOCSIN_SECRET"`,
	} {
		t.Setenv("TOCSIN_SECRET", "secret")
		if out, err := shell(t, script, Limits{}); err == nil || out != "" {
			t.Errorf("it %s: %q, %v", name, out, err)
		}
	}
	if out, err := shell(t, "read x </proc/self/fd/0; echo got $x", Limits{}); err != nil || out != "got content\n" {
		t.Errorf("a shell that does nothing forbidden: %q, %v", out, err)
	}
	if _, err := os.Stat(dir + "/new"); err == nil {
		t.Error("the file was written")
	}
}

func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		lim    Limits
		code   spec.Code
	}{
		"processor time":  {`while :; do :; done`, Limits{CPU: time.Second}, extract.CodeTimeout},
		"memory":          {`x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done`, Limits{Memory: 256 << 20}, spec.CodeTooLarge}, // room for the threads of the shim, which limits itself first
		"output":          {`while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done`, Limits{Output: 100}, spec.CodeTooLarge},
		"its own failure": {`exit 3`, Limits{}, spec.CodeMalformed},
		"an old version":  {`echo "Unrecognized option 'fps_mode'." >&2; exit 1`, Limits{}, spec.CodeUnsupported},
		"a crash":         {`kill -SEGV $$`, Limits{}, spec.CodeMalformed}, // kill itself is forbidden
	} {
		if raceEnabled && name == "memory" {
			continue // not limited then: see shimOrder.limit
		}
		if out, err := shell(t, c.script, c.lim); spec.CodeOf(err) != c.code {
			t.Errorf("%s: %d bytes, %v; want %s", name, len(out), err, c.code)
		}
	}
}

func TestTheEndOfTheContextEndsTheProgram(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := Start(ctx, find(t, "bash"), []string{"-c", "echo here; while :; do :; done"}, spooled(t, ""), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := p.Stdout.Read(make([]byte, 10)); err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	cancel()
	if err := p.Wait(); spec.CodeOf(err) != extract.CodeTimeout {
		t.Errorf("%v", err)
	}
}

func TestNoTimeLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := noNamespace.Load()
	if _, err := Start(ctx, find(t, "cat"), nil, spooled(t, ""), Limits{}); spec.CodeOf(err) != extract.CodeTimeout {
		t.Errorf("%v", err)
	}
	if noNamespace.Load() != before {
		t.Error("later programs run without a network namespace")
	}
}

func TestWhatIsNotInstalled(t *testing.T) {
	if _, err := Find("no-such-decoder"); spec.CodeOf(err) != spec.CodeUnsupported {
		t.Errorf("%v", err)
	}
	_, err := Output(t.Context(), "/no/such/decoder", nil, spooled(t, ""), Limits{})
	if spec.CodeOf(err) != spec.CodeInternal || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
}
