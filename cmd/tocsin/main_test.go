// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tocsin-db/tocsin/node/media"
	"github.com/tocsin-db/tocsin/node/trial"
)

func TestMain(m *testing.M) {
	media.RunChild()
	testscript.Main(m, map[string]func(){"tocsin": main})
}

// patience bounds everything that a script waits for.
const patience = 2 * time.Minute

// TestScripts runs the program as users do. Beside the usual commands, scripts
// have these:
//
//	exits CODE COMMAND...   the command ends with exactly this code
//	await COMMAND...        the command is repeated until it ends with 0
//	awaits CODE COMMAND...  or with this code
//	json PATH WANT          the value in the JSON on stdout; "len" ends a path in a list,
//	                        WANT "-" is absence
//	keep NAME [PATH]        put stdout, or a value in it, in the environment
//	lie DIR FOLDER          cosign two histories with the key in a data directory, and put the
//	                        proof into a folder
func TestScripts(t *testing.T) {
	testscript.Run(t, params("testdata/script", setup))
}

// Each folder of scripts has three members of its own: scripts run side by side and
// must not meet each other's cases.
func TestConsortium(t *testing.T) { onConsortium(t, "testdata/consortium") }

func TestProofs(t *testing.T) { onConsortium(t, "testdata/proofs") }

func params(dir string, setup func(*testscript.Env) error) testscript.Params {
	return testscript.Params{
		Dir: dir, Setup: setup, RequireExplicitExec: true, RequireUniqueNames: true,
		Deadline: time.Now().Add(4 * patience), // of what waits for a node that has died, and before that of the whole run
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  cmdExits,
			"await":  func(ts *testscript.TestScript, neg bool, args []string) { awaitCode(ts, 0, args) },
			"awaits": func(ts *testscript.TestScript, neg bool, args []string) { awaitCode(ts, number(ts, args[0]), args[1:]) },
			"json":   cmdJSON,
			"keep":   cmdKeep,
			"flip":   cmdFlip,
			"lie":    cmdLie,
		},
	}
}

// setup puts pictures into the script's folder and free ports into its
// environment.
func setup(env *testscript.Env) error {
	var errs []error
	for name, from := range map[string]string{
		"picture.png": "exact/aaa-orig-512x384.png", "near.jpg": "decoded/shrink-a-lot.jpg",
		"other.png": "exact/c-500x333.png", "poor.png": "exact/small-224x399.png",
	} {
		data, err := os.ReadFile(filepath.Join("../../spec/pdq/testdata", from))
		if err == nil {
			err = os.WriteFile(filepath.Join(env.Cd, name), data, 0o644)
		}
		if name == "picture.png" && err == nil {
			err = os.WriteFile(filepath.Join(env.Cd, "broken.png"), data[:len(data)/2], 0o644)
		}
		errs = append(errs, err)
	}
	errs = append(errs, os.WriteFile(filepath.Join(env.Cd, "unknown.bin"), []byte("\x00\x01\x02\x03not a picture"), 0o644))
	env.Setenv("TOCSIN_HTTP", "") // nodes of scripts that run side by side have no address in common
	for _, name := range []string{"PORT1", "PORT2", "PORT3", "PORT4"} {
		address, err := trial.FreeAddress() // free again when a node starts again
		_, port, perr := net.SplitHostPort(address)
		errs = append(errs, err, perr)
		env.Setenv(name, port)
	}
	return errors.Join(errs...)
}

// code runs a command and returns how it ended.
func code(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	ts.Fatalf("running %v: %v", args, err)
	return -1
}

func number(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if want, got := number(ts, args[0]), code(ts, args[1:]); neg || got != want {
		ts.Fatalf("%v ended with %d, want %d", args[1:], got, want)
	}
}

func awaitCode(ts *testscript.TestScript, want int, args []string) {
	deadline := time.After(patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		got := code(ts, args)
		if got == want {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("%v still ends with %d, want %d", args, got, want)
		case <-again.C:
		}
	}
}

// value finds a value on the way of a path such as matches.0.state.
func value(ts *testscript.TestScript, path string) (string, bool) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	for _, step := range strings.Split(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[step]
			if !ok {
				return "", false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if step == "len" {
				return fmt.Sprint(len(at)), true
			}
			if err != nil || i >= len(at) {
				return "", false
			}
			v = at[i]
		default:
			return "", false
		}
	}
	if s, ok := v.(string); ok {
		return s, true
	}
	b, err := json.Marshal(v)
	ts.Check(err)
	return string(b), true
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH WANT")
	}
	got, ok := value(ts, args[0])
	if !ok {
		got = "-"
	}
	if (got == args[1]) == neg {
		ts.Fatalf("%s is %q, want %q (not: %v)", args[0], got, args[1], neg)
	}
}

// cmdFlip copies a file with one bit flipped in its middle: flip FROM TO.
func cmdFlip(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o600))
}

func cmdKeep(ts *testscript.TestScript, _ bool, args []string) {
	v := strings.TrimSpace(ts.ReadFile("stdout"))
	if len(args) > 1 {
		var ok bool
		if v, ok = value(ts, args[1]); !ok {
			ts.Fatalf("there is nothing at %s", args[1])
		}
	}
	ts.Setenv(args[0], v)
}
