// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/knadh/koanf/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// FileName is the settings' file in the data directory.
const FileName = "tocsin.toml"

// maxFile bounds the file.
const maxFile = 1 << 20

// A Config is every setting of a node, valid.
type Config struct {
	Listen        []string            // libp2p multiaddrs on which peers reach the node
	HTTP          string              // loopback address for lookups; "" for none
	Profile       string              // "lan" or "wan": how patient the consortium's timers are
	LogLevel      string              // debug, info, warn, error
	LogFormat     string              // text, json; auto is text on a terminal
	MaxFileBytes  int64               // largest file that is hashed
	PurgeEvery    time.Duration       // how often erased values are purged from the files; below 0: never
	VerifyEvery   time.Duration       // how often the store is verified; below 0: never
	FailClosed    time.Duration       // age of what is final past which lookups are refused; below 0: never, they are flagged
	Verify        string              // "snapshot" or "full": what a node that follows takes on proof, and what it replays
	WitnessListen string              // address on which the node witnesses other logs; "" for none
	WitnessName   string              // under which it does
	WitnessLogs   []string            // verifier keys of those logs
	Witnesses     []string            // outside ones that cosign this log: verifier key, blank, URL
	Sightings     int64               // days for which what was looked up is remembered here; 0: not at all
	Upstreams     []string            // nodes that this one follows in place of members; multiaddrs with peer ids
	Followers     int64               // nodes that are pushed to at once; more are announced to
	Subscribers   int64               // nodes that may follow at once; more are referred to others
	BulkRate      int64               // bytes a second for all nodes that are far behind together
	Connections   int64               // at once
	NetworkMemory int64               // bytes that connections and streams may hold
	Peers         map[string][]string // organisation id → further multiaddrs

	origins map[string]string
}

// A Source is where settings beside the file come from.
type Source struct {
	Dir     string                      // data directory
	Environ func(string) (string, bool) // os.LookupEnv
	Flags   map[string]string           // values given as flags, by setting's name
}

// Origins of settings.
const (
	originDefault = "default"
	originFile    = FileName
)

// Load reads the settings. What is wrong gets BAD_CONFIG and one sentence that
// says where: line and column in the file, the variable or the flag.
func Load(s Source) (*Config, error) {
	k := koanf.NewWithConf(koanf.Conf{Delim: "/", StrictMerge: true})
	c := &Config{origins: map[string]string{}}
	file, err := readFile(filepath.Join(s.Dir, FileName))
	if err != nil {
		return nil, err
	}
	layers := []struct {
		values layer
		origin func(name string) string
	}{
		{defaults(), constant(originDefault)},
		{file, constant(originFile)},
	}
	for _, l := range layers {
		if err := c.apply(k, l.values, l.origin); err != nil {
			return nil, err
		}
	}
	if err := c.override(k, s.environ, variable); err != nil {
		return nil, err
	}
	if err := c.override(k, s.flag, flagName); err != nil {
		return nil, err
	}
	c.take(k)
	return c, nil
}

func constant(s string) func(string) string { return func(string) string { return s } }

// override applies the settings that are given as text.
func (c *Config) override(k *koanf.Koanf, get func(string) (string, bool), origin func(string) string) error {
	l := layer{}
	for _, s := range settings {
		text, ok := get(s.name)
		if !ok || s.parse == nil {
			continue
		}
		v, err := s.parse(text)
		if err != nil {
			return spec.Errorf(spec.CodeConfig, "%s takes %s", origin(s.name), s.takes)
		}
		l[s.name] = v
	}
	return c.apply(k, l, origin)
}

func (c *Config) apply(k *koanf.Koanf, l layer, origin func(string) string) error {
	if err := k.Load(l, nil); err != nil {
		return spec.Errorf(spec.CodeConfig, "merging settings: %w", err)
	}
	for name := range l {
		c.origins[name] = origin(name)
	}
	return nil
}

func (c *Config) take(k *koanf.Koanf) {
	c.Listen = k.Strings("listen")
	c.HTTP = k.String("http")
	c.Profile = k.String("profile")
	c.LogLevel = k.String("log_level")
	c.LogFormat = k.String("log_format")
	c.MaxFileBytes = k.Int64("max_file_bytes")
	c.Sightings = k.Int64("sightings_days")
	c.Upstreams = k.Strings("upstreams")
	c.Followers, c.Subscribers, c.BulkRate = k.Int64("followers"), k.Int64("subscribers"), k.Int64("bulk_rate")
	c.Connections, c.NetworkMemory = k.Int64("max_connections"), k.Int64("network_memory")
	c.FailClosed, c.Verify = interval(k.String("fail_closed_after")), k.String("verify")
	c.PurgeEvery, c.VerifyEvery = interval(k.String("purge_every")), interval(k.String("verify_every"))
	c.WitnessListen, c.WitnessName = k.String("witness_listen"), k.String("witness_name")
	c.WitnessLogs, c.Witnesses = k.Strings("witness_logs"), k.Strings("witnesses")
	c.Peers = k.StringsMap("peers")
}

func (s Source) environ(name string) (string, bool) {
	if s.Environ == nil {
		return "", false
	}
	return s.Environ(variable(name))
}

func (s Source) flag(name string) (string, bool) {
	v, ok := s.Flags[name]
	return v, ok
}

// A layer is the settings of one source by name.
type layer map[string]any

// Read implements koanf.Provider.
func (l layer) Read() (map[string]any, error) { return l, nil }

// ReadBytes implements koanf.Provider.
func (l layer) ReadBytes() ([]byte, error) { return nil, errors.ErrUnsupported }

// readFile returns the settings of the file, none when there is no file.
func readFile(path string) (layer, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, spec.Errorf(spec.CodeConfig, "opening the settings: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	if err != nil {
		return nil, spec.Errorf(spec.CodeConfig, "reading %s: %w", path, err)
	}
	return parse(path, data)
}
