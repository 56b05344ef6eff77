package proxy

import (
	"tether/http1"
	"tether/session/identity"
	"tether/traceparent"
	"tether/upstream"
	"tether/upstream/transport"
)

// outbound has the parts of the request to an upstream.
type outbound struct {
	request *request
	client  *client
	session *identity.Identity
	body    transport.Body
	span    *traceparent.Span
	number  int // of the attempt, from 0 on
}

// append appends the request head for u to dst.
func (o *outbound) append(dst []byte, u *upstream.Upstream) []byte {
	r, in, options, address := o.request, o.request.in, u.RequestOptions(), u.Address()
	dst = append(append(append(dst, r.head.method...), ' '), address.Prefix...)
	dst = append(append(dst, r.head.target...), " HTTP/1.1\r\nHost: "...)
	if options.PreserveHost && len(in.host) > 0 {
		dst = append(dst, in.host...)
	} else {
		dst = append(dst, address.Host...)
	}
	dst = append(dst, "\r\n"...)
	lines := len(dst)
	dst = in.appendLines(dst, options)
	if o.span.Sampled {
		dst = appendSpan(dst, lines, o.span, o.number)
	}
	if rank := u.Rank(); rank != upstream.NoRank {
		dst = appendNumber(dst, "X-data-parallel-rank: ", int64(rank))
	}
	dst = appendField(dst, "X-Forwarded-For: ", in.list(in.forwardedFor), o.client.peer)
	dst = appendField(dst, "X-Forwarded-Proto: ", nil, in.believed(in.forwardedProto, o.client.proto))
	if host := in.believed(in.forwardedHost, in.host); len(host) > 0 {
		dst = appendField(dst, "X-Forwarded-Host: ", nil, host)
	}
	dst = appendField(dst, "Via: ", in.list(in.via), []byte("1.1 tether"))
	dst = appendField(dst, "X-Request-Id: ", nil, r.requestID)
	switch {
	case o.session.Forwarded():
		dst = appendField(dst, "X-Session-Id: ", nil, o.session.ID())
	case identity.Valid(in.sessionID) && !identity.IsPlaceholder(in.sessionID):
		dst = appendField(dst, "X-Session-Id: ", nil, in.sessionID)
	}
	if r.is(realtimeAPI) {
		dst = append(dst, webSocket...)
	}
	if r.hasBody() {
		dst = appendNumber(dst, "Content-Length: ", int64(o.body.Len()))
	}
	return append(dst, "\r\n"...)
}

// appendSpan appends the traceparent of an attempt, which takes the place of the client's among the fields from lines on.
func appendSpan(dst []byte, lines int, span *traceparent.Span, number int) []byte {
	dst = dst[:lines+len(withoutNamed(dst[lines:], []byte("traceparent")))]
	return append(span.Append(append(dst, "Traceparent: "...), number), "\r\n"...)
}

// appendLines appends the client's fields, and the upstream's key where it has one. A client's Authorization stands
// unless the key overrides it, or it is empty. An X-Api-Key beside it does not count as one: vLLM's --api-key does not look
// there.
func (h *inbound) appendLines(dst []byte, options *transport.RequestOptions) []byte {
	if options.Key == "" {
		return append(dst, h.lines...)
	}
	authorized := false
	for f := http1.NewFields(h.lines); f.Next(); {
		var buf [maxName]byte
		name := http1.FoldName(buf[:], f.Name)
		isAuthorization := string(name) == "authorization"
		if options.OverrideKey && (isAuthorization || string(name) == "x-api-key") || isAuthorization && len(f.Value) == 0 {
			continue
		}
		authorized = authorized || isAuthorization
		dst = append(dst, f.Line...)
	}
	if authorized {
		return dst
	}
	return options.Key.AppendAuthorization(dst)
}

// webSocket are the fields with which the two sides of a hop agree on a WebSocket. Each hop has its own.
const webSocket = "Connection: Upgrade\r\nUpgrade: websocket\r\n"

// list is a trusted peer's list, otherwise empty.
func (h *inbound) list(theirs []byte) []byte {
	if h.trusted {
		return theirs
	}
	return nil
}

// believed is a trusted peer's value, otherwise tether's own.
func (h *inbound) believed(theirs, own []byte) []byte {
	if h.trusted && len(theirs) > 0 {
		return theirs
	}
	return own
}
