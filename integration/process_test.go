// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-db/tocsin/integration/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Clean()
	os.Exit(code)
}

// limit is how long the tests wait for what the nodes must come to by themselves.
const limit = 5 * time.Minute

// found makes members by exchanging cards, as three organisations would, and runs
// their nodes.
func found(t *testing.T, ids ...string) []*harness.Organisation {
	t.Helper()
	var members []*harness.Organisation
	args := []string{"init", "--found", "example"}
	cards := t.TempDir()
	for _, id := range ids {
		o := harness.New(t, id, true)
		card := o.Must("init", "--card", "--id", id, "--name", "The "+id, "--jurisdiction", "FR", "--address", o.Listen)
		path := filepath.Join(cards, id+".json")
		write(t, path, []byte(card))
		args = append(args, "--member", path)
		members = append(members, o)
	}
	genesis := filepath.Join(cards, "genesis.json")
	write(t, genesis, []byte(members[0].Must(args...)))
	for _, o := range members {
		o.Must("init", "--genesis", genesis)
		o.Start()
	}
	awaitLeader(t, members)
	return members
}

func awaitLeader(t *testing.T, members []*harness.Organisation) (leader *harness.Organisation) {
	t.Helper()
	harness.Await(t, "a leader that all know", limit, func() bool {
		known := map[string]int{}
		for _, o := range members {
			if st, err := o.Status(); err == nil && st.Leader != "" {
				known[st.Leader]++
			}
		}
		for _, o := range members {
			if known[o.ID] == len(members) {
				leader = o
			}
		}
		return leader != nil
	})
	return leader
}

