// SPDX-License-Identifier: Apache-2.0

package consortia

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"

	"github.com/tocsin-db/tocsin/node/durable"
	"github.com/tocsin-db/tocsin/spec"
)

// PolicyFile holds a consortium's import policy in its data directory.
const PolicyFile = "imports.toml"

const (
	maxPolicy = 64 << 10 // bytes of the file
	maxLabels = 256
)

// An Action is what a match with a consortium counts as at this site.
type Action string

// Actions, from the most to the least that they let through.
const (
	Trust  Action = "trust"  // as listed
	Review Action = "review" // for people to look at; never as listed
	Ignore Action = "ignore" // not at all
)

func (a Action) known() bool { return a == Trust || a == Review || a == Ignore }

// strict orders actions.
func (a Action) strict() int {
	switch a {
	case Trust:
		return 0
	case Review:
		return 1
	}
	return 2
}

// A Policy is the import policy of one consortium. It decides about answers of this
// node, never about what is stored.
type Policy struct {
	Default Action            `toml:"default"`
	Labels  map[string]Action `toml:"labels,omitempty"`
}

// Of says what a match with an entry of these labels counts as. The labels that the
// policy names decide, the strictest of them; the default where it names none.
func (p *Policy) Of(labels []string) Action {
	if len(p.Labels) == 0 {
		return p.Default
	}
	out := Action("")
	for _, l := range labels {
		if a, named := p.Labels[l]; named && (out == "" || a.strict() > out.strict()) {
			out = a
		}
	}
	if out == "" {
		return p.Default
	}
	return out
}

// Plain reports whether the policy trusts all: every match counts as listed.
func (p *Policy) Plain() bool {
	if p.Default != Trust {
		return false
	}
	for _, a := range p.Labels {
		if a != Trust {
			return false
		}
	}
	return true
}

// Check refuses with BAD_CONFIG and BAD_LABEL what is no policy.
func (p *Policy) Check() error {
	if !p.Default.known() {
		return spec.Errorf(spec.CodeConfig, "the default of an import policy is trust, review or ignore")
	}
	if len(p.Labels) > maxLabels {
		return spec.Errorf(spec.CodeTooLarge, "an import policy names at most %d labels", maxLabels)
	}
	for l, a := range p.Labels {
		if l == "" || len(l) > spec.MaxLabel || !utf8.ValidString(l) {
			return spec.Errorf(spec.CodeLabel, "a label has 1 to %d bytes", spec.MaxLabel)
		}
		if !a.known() {
			return spec.Errorf(spec.CodeConfig, "the action for the label %q is trust, review or ignore", l)
		}
	}
	return nil
}

// LoadPolicy reads the import policy in a consortium's directory; where there is
// none, all is trusted. What is wrong gets BAD_CONFIG or BAD_LABEL and the place.
func LoadPolicy(dir string) (*Policy, error) {
	path := filepath.Join(dir, PolicyFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Policy{Default: Trust}, nil
	}
	if err != nil {
		return nil, spec.Errorf(spec.CodeConfig, "opening the import policy: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPolicy+1))
	if err == nil && len(data) > maxPolicy {
		err = fmt.Errorf("more than %d bytes", maxPolicy)
	}
	if err != nil {
		return nil, spec.Errorf(spec.CodeConfig, "reading %s: %w", path, err)
	}
	p, err := ParsePolicy(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// ParsePolicy reads the file's content strictly.
func ParsePolicy(data []byte) (*Policy, error) {
	p := &Policy{Default: Trust}
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(p)
	var unknown *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case errors.As(err, &unknown) && len(unknown.Errors) > 0:
		row, _ := unknown.Errors[0].Position()
		return nil, spec.Errorf(spec.CodeConfig, "line %d: an import policy has a default and labels", row)
	case errors.As(err, &wrong):
		row, _ := wrong.Position()
		return nil, spec.Errorf(spec.CodeConfig, "line %d: this cannot be read", row)
	case err != nil:
		return nil, spec.Errorf(spec.CodeConfig, "the file cannot be read")
	}
	return p, p.Check()
}

// Save keeps the policy in a consortium's directory.
func (p *Policy) Save(dir string) error {
	b, err := toml.Marshal(p)
	if err != nil {
		return err
	}
	b = append([]byte("# What a match with this consortium counts as here: trust, review or ignore.\n"), b...)
	if err := durable.Replace(filepath.Join(dir, PolicyFile), b, 0o644); err != nil {
		return fmt.Errorf("keeping the import policy: %w", err)
	}
	return nil
}
