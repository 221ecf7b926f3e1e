// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/tocsin-db/tocsin/spec"
)

// A door is a listener of the node.
type door uint8

const (
	socketDoor door = 1 << iota // unix socket: the organisation's own processes
	tcpDoor                     // loopback address: whoever is on the machine
)

// A route says on which doors it is served and how much of a body it takes.
type route struct {
	doors   door
	maxBody int64 // bytes; fileBody: of a file; streamBody: no end, each line is bounded
}

// Kinds of bodies without a constant limit.
const (
	noBody     int64 = 0
	fileBody   int64 = -1
	streamBody int64 = -2
	rowsBody   int64 = -3

	smallBody = 64 << 10 // a vote, a dispute, an invitation
	largeBody = 4 << 20  // signals of a query or of a proposal, a taxonomy
)

// routes is who may call what. What is not listed is denied.
var routes = map[string]route{
	"POST /v1/match":       {socketDoor | tcpDoor, fileBody},
	"POST /v1/match:batch": {socketDoor | tcpDoor, streamBody},
	"POST /v1/match:rows":  {socketDoor | tcpDoor, rowsBody},
	"GET /livez":           {socketDoor | tcpDoor, noBody},
	"GET /readyz":          {socketDoor | tcpDoor, noBody},

	"POST /v1/proposals":          {socketDoor, largeBody},
	"POST /v1/votes":              {socketDoor, smallBody},
	"POST /v1/disputes":           {socketDoor, smallBody},
	"POST /v1/withdrawals":        {socketDoor, smallBody},
	"POST /v1/memberships":        {socketDoor, smallBody},
	"POST /v1/keys":               {socketDoor, smallBody},
	"GET /v1/policy":              {socketDoor, noBody},
	"POST /v1/policy":             {socketDoor, smallBody},
	"GET /v1/taxonomy":            {socketDoor, noBody},
	"POST /v1/taxonomy":           {socketDoor, largeBody},
	"GET /v1/allowed":             {socketDoor, noBody},
	"POST /v1/allowed":            {socketDoor, smallBody},
	"POST /v1/actions":            {socketDoor, smallBody},
	"POST /v1/invitations":        {socketDoor, smallBody},
	"GET /v1/cases":               {socketDoor, noBody},
	"GET /v1/cases/{id}":          {socketDoor, noBody},
	"GET /v1/entries":             {socketDoor, noBody},
	"GET /v1/entries/{id}":        {socketDoor, noBody},
	"GET /v1/members":             {socketDoor, noBody},
	"GET /v1/reports/propagation": {socketDoor, noBody},
	"GET /v1/reports/compliance":  {socketDoor, noBody},
	"GET /v1/status":              {socketDoor, noBody},
	"POST /v1/verify":             {socketDoor, noBody},

	"GET /v1/consortia":                 {socketDoor, noBody},
	"POST /v1/consortia":                {socketDoor, smallBody},
	"POST /v1/consortia/{name}/leave":   {socketDoor, noBody},
	"POST /v1/consortia/{name}/imports": {socketDoor, smallBody},

	"POST /v1/repair": {socketDoor, noBody},
}

// A caller is who is at the other end of a connection.
type caller struct {
	door  door
	uid   int
	known bool // uid was told by the kernel
}

type callerKey struct{}

// withCaller marks the connections of a door with who called, and with the logger. It is an
// http.Server's ConnContext.
func withCaller(d door, log *slog.Logger) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, c net.Conn) context.Context {
		who := caller{door: d}
		if u, ok := c.(*net.UnixConn); ok {
			who.uid, who.known = peerUID(u)
		}
		return context.WithValue(context.WithValue(ctx, loggerKey{}, log), callerKey{}, who)
	}
}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

var ownUID = os.Getuid()

// admit decides whether a caller may use a route.
func admit(who caller, r route) error {
	switch {
	case who.door == socketDoor && (!who.known || who.uid != ownUID && who.uid != 0):
		return spec.Errorf(spec.CodeDenied, "the socket serves processes of the node's own user and of root")
	case who.door&r.doors == 0:
		return spec.Errorf(spec.CodeDenied, "this route is served on the node's unix socket alone")
	}
	return nil
}

// guardTCP refuses what a web page could make a browser send to the loopback
// address: requests for another host's name, as after DNS rebinding, and those
// from another origin.
func guardTCP(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackName(r.Host) {
			fail(w, r, spec.Errorf(spec.CodeDenied, "the Host header names no loopback address"))
			return
		}
		if err := origin.Check(r); err != nil {
			fail(w, r, spec.Errorf(spec.CodeDenied, "the request comes from another origin"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func loopbackName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
