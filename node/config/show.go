// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// A Setting is one setting in force.
type Setting struct {
	Name   string `json:"name"`
	Value  any    `json:"value"`
	Origin string `json:"origin"` // "default", "tocsin.toml", a variable or a flag
}

// Settings lists every setting in the order of the documentation.
func (c *Config) Settings() []Setting {
	values := []any{
		c.Listen, c.HTTP, c.Profile, c.LogLevel, c.LogFormat, c.MaxFileBytes, written(c.PurgeEvery), written(c.VerifyEvery),
		written(c.FailClosed), c.Verify, c.WitnessListen, c.WitnessName, c.WitnessLogs, c.Witnesses, c.Sightings,
		c.Upstreams, c.Followers, c.Subscribers, c.BulkRate, c.Connections, c.NetworkMemory, c.Peers,
	}
	out := make([]Setting, len(settings))
	for i, s := range settings {
		out[i] = Setting{s.name, values[i], c.origins[s.name]}
	}
	return out
}

// Given reports whether a setting was given somewhere.
func (c *Config) Given(name string) bool { return c.origins[name] != originDefault }

// TOML returns the settings as a file that would set them, with each one's
// origin in a comment when asked for.
func (c *Config) TOML(origin bool) (string, error) {
	var b strings.Builder
	for _, s := range c.Settings() {
		var one bytes.Buffer
		e := toml.NewEncoder(&one)
		if err := e.Encode(map[string]any{s.Name: s.Value}); err != nil {
			return "", err
		}
		text := strings.TrimLeft(one.String(), "\n")
		if text == "" { // an empty table
			text = "[" + s.Name + "]\n"
		}
		if origin {
			first, rest, _ := strings.Cut(text, "\n")
			text = first + "  # " + s.Origin + "\n" + rest
		}
		b.WriteString(text)
	}
	return b.String(), nil
}
