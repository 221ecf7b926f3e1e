// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/spec"
)

// doorsOfSpec reads which doors the specification gives each operation.
func doorsOfSpec(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../spec/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile(`^  (/\S+):$`)
	method := regexp.MustCompile(`^    (get|post|put|delete|patch|head):$`)
	doors := regexp.MustCompile(`^      x-doors: \[(.*)\]$`)
	out := map[string]string{}
	at, verb := "", ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if m := path.FindStringSubmatch(line); m != nil {
			at = m[1]
		} else if m := method.FindStringSubmatch(line); m != nil {
			verb = strings.ToUpper(m[1])
			out[verb+" "+at] = "none"
		} else if m := doors.FindStringSubmatch(line); m != nil {
			out[verb+" "+at] = m[1]
		}
	}
	return out
}

// patterns collects what the generated server registers.
type patterns struct{ list []string }

func (p *patterns) HandleFunc(pattern string, _ func(http.ResponseWriter, *http.Request)) {
	p.list = append(p.list, pattern)
}
func (p *patterns) ServeHTTP(http.ResponseWriter, *http.Request) {}

// table is every route that is served, with those that carry no JSON.
func table() map[string]route {
	all := maps.Clone(routes)
	maps.Copy(all, proofRoutes)
	return all
}

func TestTheTablesListEveryRouteAsTheSpecificationDoes(t *testing.T) {
	var served patterns
	wire.HandlerWithOptions(nil, wire.StdHTTPServerOptions{BaseRouter: &served})
	if len(served.list) != len(routes) {
		t.Errorf("%d routes are generated, the table has %d", len(served.list), len(routes))
	}
	names := map[door]string{socketDoor: "socket", tcpDoor: "tcp", socketDoor | tcpDoor: "socket, tcp"}
	doors := doorsOfSpec(t)
	for pattern, r := range table() {
		files := false // of the log, each of which the specification lists below the one route
		for documented, got := range doors {
			if documented == pattern || strings.HasSuffix(pattern, "/") && strings.HasPrefix(documented, pattern) {
				files = true
				if got != names[r.doors] {
					t.Errorf("%s: the table says [%s], the specification of %s [%s]", pattern, names[r.doors], documented, got)
				}
			}
		}
		if !files {
			t.Errorf("%s is served and the specification does not list it", pattern)
		}
	}
}

// TestEveryRouteAtEveryDoor asks for each route of the specification at each door.
func TestEveryRouteAtEveryDoor(t *testing.T) {
	param := regexp.MustCompile(`\{\w+\}`)
	for pattern, doors := range doorsOfSpec(t) {
		if doors == "witness" {
			continue // package witness serves it
		}
		for d, name := range map[door]string{socketDoor: "socket", tcpDoor: "tcp"} {
			t.Run(pattern+" at "+name, func(t *testing.T) {
				r := serveFake(t, func(c *Config) { c.Proofs = measured{} })
				c, base := r.client(t, d)
				method, path, _ := strings.Cut(pattern, " ")
				req, err := http.NewRequest(method, base+param.ReplaceAllString(path, spec.Hash{1}.String()), nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(body), "there is nothing at this path") || resp.StatusCode == http.StatusMethodNotAllowed {
					t.Errorf("it is not served: status %d, %s", resp.StatusCode, body)
				}
				denied := resp.StatusCode == http.StatusForbidden
				if want := !strings.Contains(doors, name); denied != want {
					t.Errorf("status %d: denied %v, want %v", resp.StatusCode, denied, want)
				}
				if calls := r.log(); denied && len(calls) > 0 {
					t.Errorf("the backend was asked for %v on a route that is denied", calls)
				}
			})
		}
	}
}

// measured is proofs of a node that measures itself.
type measured struct{ proofs }

func (measured) MetricsHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "figures") })
}

