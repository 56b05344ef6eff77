package proxy

import (
	"tether/http1"
	"tether/session/identity"
	"tether/upstream"
	"tether/upstream/transport"
)

// outbound is what the request to an upstream is made of.
type outbound struct {
	method, target []byte
	in             *inbound
	peer           []byte // the client connection's address as text
	proto          []byte // what the client speaks to us
	requestID      []byte
	session        *identity.Identity
	length         int
	hasBody        bool
	tunnel         bool // it is the handshake of a WebSocket
}

// append appends the request head for u to dst.
func (o *outbound) append(dst []byte, u *upstream.Upstream) []byte {
	m := u.RequestOptions()
	dst = append(append(append(append(dst, o.method...), ' '), o.target...), " HTTP/1.1\r\nHost: "...)
	if m.PreserveHost {
		dst = append(dst, o.in.host...)
	} else {
		dst = append(dst, u.Address().Host...)
	}
	dst = o.appendLines(append(dst, "\r\n"...), m)
	if rank := u.Rank(); rank != upstream.NoRank {
		dst = appendNumber(dst, "X-data-parallel-rank: ", int64(rank))
	}
	dst = appendField(dst, "X-Forwarded-For: ", o.list(o.in.forwardedFor), o.peer)
	dst = appendField(dst, "X-Forwarded-Proto: ", nil, o.believed(o.in.forwardedProto, o.proto))
	dst = appendField(dst, "X-Forwarded-Host: ", nil, o.believed(o.in.forwardedHost, o.in.host))
	dst = appendField(dst, "Via: ", o.list(o.in.via), []byte("1.1 tether"))
	dst = appendField(dst, "X-Request-Id: ", nil, o.requestID)
	switch {
	case o.session.Forwarded():
		dst = appendField(dst, "X-Session-Id: ", nil, o.session.ID())
	case identity.Valid(o.in.sessionID):
		dst = appendField(dst, "X-Session-Id: ", nil, o.in.sessionID)
	}
	if o.tunnel {
		dst = append(dst, webSocket...)
	}
	if o.hasBody {
		dst = appendNumber(dst, "Content-Length: ", int64(o.length))
	}
	return append(dst, "\r\n"...)
}

// appendLines appends the client's fields, and the upstream's key where it has one. A client's Authorization stands
// unless the key overrides it, or it is empty. An X-Api-Key beside it does not count as one: vLLM's --api-key does not look
// there.
func (o *outbound) appendLines(dst []byte, m *transport.RequestOptions) []byte {
	if m.Key == "" {
		return append(dst, o.in.lines...)
	}
	authorized := false
	for f := http1.NewFields(o.in.lines); f.Next(); {
		var room [maxName]byte
		name := http1.FoldName(room[:], f.Name)
		isAuthorization := string(name) == "authorization"
		if m.OverrideKey && (isAuthorization || string(name) == "x-api-key") || isAuthorization && len(f.Value) == 0 {
			continue
		}
		authorized = authorized || isAuthorization
		dst = append(dst, f.Line...)
	}
	if authorized {
		return dst
	}
	return m.Key.AppendAuthorization(dst)
}

// webSocket are the fields with which the two sides of a hop agree on a WebSocket. They speak of one hop only, so each hop
// has its own.
const webSocket = "Connection: Upgrade\r\nUpgrade: websocket\r\n"

// list is what a trusted peer has listed already.
func (o *outbound) list(theirs []byte) []byte {
	if o.in.trusted {
		return theirs
	}
	return nil
}

// believed is a trusted peer's value, else our own.
func (o *outbound) believed(theirs, own []byte) []byte {
	if o.in.trusted && len(theirs) > 0 {
		return theirs
	}
	return own
}
