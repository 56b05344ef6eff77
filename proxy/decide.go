package proxy

import (
	"bytes"
	"encoding/json"

	"tether/failure"
	"tether/upstream"
)

// What follows an attempt. The rules for all that can go wrong before the first byte to the client stand here and
// nowhere else; docs/ARCHITECTURE.md has them as a table.

// Try is one attempt of a request.
type Try struct {
	Upstream *upstream.Upstream
	Failure  failure.Kind
}

// next is what follows an attempt.
type next uint8

const (
	// pass: the answer goes to the client.
	pass next = iota
	// replay: once more to the same upstream, on a fresh connection.
	replay
	// another: to the next upstream of the order.
	another
	// giveUp: the fault goes to the client.
	giveUp
)

// trail is what a request's attempts have come to so far.
type trail struct {
	replayed bool // on a fresh connection after a stale one
	// given: an upstream that got the whole request died over it or answered 503. A prompt that kills engines
	// must not tour the fleet: one more gets it, no third.
	given bool
	died  bool // it died over it
	busy  bool // one answered 503, or refused while it shuts down
	// named: the request is about a response that only one server has. Nobody else can answer it.
	named bool
	// background: a server that has the request works on it after its answer. Nobody else may get it, unless the
	// server said that it does not.
	background bool
}

// afterFailure decides after an attempt that brought no answer.
func (t *trail) afterFailure(err error) next {
	switch err {
	case failure.Refused, failure.Unreachable, failure.Insecure:
		if t.replayed { // on the connection before, it may have got the request, and died over it
			return t.afterDeath()
		}
		return another
	case failure.Stale:
		if !t.replayed {
			t.replayed = true
			return replay
		}
		return t.afterDeath()
	case failure.Cut:
		return t.afterDeath()
	}
	return giveUp // Exhausted, BadHead, HeadTimeout
}

// afterDeath decides after an upstream died over the whole request, or as good as.
func (t *trail) afterDeath() next {
	t.died = true
	if t.named || t.background || t.given {
		return giveUp
	}
	t.given = true
	return another
}

// afterAnswer decides after an answer. leaving tells that it is vLLM's refusal while it shuts down: that server
// has not begun to work on the request, so it does not count as given.
func (t *trail) afterAnswer(status int, leaving bool) next {
	switch {
	case leaving && !t.named:
		t.busy = true
		return another
	case status == 503 && !t.named && !t.background && !t.given:
		t.given, t.busy = true, true
		return another
	}
	return pass
}

// verdict is the fault that the client gets when nobody is left to ask. last is that of the last attempt.
func (t *trail) verdict(last *fault) *fault {
	switch {
	case t.died && last != errClientLeft:
		return errDied
	case t.busy && last == errNoAnswer:
		return errNobodyUp // one was there, and asked for patience
	}
	return last
}

// shutdownText is what vLLM's engine client raises once it was told to stop (tried with 0.32.0): new requests get
// it as a 500 while those in flight finish, and /health stays 200.
const shutdownText = "cannot schedule new futures after shutdown"

// maxShutdownBody bounds the body that is looked at for it.
const maxShutdownBody = 4 << 10

// saysLeaving reports whether the body of a 500 is vLLM's refusal while it shuts down: its whole message, for a
// model may well write such words.
func saysLeaving(body []byte) bool {
	if !bytes.Contains(body, []byte(shutdownText)) {
		return false
	}
	var answer struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	return json.Unmarshal(body, &answer) == nil && answer.Error.Message == shutdownText
}
