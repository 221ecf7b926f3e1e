// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/multiformats/go-multiaddr"
	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-db/tocsin/node/witness"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
)

// A setting is one key of the file. Its variable is TOCSIN_ and its name in
// capitals, its flag the name with hyphens.
type setting struct {
	name  string
	takes string                    // ends the sentence "NAME takes …"
	parse func(string) (any, error) // of a variable or flag; nil: only in the file
}

var settings = []setting{
	{"listen", "libp2p multiaddrs such as /ip4/0.0.0.0/tcp/7230", list(checkMultiaddr)},
	{"http", `a loopback address such as 127.0.0.1:7231, or "" for none`, text(checkLoopback)},
	{"profile", `"lan" or "wan"`, text(oneOf("lan", "wan"))},
	{"log_level", `"debug", "info", "warn" or "error"`, text(oneOf("debug", "info", "warn", "error"))},
	{"log_format", `"auto", "text" or "json"`, text(oneOf("auto", "text", "json"))},
	{"max_file_bytes", "a number of bytes from 1 to 1099511627776", parseNumber(1, 1<<40)},
	{"purge_every", takesInterval, text(checkInterval)},
	{"verify_every", takesInterval, text(checkInterval)},
	{"fail_closed_after", takesInterval, text(checkInterval)},
	{"verify", `"snapshot" or "full"`, text(oneOf("snapshot", "full"))},
	{"witness_listen", `an address such as 127.0.0.1:7232, or "" for none`, text(checkAddress)},
	{"witness_name", "a name without blanks, such as witness.example.org", text(checkName)},
	{"witness_logs", "verifier keys of logs (C2SP signed-note), whose names are the logs' origins", list(checkLogKey)},
	{"witnesses", "outside witnesses, each as its verifier key, a blank and its URL", list(checkWitness)},
	{"sightings_days", "a number of days from 0, for off, to 366", parseNumber(0, 366)},
	{"upstreams", "multiaddrs that end with /p2p/ and a peer id", list(checkUpstream)},
	{"followers", "a number of nodes from 1 to 10000", parseNumber(1, 10_000)},
	{"subscribers", "a number of nodes from 1 to 100000", parseNumber(1, 100_000)},
	{"bulk_rate", "a number of bytes a second from 65536 to 1099511627776", parseNumber(1<<16, 1<<40)},
	{"max_connections", "a number of connections from 16 to 65536", parseNumber(16, 1<<16)},
	{"network_memory", "a number of bytes from 67108864 to 1099511627776", parseNumber(64<<20, 1<<40)},
	{"peers", "organisations' ids, each with a list of multiaddrs", nil},
}

func defaults() layer {
	return layer{
		"listen":            []string{"/ip4/0.0.0.0/tcp/7230", "/ip4/0.0.0.0/udp/7230/quic-v1"},
		"http":              "127.0.0.1:7231",
		"profile":           "lan",
		"log_level":         "info",
		"log_format":        "auto",
		"max_file_bytes":    int64(4 << 30),
		"purge_every":       "24h",
		"verify_every":      "1h",
		"fail_closed_after": "never",
		"verify":            "snapshot",
		"witness_listen":    "",
		"witness_name":      "",
		"witness_logs":      []string{},
		"witnesses":         []string{},
		"sightings_days":    int64(0),
		"upstreams":         []string{},
		"followers":         int64(federation.DefaultPushed),
		"subscribers":       int64(federation.DefaultSubscribers),
		"bulk_rate":         int64(federation.DefaultBulkRate),
		"max_connections":   int64(p2p.DefaultMaxConns),
		"network_memory":    int64(p2p.DefaultMemory),
		"peers":             map[string]any{},
	}
}

func variable(name string) string { return "TOCSIN_" + strings.ToUpper(name) }
func flagName(name string) string { return "--" + strings.ReplaceAll(name, "_", "-") }

var errValue = errors.New("not a value of this setting")

func text(check func(string) error) func(string) (any, error) {
	return func(s string) (any, error) { return s, check(s) }
}

// list reads values with commas between them.
func list(check func(string) error) func(string) (any, error) {
	return func(s string) (any, error) {
		out := []string{}
		for v := range strings.SplitSeq(s, ",") {
			if v = strings.TrimSpace(v); v == "" {
				continue
			}
			if err := check(v); err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
}

func oneOf(values ...string) func(string) error {
	return func(s string) error {
		for _, v := range values {
			if s == v {
				return nil
			}
		}
		return errValue
	}
}

func checkMultiaddr(s string) error {
	_, err := multiaddr.NewMultiaddr(s)
	return err
}

func checkUpstream(s string) error {
	_, _, err := p2p.SplitAddr(s)
	return err
}

// checkLoopback refuses an address that other machines can reach: nobody who
// calls it is asked who they are.
func checkLoopback(s string) error {
	if s == "" {
		return nil
	}
	if port, ok := strings.CutPrefix(s, "localhost:"); ok {
		s = "127.0.0.1:" + port
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil || !a.Addr().IsLoopback() {
		return errValue
	}
	return nil
}

var orgID = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$`)

func checkOrganisation(s string) error {
	if !orgID.MatchString(s) {
		return errValue
	}
	return nil
}

// parseNumber reads a number within bounds.
func parseNumber(least, most int64) func(string) (any, error) {
	return func(s string) (any, error) {
		n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 0, 64)
		if err != nil || n < least || n > most {
			return nil, errValue
		}
		return n, nil
	}
}

const takesInterval = `a time from "1m" to "8760h", or "never"`

func checkInterval(s string) error {
	if d, err := time.ParseDuration(s); s != "never" && (err != nil || d < time.Minute || d > 8760*time.Hour) {
		return errValue
	}
	return nil
}

// interval reads what checkInterval lets through; it is below 0 for never.
func interval(s string) time.Duration {
	if d, err := time.ParseDuration(s); err == nil {
		return d
	}
	return -1
}

// written is an interval as the file has it.
func written(d time.Duration) string {
	if d < 0 {
		return "never"
	}
	return d.String()
}

func checkAddress(s string) error {
	if s == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(s)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 {
		return errValue
	}
	return nil
}

func checkName(s string) error {
	if strings.ContainsAny(s, "+ \t\n,") || len(s) > 128 {
		return errValue
	}
	return nil
}

func checkLogKey(s string) error {
	_, err := note.NewVerifier(s)
	return err
}

func checkWitness(s string) error {
	_, err := witness.ParseAddress(s)
	return err
}
