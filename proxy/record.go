package proxy

import (
	"encoding/hex"
	"time"

	"tether/session"
	"tether/session/balance"
	"tether/session/fates"
	"tether/session/identity"
	"tether/traceparent"
	"tether/upstream"
)

// Record describes a request that is over. The slices and the Record itself are valid until
// OnDone returns.
type Record struct {
	// Method and Path are as they were sent, the path without the query.
	Method, Path []byte
	// Route is the path on the allowlist, ids as {id}, "" where there is none.
	Route string
	// Caller is the name of the API key that the request carried, "" without one.
	Caller string
	// Model is the model asked for, with an alias replaced by its model.
	Model []byte
	// Status is the status of the answer: 499 if the client left before its end, or before the terminal event of its stream; 101 for a
	// WebSocket, however that ended.
	Status int
	// Reason names what went wrong, "" for an answer that was passed on whole, or a WebSocket that the upstream ended.
	Reason  string
	Outcome session.Outcome
	// Away says why the request did not go to the pin or the home of its session.
	Away balance.Reason
	// From is the upstream that the session was pinned to before this request moved it, nil if it did not or the upstream is gone.
	From *upstream.Upstream
	// Source is the place of the session id, Ignored the number of sources with an invalid one.
	Source  identity.Source
	Ignored int
	// Unfilled has the kinds of places where the client left a placeholder in place of a session id.
	Unfilled identity.KindSet
	// Key is that of the session, zero without one.
	Key identity.Key
	// Upstream is the last one tried, nil if none was.
	Upstream *upstream.Upstream
	// Attempts counts the attempts at upstreams, Replays those of them on a fresh connection to the same upstream. Tries has all of
	// them, and those that did not count.
	Attempts, Replays int
	Tries             []Try
	// Surplus is true if the request was spread because too many requests had the same derived id or prompt_cache_key at the time.
	Surplus bool
	// Freed is the number of pins that the request freed, because it ended its conversation.
	Freed int
	// Wide is true if the id is derived from more than the opening, because many conversations open alike.
	Wide bool
	// Hot is how many requests were in flight under the session's own id, this one included, if the request was spread because they
	// are too many for one conversation; otherwise 0.
	Hot int
	// PromptTokens are the tokens of the prompt, CachedTokens those of them that the server had in its prefix cache,
	// -1 where the answer does not say.
	PromptTokens, CachedTokens int
	// ExpectedTokens are the tokens of the prompt that the server should have had in its prefix cache, because it served the last turn of
	// the session a while ago; 0 where nothing is expected.
	ExpectedTokens int
	// Fates is what became of the tokens of the prompt; zero for answers without usage, and for those that failed. Saved is the time that
	// the server would have needed for the tokens that it had cached, 0 if the model's rate is not known.
	Fates fates.Split
	Saved time.Duration
	// BytesIn and BytesOut count the bodies, BytesOut with the framing of chunks, and all that passed through a WebSocket.
	BytesIn, BytesOut int64
	// Started is when the head's first byte arrived; FirstByte and Duration count from then. FirstByte is that of the answer's
	// body, for vLLM sends a stream's head before it has computed anything; 0 without one, as of a WebSocket.
	Started             time.Time
	FirstByte, Duration time.Duration
	// RequestID is the X-Request-Id, TraceID the trace of traceparent or of Trace, empty without one.
	RequestID, TraceID []byte
	// Trace is the span of the request, zero if it is not traced.
	Trace traceparent.Span
}

// IDSource is the place of the session id in a word: a source as in the configuration, "random" for an id that tether
// drew, "none" without an id.
func (r *Record) IDSource() string {
	switch {
	case r.Source.Kind != 0:
		return r.Source.String()
	case !r.Key.IsZero():
		return "random"
	}
	return "none"
}

// ClientLeft reports whether the client left before the end of the answer, or was cut because it took nothing of it.
func (r *Record) ClientLeft() bool {
	return r.Reason == faultClientGone.reason || r.Reason == faultClientStalled.reason
}

// OverKeyLimit reports whether the request was refused by a limit of its API key.
func (r *Record) OverKeyLimit() bool {
	return r.Reason == faultKeyInFlight.reason || r.Reason == faultKeyRate.reason
}

// describe takes into the Record what the scratch has of it.
func describe(x *exchange) {
	r, c := &x.rec, &x.caller
	r.TraceID = x.req.in.traceID()
	if r.Trace.Sampled && r.TraceID == nil {
		r.TraceID = hex.AppendEncode(nil, r.Trace.Trace[:])
	}
	r.Ignored, r.Unfilled = c.search.Ignored, c.search.Unfilled
	r.Source, r.Wide = c.session.Source, c.session.Wide
}

// record completes the Record of a request that ends at now, and shows it to OnDone. Status, Reason, BytesIn, and what
// tether or a tunnel sent, are in it already.
func (x *exchange) record(now time.Time) {
	r, t, q, c := &x.rec, &x.tries, &x.req, &x.caller
	if x.scratch != nil {
		describe(x)
	}
	r.Method, r.Path, r.RequestID = q.head.method, q.path(), q.requestID
	if q.endpoint != nil {
		r.Route = q.endpoint.name
	}
	r.Caller, r.Model, r.Key = c.name(), c.model, c.key
	r.Upstream, r.Outcome, r.Surplus = x.route.Last(), outcomeOf(t, &x.route), x.route.Surplus()
	r.Away, r.From = x.route.Away(), session.MovedFrom(&x.route)
	r.Hot = x.route.Hot()
	r.Attempts, r.Replays, r.Tries = t.count, t.replays, t.tries
	r.PromptTokens, r.CachedTokens = x.relay.usage.tokens()
	teach(x.p.estimates, x, now)
	r.BytesOut += x.relay.bytes
	if first := x.relay.first; !first.IsZero() {
		r.FirstByte = first.Sub(r.Started)
	}
	r.Duration = now.Sub(r.Started)
	if x.p.onDone != nil {
		x.p.onDone(r)
	}
}
