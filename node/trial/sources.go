// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/time/rate"

	"github.com/tocsin-db/tocsin/node/bootstrap"
	"github.com/tocsin-db/tocsin/p2p"
	"github.com/tocsin-db/tocsin/p2p/federation"
	"github.com/tocsin-db/tocsin/p2p/federation/state"
	"github.com/tocsin-db/tocsin/spec"
	"github.com/tocsin-db/tocsin/storage"
)

// SourcesCommand is the subcommand of bench that runs ServeSources in a process of
// its own: what it uses of the processors is not the reader's.
const SourcesCommand = "bootstrap-sources"

// SourcesOptions shape the sources of one snapshot.
type SourcesOptions struct {
	Dir     string // of the node whose store was filled
	Sources int
	Rate    int64  // bits a second of all together; 0: unbounded
	Reader  string // peer id, the only one that is answered
}

// sourcesSaid is what ServeSources says, in one line of JSON, once it serves.
type sourcesSaid struct {
	Size    uint64      `json:"size"`
	Root    spec.Hash   `json:"root"`
	Live    uint64      `json:"live"`
	Entries uint64      `json:"entries"`
	Hosts   []knownHost `json:"hosts"`
}

type knownHost struct {
	ID    p2p.PeerID `json:"id"`
	Addrs []string   `json:"addrs"`
}

// sourcesServed is what it says for each line that it is sent.
type sourcesServed struct {
	Bytes uint64 `json:"bytes"` // so far, as they travel
}

// ServeSources serves a snapshot of a filled store from several hosts, says which on
// out, and ends when in does.
func ServeSources(ctx context.Context, o SourcesOptions, in io.Reader, out io.Writer) (err error) {
	log := slog.New(slog.DiscardHandler)
	s, err := openBench(filepath.Join(o.Dir, "fsm"), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := keepOne(ctx, s); err != nil {
		return err
	}
	var bulk federation.Pacer // nil: not paced
	if o.Rate > 0 {
		bulk = rate.NewLimiter(rate.Limit(o.Rate/8), 1<<20)
	}
	head, kept := s.Head(), s.Snapshots()[0].Head()
	said := sourcesSaid{Size: kept.Size, Root: head.Root, Live: head.Live, Entries: head.Entries}
	if kept.Size != head.Size {
		return spec.Errorf(spec.CodeCorrupt, "the snapshot is of %d leaves, the log has %d", kept.Size, head.Size)
	}
	var servers []*state.Server
	for range o.Sources {
		h, sv, err := serveOne(s, o.Reader, bulk, log)
		if err != nil {
			return err
		}
		defer h.Close()
		servers = append(servers, sv)
		said.Hosts = append(said.Hosts, knownHost{h.ID(), h.Addrs()})
	}
	answer := json.NewEncoder(out)
	if err := answer.Encode(&said); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var served sourcesServed
		for _, sv := range servers {
			_, n := sv.Served()
			served.Bytes += n
		}
		if err := answer.Encode(&served); err != nil {
			return err
		}
	}
	return lines.Err()
}

func serveOne(s *storage.Store, reader string, bulk federation.Pacer, log *slog.Logger) (*p2p.Host, *state.Server, error) {
	key, _, err := newPeer()
	if err != nil {
		return nil, nil, err
	}
	h, err := p2p.NewHost(p2p.Config{
		Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Directory: everyone{p2p.PeerID(reader): spec.RoleReader}, Logger: log,
	})
	if err != nil {
		return nil, nil, err
	}
	return h, state.Serve(h, bootstrap.Source{Store: s, Final: s.Size, Logger: log}, state.ServeOptions{
		Roles: []string{spec.RoleReader}, ChunkRoles: []string{spec.RoleReader}, Bulk: bulk, Logger: log,
	}), nil
}

type everyone map[p2p.PeerID]string

func (e everyone) Role(id p2p.PeerID) (string, bool) { role, ok := e[id]; return role, ok }

func newPeer() (ed25519.PrivateKey, p2p.PeerID, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, "", err
	}
	id, err := p2p.IDFromPublicKey(key.Public().(ed25519.PublicKey))
	return key, id, err
}

func openBench(dir string, log *slog.Logger) (*storage.Store, error) {
	return storage.Open(dir, storage.Options{FS: vfs.Default, Logger: log, Fatal: func(err error) { panic(err) }, SnapshotEvery: 1})
}

// keepOne has a store keep a snapshot, unless it does, and makes it ready to be sent.
func keepOne(ctx context.Context, s *storage.Store) error {
	if len(s.Snapshots()) == 0 {
		if err := sealRoot(s); err != nil {
			return err
		}
		if err := Await(ctx, func() (bool, error) { return len(s.Snapshots()) > 0, nil }); err != nil {
			return err
		}
	}
	return s.Snapshots()[0].Prepare()
}

// sealRoot appends the root of the state to the log.
func sealRoot(s *storage.Store) error {
	tx, err := s.Begin()
	if err != nil {
		return err
	}
	defer tx.Drop()
	roots, err := tx.Roots()
	if err != nil {
		return err
	}
	leaf, err := spec.Encode(&spec.StateRoot{Tag: spec.TagStateRoot, SizeBefore: tx.Size(), LiveRoot: roots.Live, LiveCount: roots.LiveCount, RulesRoot: roots.Rules})
	if err == nil {
		err = tx.Append(leaf)
	}
	if err != nil {
		return err
	}
	return tx.Commit(s.Head().Applied)
}

// A sourcesChild is ServeSources in a process of its own.
type sourcesChild struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said sourcesSaid
}

func startSources(ctx context.Context, dir string, n int, bits int64, reader p2p.PeerID) (*sourcesChild, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &sourcesChild{cmd: exec.CommandContext(ctx, program, "bench", SourcesCommand,
		"--dir", dir, "--sources", strconv.Itoa(n), "--bits", strconv.FormatInt(bits, 10), "--reader", string(reader))}
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the sources: %w", err)
	}
	c.in, c.out = in, bufio.NewReader(out)
	if err := c.hear(&c.said); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the sources: %w", err), c.stop())
	}
	return c, nil
}

func (c *sourcesChild) hear(v any) error {
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}

// sent asks how many bytes were sent so far.
func (c *sourcesChild) sent() (uint64, error) {
	var served sourcesServed
	_, err := c.in.Write([]byte{'\n'})
	if err == nil {
		err = c.hear(&served)
	}
	return served.Bytes, err
}

func (c *sourcesChild) cpu() time.Duration { return cpuOf(c.cmd.Process.Pid) }

// stop ends the process and waits for it.
func (c *sourcesChild) stop() error { return errors.Join(c.in.Close(), c.cmd.Wait()) }
