// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tocsin-db/tocsin/spec"
)

func source(t *testing.T, file string, env, flags map[string]string) Source {
	t.Helper()
	dir := t.TempDir()
	if file != "" {
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	return Source{Dir: dir, Environ: lookup, Flags: flags}
}

func TestDefaultsAreThemselvesValid(t *testing.T) {
	c, err := Load(source(t, "", nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.TOML(false)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(source(t, text, nil, nil))
	if err != nil {
		t.Fatalf("the defaults as a file:\n%s\n%v", text, err)
	}
	for i, s := range again.Settings() {
		if want := c.Settings()[i]; !reflect.DeepEqual(s.Value, want.Value) || s.Origin != FileName {
			t.Errorf("%s: %v from %s, want %v from the file", s.Name, s.Value, s.Origin, want.Value)
		}
	}
}

func TestOrderOfSources(t *testing.T) {
	file := `
http = "127.0.0.1:1"
profile = "wan"
log_level = "warn"
listen = ["/ip4/127.0.0.1/tcp/1"]
max_file_bytes = 1_000
network_memory = 67_108_864
verify_every = "never"
[peers]
beta = ["/ip4/192.0.2.1/tcp/7230"]
`
	env := map[string]string{"TOCSIN_HTTP": "", "TOCSIN_LOG_LEVEL": "debug", "TOCSIN_BULK_RATE": "65536", "TOCSIN_LISTEN": "/ip4/127.0.0.1/tcp/2, /ip4/127.0.0.1/tcp/3"}
	flags := map[string]string{"log_level": "error", "followers": "7"}
	c, err := Load(source(t, file, env, flags))
	if err != nil {
		t.Fatal(err)
	}
	want := []Setting{
		{"listen", []string{"/ip4/127.0.0.1/tcp/2", "/ip4/127.0.0.1/tcp/3"}, "TOCSIN_LISTEN"},
		{"http", "", "TOCSIN_HTTP"},
		{"profile", "wan", "tocsin.toml"},
		{"log_level", "error", "--log-level"},
		{"log_format", "auto", "default"},
		{"max_file_bytes", int64(1000), "tocsin.toml"},
		{"purge_every", "24h0m0s", "default"},
		{"verify_every", "never", "tocsin.toml"},
		{"fail_closed_after", "never", "default"},
		{"verify", "snapshot", "default"},
		{"witness_listen", "", "default"},
		{"witness_name", "", "default"},
		{"witness_logs", []string{}, "default"},
		{"witnesses", []string{}, "default"},
		{"sightings_days", int64(0), "default"},
		{"upstreams", []string{}, "default"},
		{"followers", int64(7), "--followers"},
		{"subscribers", int64(512), "default"},
		{"bulk_rate", int64(65536), "TOCSIN_BULK_RATE"},
		{"max_connections", int64(2048), "default"},
		{"network_memory", int64(67108864), "tocsin.toml"},
		{"peers", map[string][]string{"beta": {"/ip4/192.0.2.1/tcp/7230"}}, "tocsin.toml"},
	}
	if got := c.Settings(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	text, err := c.TOML(true)
	if err != nil || !strings.Contains(text, "log_level = 'error'  # --log-level\n") {
		t.Errorf("shown with origins:\n%s%v", text, err)
	}
}

func TestWrongSettingsAreNamedWithTheirPlace(t *testing.T) {
	for name, c := range map[string]struct {
		file       string
		env, flags map[string]string
		want       string // the end of the sentence
	}{
		"unknown key":          {"profile = \"lan\"\n lisen = []\n", nil, nil, `tocsin.toml, line 2, column 2: there is no setting "lisen"`},
		"unknown table":        {"[api]\nhttp = \"\"\n", nil, nil, `line 1, column 2: there is no setting "api"`},
		"no TOML":              {"profile = lan\n", nil, nil, `line 1, column 11: unexpected character`},
		"value of no choice":   {"\nprofile = \"moon\"\n", nil, nil, `line 2, column 11: profile takes "lan" or "wan"`},
		"value of a type":      {"log_level = 3\n", nil, nil, `line 1, column 13: log_level takes "debug", "info", "warn" or "error"`},
		"number too large":     {"max_file_bytes = 9999999999999\n", nil, nil, `line 1, column 18: max_file_bytes takes a number of bytes from 1 to 1099511627776`},
		"no witness":           {"witnesses = [\"x http://y\"]\n", nil, nil, `line 1, column 14: witnesses takes outside witnesses`},
		"no key of a log":      {"witness_logs = [\"x\"]\n", nil, nil, `witness_logs takes verifier keys`},
		"no address":           {"witness_listen = \"7232\"\n", nil, nil, `witness_listen takes an address`},
		"a time too short":     {"purge_every = \"10s\"\n", nil, nil, `purge_every takes a time from "1m" to "8760h", or "never"`},
		"nobody's address":     {"upstreams = [\"/ip4/127.0.0.1/tcp/1\"]\n", nil, nil, `line 1, column 14: upstreams takes multiaddrs that end with /p2p/ and a peer id`},
		"no followers":         {"followers = 0\n", nil, nil, `line 1, column 13: followers takes a number of nodes from 1 to 10000`},
		"too slow":             {"", map[string]string{"TOCSIN_BULK_RATE": "65535"}, nil, `TOCSIN_BULK_RATE takes a number of bytes a second from 65536 to 1099511627776`},
		"too many connections": {"", nil, map[string]string{"max_connections": "65537"}, `--max-connections takes a number of connections from 16 to 65536`},
		"little memory":        {"network_memory = 1\n", nil, nil, `line 1, column 18: network_memory takes a number of bytes from 67108864 to 1099511627776`},
		"days too many":        {"sightings_days = 400\n", nil, nil, `line 1, column 18: sightings_days takes a number of days from 0, for off, to 366`},
		"text for a number":    {"max_file_bytes = \"many\"\n", nil, nil, `max_file_bytes takes a number of bytes from 1 to 1099511627776`},
		"address of others":    {"http = \"0.0.0.0:7231\"\n", nil, nil, `line 1, column 8: http takes a loopback address such as 127.0.0.1:7231, or "" for none`},
		"not a multiaddr":      {"listen = [\"/ip4/127.0.0.1/tcp/1\", \"1.2.3.4\"]\n", nil, nil, `line 1, column 35: listen takes libp2p multiaddrs such as /ip4/0.0.0.0/tcp/7230`},
		"one for a list":       {"listen = \"/ip4/127.0.0.1/tcp/1\"\n", nil, nil, `listen takes libp2p multiaddrs such as /ip4/0.0.0.0/tcp/7230`},
		"peer of a bad id":     {"[peers]\n\"A/b\" = [\"/ip4/127.0.0.1/tcp/1\"]\n", nil, nil, `peers.A/b takes organisations' ids, each with a list of multiaddrs`},
		"address of a peer":    {"[peers]\nbeta = [\"nowhere\"]\n", nil, nil, `line 2, column 9: peers.beta takes organisations' ids, each with a list of multiaddrs`},
		"twice the same":       {"profile = \"lan\"\nprofile = \"lan\"\n", nil, nil, `line 2, column 1: key profile is already defined`},
		"variable":             {"", map[string]string{"TOCSIN_PROFILE": "moon"}, nil, `TOCSIN_PROFILE takes "lan" or "wan"`},
		"flag":                 {"", nil, map[string]string{"http": "192.0.2.1:80"}, `--http takes a loopback address such as 127.0.0.1:7231, or "" for none`},
		"name, not loopback":   {"", nil, map[string]string{"http": "example.org:80"}, `--http takes a loopback address such as 127.0.0.1:7231, or "" for none`},
		"no port":              {"", nil, map[string]string{"http": "127.0.0.1"}, `--http takes a loopback address such as 127.0.0.1:7231, or "" for none`},
		"number in variable":   {"", map[string]string{"TOCSIN_MAX_FILE_BYTES": "0"}, nil, `TOCSIN_MAX_FILE_BYTES takes a number of bytes from 1 to 1099511627776`},
		"address in variable":  {"", map[string]string{"TOCSIN_LISTEN": "/ip4/127.0.0.1/tcp/1,x"}, nil, `TOCSIN_LISTEN takes libp2p multiaddrs such as /ip4/0.0.0.0/tcp/7230`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(source(t, c.file, c.env, c.flags))
			if spec.CodeOf(err) != spec.CodeConfig || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v (%s)\nwant BAD_CONFIG and …%s", err, spec.CodeOf(err), c.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("listen = []\nhttp = \"\"\n[peers]\na = []\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := parse("tocsin.toml", data); err != nil && spec.CodeOf(err) != spec.CodeConfig {
			t.Fatalf("an error without its code: %v", err)
		}
	})
}
