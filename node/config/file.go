// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/tocsin-db/tocsin/spec"
)

// form is the file. A nil field was not in it.
type form struct {
	Listen        *[]string           `toml:"listen"`
	HTTP          *string             `toml:"http"`
	Profile       *string             `toml:"profile"`
	LogLevel      *string             `toml:"log_level"`
	LogFormat     *string             `toml:"log_format"`
	MaxFileBytes  *int64              `toml:"max_file_bytes"`
	PurgeEvery    *string             `toml:"purge_every"`
	VerifyEvery   *string             `toml:"verify_every"`
	FailClosed    *string             `toml:"fail_closed_after"`
	Verify        *string             `toml:"verify"`
	WitnessListen *string             `toml:"witness_listen"`
	WitnessName   *string             `toml:"witness_name"`
	WitnessLogs   *[]string           `toml:"witness_logs"`
	Witnesses     *[]string           `toml:"witnesses"`
	Sightings     *int64              `toml:"sightings_days"`
	Upstreams     *[]string           `toml:"upstreams"`
	Followers     *int64              `toml:"followers"`
	Subscribers   *int64              `toml:"subscribers"`
	BulkRate      *int64              `toml:"bulk_rate"`
	Connections   *int64              `toml:"max_connections"`
	NetworkMemory *int64              `toml:"network_memory"`
	Peers         map[string][]string `toml:"peers"`
}

// parse reads the file strictly.
func parse(path string, data []byte) (layer, error) {
	var syntax map[string]any
	if err := toml.Unmarshal(data, &syntax); err != nil {
		return nil, located(path, err, nil)
	}
	var f form
	d := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, located(path, err, settingOf)
	}
	if _, ok := syntax["peers"]; ok && f.Peers == nil {
		f.Peers = map[string][]string{} // the decoder leaves an empty table nil
	}
	if where, wrong := f.check(); wrong != nil {
		row, column := position(data, where)
		return nil, spec.Errorf(spec.CodeConfig, "%s, line %d, column %d: %s takes %s", path, row, column, where.name(), wrong.takes)
	}
	return f.layer(), nil
}

// settingOf returns the setting at the beginning of a key.
func settingOf(key []string) *setting {
	for i := range settings {
		if len(key) > 0 && key[0] == settings[i].name {
			return &settings[i]
		}
	}
	return nil
}

// located turns what the decoder says into one sentence with its place. of finds
// the setting whose value is of a wrong type; it is nil for errors of syntax.
func located(path string, err error, of func([]string) *setting) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		e := &unknown.Errors[0]
		row, column := e.Position()
		return spec.Errorf(spec.CodeConfig, "%s, line %d, column %d: there is no setting %q", path, row, column, strings.Join(e.Key(), "."))
	}
	var e *toml.DecodeError
	if !errors.As(err, &e) {
		return spec.Errorf(spec.CodeConfig, "%s: %s", path, oneLine(err))
	}
	sentence := oneLine(e)
	if of != nil {
		if s := of(e.Key()); s != nil {
			sentence = strings.Join(e.Key(), ".") + " takes " + s.takes
		}
	}
	row, column := e.Position()
	return spec.Errorf(spec.CodeConfig, "%s, line %d, column %d: %s", path, row, column, sentence)
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "toml: ")), " ")
}

// check returns the first value that is not one of its setting, and where it is.
func (f *form) check() (place, *setting) {
	single := []struct {
		name  string
		value *string
	}{
		{"http", f.HTTP}, {"profile", f.Profile}, {"log_level", f.LogLevel}, {"log_format", f.LogFormat}, {"purge_every", f.PurgeEvery}, {"verify_every", f.VerifyEvery},
		{"fail_closed_after", f.FailClosed}, {"verify", f.Verify}, {"witness_listen", f.WitnessListen}, {"witness_name", f.WitnessName},
	}
	for _, s := range single {
		at := settingOf([]string{s.name})
		if s.value != nil {
			if _, err := at.parse(*s.value); err != nil {
				return place{key: []string{s.name}}, at
			}
		}
	}
	for name, n := range f.numbers() {
		at := settingOf([]string{name})
		if n == nil {
			continue
		}
		if _, err := at.parse(fmt.Sprint(*n)); err != nil {
			return place{key: []string{name}}, at
		}
	}
	for _, l := range []struct {
		name  string
		value *[]string
		check func(string) error
	}{{"listen", f.Listen, checkMultiaddr}, {"witness_logs", f.WitnessLogs, checkLogKey}, {"witnesses", f.Witnesses, checkWitness}, {"upstreams", f.Upstreams, checkUpstream}} {
		if l.value == nil {
			continue
		}
		if i := firstBad(*l.value, l.check); i >= 0 {
			return place{[]string{l.name}, i}, settingOf([]string{l.name})
		}
	}
	return f.checkPeers()
}

func (f *form) numbers() map[string]*int64 {
	return map[string]*int64{
		"max_file_bytes": f.MaxFileBytes, "sightings_days": f.Sightings, "followers": f.Followers, "subscribers": f.Subscribers,
		"bulk_rate": f.BulkRate, "max_connections": f.Connections, "network_memory": f.NetworkMemory,
	}
}

func (f *form) checkPeers() (place, *setting) {
	for id, addresses := range f.Peers {
		i := firstBad(addresses, checkMultiaddr)
		if checkOrganisation(id) != nil || i >= 0 {
			return place{[]string{"peers", id}, max(i, 0)}, settingOf([]string{"peers"})
		}
	}
	return place{}, nil
}

// firstBad returns the place of the first that a check refuses, or -1.
func firstBad(values []string, check func(string) error) int {
	for i, v := range values {
		if check(v) != nil {
			return i
		}
	}
	return -1
}

func (f *form) layer() layer {
	l := layer{}
	set(l, "listen", f.Listen)
	set(l, "http", f.HTTP)
	set(l, "profile", f.Profile)
	set(l, "log_level", f.LogLevel)
	set(l, "log_format", f.LogFormat)
	for name, n := range f.numbers() {
		set(l, name, n)
	}
	set(l, "fail_closed_after", f.FailClosed)
	set(l, "verify", f.Verify)
	set(l, "purge_every", f.PurgeEvery)
	set(l, "verify_every", f.VerifyEvery)
	set(l, "witness_listen", f.WitnessListen)
	set(l, "witness_name", f.WitnessName)
	set(l, "witness_logs", f.WitnessLogs)
	set(l, "witnesses", f.Witnesses)
	set(l, "upstreams", f.Upstreams)
	if f.Peers != nil {
		peers := map[string]any{}
		for id, addresses := range f.Peers {
			peers[id] = addresses
		}
		l["peers"] = peers
	}
	return l
}

func set[T any](l layer, name string, v *T) {
	if v != nil {
		l[name] = *v
	}
}
