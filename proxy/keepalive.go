package proxy

import (
	"time"

	"tether/wire"
)

// An event stream whose upstream is silent gets comments between its events, if the configuration wants that: proxies in front of tether cut
// connections on which nothing arrives for a while, and a prompt may take longer. Clients of event streams ignore comments (WHATWG HTML
// 9.2.6). The silence of the upstream is measured without regard to comments, so they never hide a dead engine.

// keepAlive is the comment, and keepAliveChunk the same as a chunk. The blank line is for clients that split a stream at blank lines before
// they look for comments. Neither must be changed.
var (
	keepAlive      = []byte(": keep-alive\n\n")
	keepAliveChunk = []byte("e\r\n: keep-alive\n\n\r\n")
)

// listen begins a silence of the upstream at now, and returns how long to wait for its end.
func listen(x *exchange, now time.Time) time.Duration {
	x.listening = now
	if every := x.settings.SSEKeepalive; every > 0 && keepsAlive(x) {
		return min(every, x.settings.IdleTimeout)
	}
	return x.settings.IdleTimeout
}

// keepsAlive reports whether the answer may get comments. Nothing may be added to a body whose length the client knows, or that is
// compressed.
func keepsAlive(x *exchange) bool {
	a := &x.attempt.answer
	return a.EventStream && !a.Encoded && (x.relay.framing.Chunked() || x.relay.framing.UntilClose())
}

// silent takes in that the upstream has been silent until now for as long as listen or silent said. It returns what the client gets meanwhile,
// nil for nothing, and how long to wait again: 0 if the upstream has been silent for the idle limit.
func silent(x *exchange, now time.Time) (comments []byte, wait time.Duration) {
	left := x.settings.IdleTimeout - now.Sub(x.listening)
	if left <= 0 || x.settings.SSEKeepalive <= 0 || !keepsAlive(x) {
		return nil, 0
	}
	if !x.relay.framing.BetweenEvents() {
		return nil, left
	}
	comments = keepAlive
	if x.relay.chunked() {
		comments = keepAliveChunk
	}
	x.rec.BytesOut += int64(len(comments))
	return comments, min(x.settings.SSEKeepalive, left)
}

// pump passes the rest of the answer on, on a goroutine.
func (x delivery) pump() (end wire.End, err error) {
	wait := listen(x.exchange, x.relay.last)
	for {
		end, err = wire.Pump(x.client.Client, x.attempt.conn.Conn, *x.attempt.buf, wait, &x.relay)
		if end != wire.SourceIdle {
			return end, err
		}
		x.listening = x.relay.last
		var comments []byte
		if comments, wait = silent(x.exchange, time.Now()); wait == 0 {
			return end, err
		}
		if len(comments) == 0 {
			continue
		}
		if err := x.client.send(comments); err != nil {
			return wire.TargetFailed, err
		}
	}
}

// stayAlive sends the client of a loop a comment, and reports whether to wait on for the upstream.
func (x driven) stayAlive() bool {
	comments, wait := silent(x.exchange, x.now)
	if wait == 0 {
		return false
	}
	if len(comments) > 0 {
		x.toClient.Push(comments)
	}
	x.attempt.looped.Limit(x.now.Add(wait))
	return true
}
