// SPDX-License-Identifier: Apache-2.0

package raftnet

import (
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// logger makes the stock transport log into slog. What it calls an error is a
// peer that went away, so nothing here is above a warning.
type logger struct {
	hclog.Logger // a null logger, for what the transport does not use
	to           *slog.Logger
}

func newLogger(to *slog.Logger) hclog.Logger {
	return &logger{Logger: hclog.NewNullLogger(), to: to.With("component", "raftnet")}
}

func (l *logger) Debug(msg string, args ...any) { l.to.Debug(msg, args...) }
func (l *logger) Info(msg string, args ...any)  { l.to.Debug(msg, args...) }
func (l *logger) Warn(msg string, args ...any)  { l.to.Warn(msg, args...) }
func (l *logger) Error(msg string, args ...any) { l.to.Warn(msg, args...) }
