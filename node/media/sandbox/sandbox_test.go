// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/tocsin-db/tocsin/node/media/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.RunChild(handle)
	os.Exit(m.Run())
}

// handle does in the child what the request names.
func handle(req []byte, file *os.File) []byte {
	switch name := string(req); name {
	case "echo":
		raw, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<20))
		return fmt.Appendf(nil, "%s %v", raw, err)
	case "pid":
		return fmt.Append(nil, os.Getpid())
	case "environment":
		return fmt.Append(nil, len(os.Environ()))
	case "memory":
		var hold [][]byte
		for range 64 {
			b := make([]byte, 16<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			hold = append(hold, b)
		}
		return fmt.Append(nil, len(hold))
	case "spin":
		file.Read(make([]byte, 1)) // whoever asked sees by it that this began
		for n := 0; ; n++ {
			if n < 0 {
				return nil
			}
		}
	case "work":
		for began := time.Now(); time.Since(began) < 20*time.Millisecond; {
		}
	case "hang":
		<-time.After(time.Hour)
	case "exit":
		os.Exit(3)
	case "crash":
		var p *int
		go func() { *p = 1 }()
		select {}
	default:
		return fmt.Append(nil, forbidden(name))
	}
	return nil
}

// forbidden tries what a child may not do and returns the error.
func forbidden(name string) error {
	var err error
	switch what, path, _ := strings.Cut(name, " "); what {
	case "create":
		_, err = os.Create(path)
	case "open":
		_, err = os.Open("/etc/hostname")
	case "dial":
		_, err = net.Dial("tcp", "127.0.0.1:9")
	case "listen":
		_, err = net.Listen("unix", "@tocsin-sandbox")
	case "exec":
		err = exec.Command("/bin/true").Run()
	case "remove":
		err = os.Remove("/tmp")
	}
	return err
}

func newPool(t *testing.T, c sandbox.Config) *sandbox.Pool {
	p := sandbox.NewPool(c)
	t.Cleanup(p.Close)
	return p
}

func tempFile(t *testing.T, content string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	return f
}

func do(t *testing.T, p *sandbox.Pool, req string) string {
	t.Helper()
	out, err := p.Do(context.Background(), []byte(req), tempFile(t, "bytes"))
	if err != nil {
		t.Fatalf("%s: %v", req, err)
	}
	return string(out)
}

func TestAChildReadsTheFileItIsGiven(t *testing.T) {
	if got := do(t, newPool(t, sandbox.Config{}), "echo"); got != "bytes <nil>" {
		t.Fatalf("%q", got)
	}
}

func TestAChildMayNotTouchAnythingElse(t *testing.T) {
	p := newPool(t, sandbox.Config{Children: 1})
	path := filepath.Join(t.TempDir(), "made")
	for _, what := range []string{"open", "create " + path, "dial", "listen", "exec", "remove"} {
		if got := do(t, p, what); !strings.HasSuffix(got, "operation not permitted") {
			t.Errorf("%s: %s", what, got)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the child created a file")
	}
	if got := do(t, p, "environment"); got != "3" {
		t.Errorf("the child sees %s environment variables", got)
	}
}

func TestMemoryIsLimited(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector needs more address space than the limit leaves")
	}
	p := newPool(t, sandbox.Config{Children: 1, Memory: 64 << 20})
	if out, err := p.Do(context.Background(), []byte("memory"), tempFile(t, "")); !errors.Is(err, sandbox.ErrMemory) {
		t.Fatalf("%s %v", out, err)
	}
	if got := do(t, p, "echo"); got != "bytes <nil>" {
		t.Fatalf("after a death: %q", got)
	}
}

func TestADeadChildCostsOneAnswer(t *testing.T) {
	p := newPool(t, sandbox.Config{Children: 1})
	for _, how := range []string{"exit", "crash"} {
		first := do(t, p, "pid")
		if _, err := p.Do(context.Background(), []byte(how), tempFile(t, "")); !errors.Is(err, sandbox.ErrDied) {
			t.Errorf("%s: %v", how, err)
		}
		if do(t, p, "pid") == first {
			t.Errorf("%s: the child lives", how)
		}
	}
}

