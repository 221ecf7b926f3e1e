// SPDX-License-Identifier: Apache-2.0

// Package harness runs the program as its users do: built once, one process for
// each organisation, talked to through its commands and its unix socket.
package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/node/trial"
)

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tocsin-integration-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "tocsin")
	out, err := exec.Command("go", "build", "-o", path, "github.com/tocsin-db/tocsin/cmd/tocsin").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return path, err
})

// Clean removes what was built. TestMain calls it last.
func Clean() {
	if path, err := build(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
}

// Program is the path of the built program.
func Program(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// An Organisation has a data directory and perhaps a running node.
type Organisation struct {
	ID     string
	Dir    string
	Listen string   // multiaddr, "" for one that only connects outwards
	Env    []string // further variables of the node's process
	t      testing.TB
	cmd    *exec.Cmd
	ended  chan struct{}
	log    *os.File
	http   *http.Client
}

// New makes an organisation without a card. One that listens gets a free port.
func New(t testing.TB, id string, listens bool) *Organisation {
	t.Helper()
	o := &Organisation{ID: id, Dir: filepath.Join(t.TempDir(), id), t: t}
	if listens {
		address, err := trial.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		host, port, _ := net.SplitHostPort(address)
		o.Listen = "/ip4/" + host + "/tcp/" + port
	}
	o.http = &http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(o.Dir, "tocsin.sock"))
		},
	}}
	t.Cleanup(func() {
		o.Kill()
		if o.log != nil && t.Failed() {
			b, _ := os.ReadFile(o.log.Name())
			t.Logf("the last words of %s:\n%s", o.ID, b[max(0, len(b)-3000):])
		}
	})
	return o
}

// Run runs one command in the organisation's data directory and returns what it
// printed and its exit code.
func (o *Organisation) Run(args ...string) (stdout, stderr string, code int) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, Program(o.t), append([]string{"--data", o.Dir}, args...)...)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		o.t.Fatalf("running %v: %v", args, err)
	}
	return out.String(), talk.String(), cmd.ProcessState.ExitCode()
}

// Must is Run for commands that must succeed; it returns the trimmed output.
func (o *Organisation) Must(args ...string) string {
	o.t.Helper()
	out, talk, code := o.Run(args...)
	if code != 0 {
		o.t.Fatalf("%s: tocsin %s ended with %d\n%s%s", o.ID, strings.Join(args, " "), code, out, talk)
	}
	return strings.TrimSpace(out)
}

// Start runs the organisation's node until Kill or Stop.
func (o *Organisation) Start() {
	o.t.Helper()
	if o.log == nil {
		f, err := os.Create(filepath.Join(o.t.TempDir(), o.ID+".log"))
		if err != nil {
			o.t.Fatal(err)
		}
		o.log = f
		o.t.Cleanup(func() { f.Close() })
	}
	cmd := exec.Command(Program(o.t), "--data", o.Dir, "agent")
	cmd.Stdout, cmd.Stderr = o.log, o.log
	cmd.Env = append(append(os.Environ(), "TOCSIN_HTTP=", "TOCSIN_LISTEN="+o.Listen), o.Env...)
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	o.cmd, o.ended = cmd, ended
}

// Kill ends the node as a power switch would, and waits until it is gone.
func (o *Organisation) Kill() { o.signal(syscall.SIGKILL) }

// Stop ends the node in order and returns its exit code.
func (o *Organisation) Stop() int {
	o.signal(syscall.SIGTERM)
	return o.cmd.ProcessState.ExitCode()
}

func (o *Organisation) signal(s syscall.Signal) {
	if o.cmd == nil {
		return
	}
	o.cmd.Process.Signal(s)
	<-o.ended
	o.http.CloseIdleConnections()
}

// A Problem is an answer of the API that is not a success.
type Problem struct {
	Status int
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail) }

// Call asks the node's API. in is sent as JSON unless it is nil; out is filled
// from the answer.
func (o *Organisation) Call(method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, "http://node"+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := o.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		p := &Problem{Status: resp.StatusCode}
		json.Unmarshal(b, p)
		return p
	}
	return json.Unmarshal(b, out)
}

// Status is what the tests read of a node's status.
type Status struct {
	Origin    string `json:"origin"`
	Role      string `json:"role"`
	Raft      string `json:"raft"`
	Leader    string `json:"leader"`
	Size      uint64 `json:"size"`
	LiveRoot  string `json:"live_root"`
	RulesRoot string `json:"rules_root"`
	AgeMS     int64  `json:"age_ms"`
	Stale     bool   `json:"stale"`
	Signals   uint64 `json:"signals"`
	Sync      *struct {
		State        string `json:"state"`
		SnapshotDone uint64 `json:"snapshot_done"`
	} `json:"sync"`
	Serving struct {
		Chunks    uint64 `json:"chunks"`
		BulkBytes uint64 `json:"bulk_bytes"`
	} `json:"serving"`
}

// Status asks the node for its status.
func (o *Organisation) Status() (s Status, err error) {
	err = o.Call("GET", "/v1/status", nil, &s)
	return s, err
}

// Await polls until ok holds, and fails the test when it does not in time.
func Await(t testing.TB, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within %v: %s", limit, what)
		case <-tick.C:
		}
	}
}