func TestAdmit(t *testing.T) {
	self := os.Getuid()
	for name, c := range map[string]struct {
		who  caller
		r    route
		want spec.Code
	}{
		"own user":                {caller{socketDoor, self, true}, route{doors: socketDoor}, ""},
		"root":                    {caller{socketDoor, 0, true}, route{doors: socketDoor}, ""},
		"another user":            {caller{socketDoor, self + 1, true}, route{doors: socketDoor | tcpDoor}, spec.CodeDenied},
		"unknown user":            {caller{socketDoor, self, false}, route{doors: socketDoor}, spec.CodeDenied},
		"loopback, open route":    {caller{door: tcpDoor}, route{doors: socketDoor | tcpDoor}, ""},
		"loopback, socket's":      {caller{door: tcpDoor}, route{doors: socketDoor}, spec.CodeDenied},
		"no door":                 {caller{}, route{doors: socketDoor | tcpDoor}, spec.CodeDenied},
		"route that nobody opens": {caller{socketDoor, self, true}, route{}, spec.CodeDenied},
	} {
		if got := spec.CodeOf(admit(c.who, c.r)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

const askAsOther = "TOCSIN_TEST_ASK_SOCKET"

// TestAnotherUserIsDenied runs a process of another user at the other end, which
// only root can do.
func TestAnotherUserIsDenied(t *testing.T) {
	if path := os.Getenv(askAsOther); path != "" {
		askStatus(path)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root can start a process of another user")
	}
	r := serveFake(t, nil)
	openWay(t, r.socket)
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestAnotherUserIsDenied$")
	cmd.Env = append(os.Environ(), askAsOther+"="+r.socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "status 403") {
		t.Fatalf("asked as another user: %v\n%s", err, out)
	}
	if calls := r.log(); len(calls) > 0 {
		t.Errorf("the backend was asked for %v", calls)
	}
}

// openWay lets every user reach the socket, as a careless administrator might.
func openWay(t *testing.T, socket string) {
	t.Helper()
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	for dir := socket; dir != "/" && dir != os.TempDir(); {
		dir = dir[:strings.LastIndex(dir, "/")]
		if dir == "" || dir == os.TempDir() {
			break
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func askStatus(path string) {
	c, err := net.Dial("unix", path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("status", resp.StatusCode)
}

func TestTheLoopbackDoorAnswersToLoopbackNamesOnly(t *testing.T) {
	r := serveFake(t, nil)
	c, base := r.client(t, tcpDoor)
	for host, want := range map[string]int{
		"localhost": 200, "localhost:80": 200, "127.0.0.1:7231": 200, "127.9.9.9": 200, "[::1]:7231": 200,
		"evil.example": 403, "evil.example:7231": 403, "127.0.0.1.evil.example": 403, "10.0.0.1": 403, "localhost.evil.example": 403,
	} {
		req, _ := http.NewRequest("GET", base+"/livez", nil)
		req.Host = host
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Host %s: status %d, want %d", host, resp.StatusCode, want)
		}
	}
}

func TestTheLoopbackDoorRefusesOtherOrigins(t *testing.T) {
	r := serveFake(t, nil)
	c, base := r.client(t, tcpDoor)
	for _, header := range [][2]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
		req, _ := http.NewRequest("POST", base+"/v1/match", strings.NewReader(`{"signals":[]}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(header[0], header[1])
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden || len(r.log()) > 0 {
			t.Errorf("%s: status %d, %s", header[0], resp.StatusCode, body)
		}
	}
}

func TestOpenRefusesAnAddressOfOthers(t *testing.T) {
	_, err := Open(Config{Backend: &fake{}, TCP: "0.0.0.0:0"})
	if spec.CodeOf(err) != spec.CodeConfig {
		t.Fatalf("got %v, want BAD_CONFIG", err)
	}
}

func TestSocket(t *testing.T) {
	r := serveFake(t, nil)
	info, err := os.Stat(r.socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Fatalf("the socket has mode %v (%v), want 0660", info.Mode(), err)
	}
	if _, err := Open(Config{Backend: &fake{}, Socket: r.socket}); spec.CodeOf(err) != spec.CodeUnavailable {
		t.Errorf("a second node on the socket: %v, want UNAVAILABLE", err)
	}
	long := r.socket + strings.Repeat("x", 100)
	if _, err := Open(Config{Backend: &fake{}, Socket: long}); spec.CodeOf(err) != spec.CodeConfig {
		t.Errorf("a path that is too long: %v, want BAD_CONFIG", err)
	}
	if err := r.srv.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(r.socket); !os.IsNotExist(err) {
		t.Errorf("the socket is still there after Close: %v", err)
	}
}

func TestASocketThatACrashLeftIsReplaced(t *testing.T) {
	path := t.TempDir() + "/s"
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	s, err := Open(Config{Backend: &fake{}, Socket: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}