func TestTheEndOfTheContextKillsTheChild(t *testing.T) {
	p := newPool(t, sandbox.Config{Children: 1})
	first := do(t, p, "pid")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	file := tempFile(t, "x")
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := p.Do(ctx, []byte("spin"), file)
		ended <- err
	}()
	for range time.Tick(time.Millisecond) { // until the child has it: both share its offset
		if at, err := file.Seek(0, io.SeekCurrent); err != nil || len(ended) > 0 {
			t.Fatalf("%v, or the child does not spin", err)
		} else if at > 0 {
			break
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if do(t, p, "pid") == first {
		t.Fatal("the child lives")
	}
}

func TestProcessorTimeIsLimited(t *testing.T) {
	p := newPool(t, sandbox.Config{Children: 1, CPU: 200 * time.Millisecond})
	if _, err := p.Do(context.Background(), []byte("spin"), tempFile(t, "")); !errors.Is(err, sandbox.ErrTime) {
		t.Fatal(err)
	}
	for range 30 { // the limit is of one request, not of all together
		do(t, p, "work")
	}
	if s := p.Stats(); s.Started != 2 || s.Failed != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestTimeOnTheClockIsLimited(t *testing.T) {
	p := newPool(t, sandbox.Config{Children: 1, Wall: 50 * time.Millisecond})
	if _, err := p.Do(context.Background(), []byte("hang"), tempFile(t, "")); !errors.Is(err, sandbox.ErrTime) {
		t.Fatal(err)
	}
}

// A child that was killed between two requests costs none of them.
func TestADeathBetweenRequestsCostsNothing(t *testing.T) {
	p := newPool(t, sandbox.Config{Children: 1})
	pid, err := strconv.Atoi(do(t, p, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var info [128]byte // wait until it is dead, and leave it to the pool
	const pidOnly, exited, keep = 1, 4, 0x1000000
	if _, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pidOnly, uintptr(pid), uintptr(unsafe.Pointer(&info)), exited|keep, 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	if got := do(t, p, "echo"); got != "bytes <nil>" {
		t.Fatal(got)
	}
}

func TestWaitingForAChildEndsWithTheContext(t *testing.T) {
	p := newPool(t, sandbox.Config{Children: 1})
	busy, release := context.WithCancel(context.Background())
	started := make(chan error)
	go func() {
		_, err := p.Do(busy, []byte("spin"), tempFile(t, ""))
		started <- err
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	for ctx.Err() == nil { // until the other call holds the only child
		if _, err := p.Do(ctx, []byte("pid"), tempFile(t, "")); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	release()
	if err := <-started; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestAChildServesManyAndIsReplaced(t *testing.T) {
	p := newPool(t, sandbox.Config{Children: 1, Requests: 3})
	seen := map[string]int{}
	for range 9 {
		seen[do(t, p, "pid")]++
	}
	if len(seen) != 3 {
		t.Fatalf("nine requests, three each: %v", seen)
	}
}

func TestManyCallersShareFewChildren(t *testing.T) {
	p := newPool(t, sandbox.Config{Children: 2})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 5 {
				want := fmt.Sprintf("%d/%d", i, j)
				f := tempFile(t, want)
				if out, err := p.Do(context.Background(), []byte("echo"), f); err != nil || string(out) != want+" <nil>" {
					t.Errorf("%s: %q %v", want, out, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestAClosedPoolRefuses(t *testing.T) {
	p := sandbox.NewPool(sandbox.Config{})
	do(t, p, "pid")
	p.Close()
	p.Close()
	if _, err := p.Do(context.Background(), []byte("pid"), tempFile(t, "")); !errors.Is(err, sandbox.ErrClosed) {
		t.Fatal(err)
	}
}
