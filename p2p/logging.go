// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"context"
	"log/slog"
	"slices"

	"github.com/libp2p/go-libp2p/gologshim"
)

// LogTo sends what libp2p calls an error to a logger. libp2p has one for the process,
// and takes it over with its first line: call it before the first NewHost. Without it
// libp2p writes to standard error in its own way.
func LogTo(to *slog.Logger) {
	gologshim.SetDefaultHandler(libp2pErrors{to.With("component", "libp2p").Handler()})
}

// libp2pErrors passes on errors alone, and none of the start of a host: NewHost
// returns those.
type libp2pErrors struct{ slog.Handler }

func (h libp2pErrors) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && h.Handler.Enabled(ctx, level)
}

func (h libp2pErrors) WithAttrs(attrs []slog.Attr) slog.Handler {
	if slices.ContainsFunc(attrs, func(a slog.Attr) bool { return a.Key == "logger" && a.Value.String() == "p2p-config" }) {
		return slog.DiscardHandler
	}
	return libp2pErrors{h.Handler.WithAttrs(attrs)}
}

func (h libp2pErrors) WithGroup(name string) slog.Handler {
	return libp2pErrors{h.Handler.WithGroup(name)}
}
