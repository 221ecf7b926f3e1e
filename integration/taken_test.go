// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/integration/harness"
)

// A node whose address is taken says so once, in its own words: no library writes to
// standard error beside its log.
func TestANodeWhoseAddressIsTakenSaysSoInOneLine(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	o := harness.New(t, "alpha", true)
	card := filepath.Join(t.TempDir(), "alpha.json")
	write(t, card, []byte(o.Must("init", "--card", "--id", "alpha", "--name", "Alpha", "--jurisdiction", "FR", "--address", o.Listen)))
	genesis := filepath.Join(t.TempDir(), "genesis.json")
	write(t, genesis, []byte(o.Must("init", "--found", "example", "--member", card)))
	o.Must("init", "--genesis", genesis)
	_, talk, code := o.Run("agent", "--http", "", "--listen", "/ip4/127.0.0.1/tcp/"+port)
	if code == 0 || !strings.Contains(talk, "address already in use") || strings.Count(strings.TrimSpace(talk), "\n") > 0 {
		t.Errorf("ended with %d:\n%s", code, talk)
	}
}