// join brings a reader in by an invitation and the members' votes.
func join(t *testing.T, members []*harness.Organisation, id string) *harness.Organisation {
	t.Helper()
	line := members[0].Must("invite", "--role", "reader")
	r := harness.New(t, id, false)
	done := make(chan string, 1)
	go func() {
		_, talk, code := r.Run("join", line, "--id", id, "--name", "The "+id, "--jurisdiction", "BE")
		done <- fmt.Sprintf("%d %s", code, talk)
	}()
	var open struct{ Cases []struct{ ID string } }
	harness.Await(t, "the case on the enrolment", limit, func() bool {
		err := members[1].Call("GET", "/v1/cases?state=open&kind=enrolment", nil, &open)
		return err == nil && len(open.Cases) == 1
	})
	members[1].Must("vote", open.Cases[0].ID, "approve")
	if end := <-done; !strings.HasPrefix(end, "0 ") {
		t.Fatalf("joining ended with %s", end)
	}
	r.Start()
	return r
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// picture writes a harmless picture of coloured tiles as a JPEG.
func picture(t *testing.T, seed uint64, size, quality int) string {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	tiles := make([]color.RGBA, 144)
	for i := range tiles {
		tiles[i] = color.RGBA{uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256)), 255}
	}
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			img.SetRGBA(x, y, tiles[y*12/size*12+x*12/size])
		}
	}
	f, err := os.Create(filepath.Join(t.TempDir(), fmt.Sprintf("%d-%d-%d.jpg", seed, size, quality)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := jpeg.Encode(f, img, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// same waits until all nodes have the same roots at the same size.
func same(t *testing.T, nodes []*harness.Organisation) harness.Status {
	t.Helper()
	var last harness.Status
	harness.Await(t, "one state on all nodes", limit, func() bool {
		for i, o := range nodes {
			st, err := o.Status()
			if err != nil {
				return false
			}
			if i > 0 && (st.Size != last.Size || st.LiveRoot != last.LiveRoot || st.RulesRoot != last.RulesRoot) {
				return false
			}
			last = st
		}
		return true
	})
	return last
}

// The whole path with separate processes, through commands alone.
func TestSeparateProcesses(t *testing.T) {
	members := found(t, "alpha", "bravo", "charlie")
	reader := join(t, members, "tango")
	all := append(append([]*harness.Organisation(nil), members...), reader)
	original, altered, other := picture(t, 1, 480, 92), picture(t, 1, 300, 45), picture(t, 2, 480, 92)

	caseID := members[0].Must("propose", original, "--label", "isil")
	verdicts(t, all, original, 0)
	members[2].Must("vote", caseID, "approve")
	for _, o := range all {
		harness.Await(t, o.ID+" matches what was approved", limit, func() bool {
			_, _, code := o.Run("match", original)
			return code == 1
		})
	}
	verdicts(t, all, altered, 1)
	verdicts(t, all, other, 0)

	out, _, _ := reader.Run("match", altered, "--json")
	var answer struct {
		Verdict string
		Matches []struct {
			Entry, Type, State string
			Distance           int
			Labels             []string
		}
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(answer.Matches) != 1 || answer.Matches[0].Type != "pdq" || answer.Matches[0].State != "active" || answer.Matches[0].Labels[0] != "isil" {
		t.Fatalf("the reader's answer: %s", out)
	}
	dispute := members[2].Must("dispute", answer.Matches[0].Entry, "--reason", "lawful-content")
	members[1].Must("vote", dispute, "approve")
	for _, o := range all {
		harness.Await(t, o.ID+" no longer matches", limit, func() bool {
			_, _, code := o.Run("match", original)
			return code == 0
		})
	}
	same(t, all)
	for _, o := range all {
		if code := o.Stop(); code != 0 {
			t.Errorf("%s: an orderly stop ended with %d", o.ID, code)
		}
	}
}

func verdicts(t *testing.T, nodes []*harness.Organisation, file string, want int) {
	t.Helper()
	for _, o := range nodes {
		if out, talk, code := o.Run("match", file); code != want {
			t.Errorf("%s: match of %s ended with %d, want %d\n%s%s", o.ID, filepath.Base(file), code, want, out, talk)
		}
	}
}

// A writer proposes through one node until it is told to stop, and remembers what
// was acknowledged.
type writer struct {
	via   *harness.Organisation
	seed  byte
	mu    sync.Mutex
	acked []string
}

func (w *writer) run(stop <-chan struct{}) {
	for i := uint64(1); ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		var answer struct{ ID string }
		value := fmt.Sprintf("%02x%062x", w.seed, i)
		err := w.via.Call("POST", "/v1/proposals", map[string]any{
			"basis": "test", "items": []any{map[string]any{"labels": []string{}, "signals": []any{map[string]any{"type": "sha256", "value": value}}}},
		}, &answer)
		if err == nil {
			w.mu.Lock()
			w.acked = append(w.acked, answer.ID)
			w.mu.Unlock()
		}
	}
}

func (w *writer) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// The leader is killed while operations arrive: the others go on, nothing that
// was acknowledged is lost, and the killed node catches up. The reader is killed
// too and goes on from where it was.
func TestKilledLeaderAndReaderLoseNothing(t *testing.T) {
	members := found(t, "alpha", "bravo", "charlie")
	reader := join(t, members, "tango")
	leader := awaitLeader(t, members)
	joined := same(t, append([]*harness.Organisation{reader}, members...))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var writers []*writer
	for i, m := range members {
		w := &writer{via: m, seed: byte(i + 1)}
		writers = append(writers, w)
		wg.Go(func() { w.run(stop) })
	}
	progress := func(what string) {
		for _, w := range writers {
			if w.via == leader && what != "all" {
				continue
			}
			before := w.count()
			harness.Await(t, "acknowledgements through "+w.via.ID+" "+what, limit, func() bool { return w.count() >= before+5 })
		}
	}
	progress("all")
	leader.Kill()
	progress("after the leader was killed")
	reader.Kill()
	leader.Start()
	reader.Start()
	var first harness.Status
	var err error
	harness.Await(t, "the reader's first answer", limit, func() bool {
		first, err = reader.Status()
		return err == nil
	})
	progress("all")
	close(stop)
	wg.Wait()
	if first.Size < joined.Size {
		t.Errorf("the reader began again at %d, before the %d that it had from the start", first.Size, joined.Size)
	}
	nodes := append(append([]*harness.Organisation(nil), members...), reader)
	same(t, nodes)
	for _, o := range nodes {
		for _, w := range writers {
			for _, id := range w.acked {
				if err := o.Call("GET", "/v1/cases/"+id, nil, &struct{}{}); err != nil {
					t.Fatalf("%s lost an operation that %s acknowledged: %v", o.ID, w.via.ID, err)
				}
			}
		}
	}
}
