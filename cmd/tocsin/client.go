// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/tocsin-db/tocsin/node/api"
	"github.com/tocsin-db/tocsin/node/api/wire"
	"github.com/tocsin-db/tocsin/node/consortia"
	"github.com/tocsin-db/tocsin/spec"
)

// connect returns a client of the node that runs on the data directory, for the one
// consortium that --consortium names.
func connect(c *cli.Context) (*wire.ClientWithResponses, error) {
	base := "http://localhost"
	if name := c.String("consortium"); name != "" {
		if err := consortia.CheckName(name); err != nil {
			return nil, err
		}
		base += "/consortia/" + name
	}
	return client(c, base)
}

// connectAll is connect for all consortia.
func connectAll(c *cli.Context) (*wire.ClientWithResponses, error) {
	return client(c, "http://localhost")
}

func client(c *cli.Context, base string) (*wire.ClientWithResponses, error) {
	dir, err := dataDir(c)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, api.SocketName))
		return conn, dialError(dir, err)
	}}
	return wire.NewClientWithResponses(base, wire.WithHTTPClient(&http.Client{Transport: transport}))
}

// dialError says in words why the socket cannot be opened.
func dialError(dir string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return spec.Errorf(spec.CodeUnavailable, "no node is running on %s; start one with: tocsin --data %s agent", dir, dir)
	case errors.Is(err, fs.ErrPermission):
		return spec.Errorf(spec.CodeDenied, "this user may not open the node's socket in %s", dir)
	}
	return spec.Errorf(spec.CodeUnavailable, "reaching the node on %s: %w", dir, err)
}

// callError returns what is wrong with an answer: the error of the call, or the
// problem that the node reported. It returns nil for the expected status.
func callError(err error, resp *http.Response, want int, p *wire.Problem) error {
	if err != nil {
		var coded *spec.Error
		if errors.As(err, &coded) {
			return coded
		}
		if errors.Is(err, context.Canceled) {
			return spec.Errorf(spec.CodeUsage, "interrupted")
		}
		return spec.Errorf(spec.CodeUnavailable, "the node broke the connection off: %w", err)
	}
	if resp.StatusCode == want {
		return nil
	}
	if p == nil || p.Code == "" {
		return spec.Errorf(spec.CodeInternal, "the node answered with status %d", resp.StatusCode)
	}
	detail := p.Detail
	if p.Pointer != "" {
		detail = fmt.Sprintf("%s (%s)", p.Detail, p.Pointer)
	}
	return &spec.Error{Code: spec.Code(p.Code), Message: detail}
}
