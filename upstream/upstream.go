// Package upstream owns the vLLM servers as the proxy sees them: who they are (Registry, Table, Server, Upstream) and in which
// state they are (State). Package transport carries requests to them, package models has what they serve,
// package load how busy they are.
//
// Nothing here decides where a request goes or whether it is tried again: session and proxy do. Health, operators and
// traffic change an upstream's state through its methods; readers load one atomic word.
//
// The rules of spec.go are tested in table_test.go, the words of state.go in change_test.go.
package upstream

import (
	"strconv"
	"sync/atomic"
	"time"

	"tether/upstream/drain"
	"tether/upstream/load"
)

// Upstream is one KV cache, and so one place for sessions: a Server, or one data-parallel rank of it. What is true of
// the server is true of all its ranks; requests are counted, and operators drain, by rank. It is shared and must not be
// copied.
type Upstream struct {
	*Server
	name string
	ref  Ref
	rank int

	state atomic.Uint32 // State; written by states alone
	load.Gauge
	load.Backlog
	drain.Moves
	load.Engine    // written by package health alone
	load.Elsewhere // written by package session/local alone
}

// NoRank is the Rank of an upstream that is a whole server.
const NoRank = -1

// nameOf is the name of a rank of a server, or of the whole server.
func nameOf(server string, rank int) string {
	if rank == NoRank {
		return server
	}
	return server + "@" + strconv.Itoa(rank)
}

// Name is the identity: unique among the upstreams, safe to show and to log.
func (u *Upstream) Name() string { return u.name }

// Ref is the short name of this incarnation.
func (u *Upstream) Ref() Ref { return u.ref }

// Rank is the data-parallel rank that requests to the upstream name, or NoRank.
func (u *Upstream) Rank() int { return u.rank }

// State is the present state.
func (u *Upstream) State() State { return State(u.state.Load()) }

// OwnShare is how busy this process keeps the upstream at now: its part of the backlog with its requests, in which those that failed quickly
// count as if they were in flight, and tunnels do not. q is the backlog alone.
func (u *Upstream) OwnShare(now time.Time) (s load.Share, q load.Queue) {
	q = u.Queue(now)
	return load.Share{Tokens: q.Tokens + int64(u.Failures(now).Tokens), Requests: u.Load(now) - u.Tunnels()}, q
}
