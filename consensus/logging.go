// SPDX-License-Identifier: Apache-2.0

package consensus

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// raftLogger makes raft log into slog.
type raftLogger struct {
	hclog.Logger // a null logger, for what raft does not use
	to           *slog.Logger
	name         string
	repeats      *repeats
}

// newRaftLogger writes what raft and its transport log to a structured logger.
func newRaftLogger(to *slog.Logger) hclog.Logger {
	return &raftLogger{Logger: hclog.NewNullLogger(), to: to.With("component", "raft"), repeats: &repeats{}}
}

func slogLevel(l hclog.Level) slog.Level {
	switch l {
	case hclog.Error:
		return slog.LevelError
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Info:
		return slog.LevelInfo
	case hclog.Debug:
		return slog.LevelDebug
	}
	return slog.LevelDebug - 4
}

func (l *raftLogger) Log(level hclog.Level, msg string, args ...any) {
	to := slogLevel(level)
	if !l.to.Enabled(context.Background(), to) {
		return
	}
	plain, about := readable(args)
	if to >= slog.LevelInfo {
		left, ok := l.repeats.admit(msg+" "+about, time.Now())
		if !ok {
			return
		}
		if left > 0 {
			plain = append(plain, "left_out", left)
		}
	}
	l.to.Log(context.Background(), to, msg, plain...)
}

// readable returns what raft logs as values that any handler writes as words, and the
// peer that it is about, or "".
func readable(args []any) (plain []any, about string) {
	plain = make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case hclog.Format: // a format and its operands
			if len(a) > 0 {
				plain[i] = fmt.Sprintf(fmt.Sprint(a[0]), a[1:]...)
			}
		case raft.Server:
			plain[i] = string(a.ID)
		case error:
			plain[i] = a
		case fmt.Stringer:
			plain[i] = a.String()
		default:
			plain[i] = a
		}
		if i > 0 && (args[i-1] == "peer" || args[i-1] == "target" || args[i-1] == "server-id") {
			about = fmt.Sprint(plain[i])
		}
	}
	return plain, about
}

func (l *raftLogger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l *raftLogger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *raftLogger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *raftLogger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *raftLogger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *raftLogger) enabled(level hclog.Level) bool {
	return l.to.Enabled(context.Background(), slogLevel(level))
}

func (l *raftLogger) IsTrace() bool { return l.enabled(hclog.Trace) }
func (l *raftLogger) IsDebug() bool { return l.enabled(hclog.Debug) }
func (l *raftLogger) IsInfo() bool  { return l.enabled(hclog.Info) }
func (l *raftLogger) IsWarn() bool  { return l.enabled(hclog.Warn) }
func (l *raftLogger) IsError() bool { return l.enabled(hclog.Error) }
func (l *raftLogger) Name() string  { return l.name }

func (l *raftLogger) With(args ...any) hclog.Logger {
	return &raftLogger{Logger: l.Logger, to: l.to.With(args...), name: l.name, repeats: l.repeats}
}

func (l *raftLogger) Named(name string) hclog.Logger {
	return &raftLogger{Logger: l.Logger, to: l.to.With("part", name), name: name, repeats: l.repeats}
}

func (l *raftLogger) ResetNamed(name string) hclog.Logger { return l.Named(name) }

func (l *raftLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return slog.NewLogLogger(l.to.Handler(), slog.LevelInfo)
}

func (l *raftLogger) StandardWriter(o *hclog.StandardLoggerOptions) io.Writer {
	return l.StandardLogger(o).Writer()
}
