package proxy

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strconv"

	"github.com/google/uuid"

	"tether/http1"
	"tether/session/identity"
)

// Header fields are read in one pass over the lines as they were sent, in both directions. The other side gets
// them in their order and spelling, except fields that belong to one hop, fields that the sender must not set,
// and fields that tether sets itself. This file reads the fields of clients, outbound.go writes those to upstreams, and answer.go writes
// those of answers.

// inbound is what the fields of a request's head say.
type inbound struct {
	lines []byte // the fields to forward as they are, with a CRLF each

	host, requestID, sessionID    []byte
	forwardedFor                  []byte // X-Forwarded-For, joined if there are several
	forwardedProto, forwardedHost []byte
	via, traceparent              []byte
	contentType                   []byte
	keys                          credentials
	named                         []byte // the values of Connection that name fields
	off                           bool   // X-Tether-Affinity: off
	final                         bool   // the conversation is over with this request
	trusted                       bool   // the peer may speak for others
	origin, asksHeaders           []byte // Origin, and the fields that a preflight names
	asksMethod                    bool   // Access-Control-Request-Method is there
}

// reset forgets the fields. The buffer for lines stays.
func (h *inbound) reset() {
	if h.named != nil { // the fields that Connection named lie after the end
		h.lines = h.lines[:cap(h.lines)]
	}
	clear(h.lines)
	*h = inbound{lines: h.lines[:0]}
}

// maxFinalName is the length of the longest name of a field that ends a conversation.
const maxFinalName = 64

// maxName is the length of the longest other name that matters.
const maxName = 32

// read goes over the lines of the fields and shows each field to search. guarded says that credentials are for tether alone, trusted
// that the peer may speak for others. finals are the names of the fields that end a conversation.
func (h *inbound) read(fields []byte, lines []http1.Line, search *identity.Search, finals []string, guarded, trusted bool) {
	*h = inbound{lines: h.lines[:0], keys: credentials{wanted: guarded}, trusted: trusted}
	var buf [maxFinalName + 1]byte // a longer name is cut, and matches none that matters
	kept, end := 0, 0              // fields[kept:end] are forwarded as they are
	for _, l := range lines {
		name, value := l.Name(fields), l.Value(fields)
		search.Header(name, value)
		name = http1.FoldName(buf[:], name[:min(len(name), len(buf))])
		h.final = h.final || isFinal(name, value, finals)
		if !h.take(name, value) {
			h.lines = append(h.lines, fields[kept:end]...)
			kept = l.To
		}
		end = l.To
	}
	h.lines = append(h.lines, fields[kept:end]...)
	if h.named != nil {
		h.lines = withoutNamed(h.lines, h.named)
	}
}

// isFinal reports whether a field says that the conversation is over. name is folded.
func isFinal(name, value []byte, finals []string) bool {
	for _, final := range finals {
		if string(name) == final {
			return isTrue(value)
		}
	}
	return false
}

// take reads one field, and reports whether it is forwarded as it is. name is folded.
func (h *inbound) take(name, value []byte) bool {
	switch string(name) {
	case "connection":
		if http1.NamesFields(value) {
			h.named = append(append(h.named, value...), ',')
		}
	case "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
		"http2-settings", "content-length", "expect", "x-data-parallel-rank", "x-vllm-priority", "forwarded":
	case "host":
		h.host = value
	case "x-request-id":
		h.requestID = value
	case "x-session-id":
		h.sessionID = joinLists(h.sessionID, value) // which makes no valid id of two
	case "x-tether-affinity":
		h.off = http1.EqualFold(value, "off")
	case "x-forwarded-for":
		h.forwardedFor = joinLists(h.forwardedFor, value)
	case "x-forwarded-proto":
		h.forwardedProto = value
	case "x-forwarded-host":
		h.forwardedHost = value
	case "via":
		h.via = joinLists(h.via, value)
	case "authorization":
		return !h.keys.takeAuthorization(value)
	case "x-api-key":
		return !h.keys.take(value)
	case "traceparent":
		h.traceparent = value
		return true
	case "content-type":
		h.contentType = value
		return true
	case "origin":
		h.origin = joinLists(h.origin, value) // which makes no origin of two
		return true
	case "access-control-request-headers":
		h.asksHeaders = joinLists(h.asksHeaders, value)
		return true
	case "access-control-request-method":
		h.asksMethod = true
		return true
	case "x-real-ip":
		return h.trusted
	default:
		return h.trusted || !bytes.HasPrefix(name, []byte("x-forwarded-")) // proxies have many such names, of their own
	}
	return false
}

// preflight reports whether this is a CORS-preflight request (Fetch standard).
func (h *inbound) preflight() bool { return h.origin != nil && h.asksMethod }

// boundary separates the fields of a body that is a form. "" says that the body is no form.
func (h *inbound) boundary() string {
	if _, form := http1.CutPrefixFold(h.contentType, "multipart/form-data"); !form {
		return ""
	}
	boundary, _ := http1.Param(h.contentType, "boundary")
	return string(boundary)
}

// traceID is the trace of a W3C traceparent (version 00: 2-32-16-2 hex digits), nil without one.
func (h *inbound) traceID() []byte {
	v := h.traceparent
	if len(v) < 55 || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return nil
	}
	for _, c := range v[3:35] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return nil
		}
	}
	return v[3:35]
}

func joinLists(a, b []byte) []byte {
	if a == nil {
		return b
	}
	return bytes.Join([][]byte{a, b}, []byte(", "))
}

// withoutNamed removes from lines the fields that Connection names: they are meant for this hop.
func withoutNamed(lines, named []byte) []byte {
	kept := lines[:0]
	for f := http1.NewFields(lines); f.Next(); {
		drop := false
		for rest := named; len(rest) > 0 && !drop; {
			var item []byte
			item, rest = http1.NextToken(rest)
			drop = len(item) > 0 && bytes.EqualFold(item, f.Name)
		}
		if !drop {
			kept = append(kept, f.Line...)
		}
	}
	return kept
}

// maxRequestID bounds the request id that is kept, in bytes.
const maxRequestID = 128

// requestIDOf is the client's own request id, if it is 1..128 bytes of visible ASCII, or a new one in buf.
func (h *inbound) requestIDOf(buf *[36]byte) []byte {
	if len(h.requestID) <= maxRequestID && identity.Valid(h.requestID) {
		return h.requestID
	}
	// A UUID of version 4 from a source that is not for secrets: it names a request in logs. uuid.New takes three times as long
	// (120 ns), and allocates.
	var id uuid.UUID
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	id[6], id[8] = id[6]&0x0f|4<<4, id[8]&0x3f|2<<6
	text, _ := id.MarshalText() // never fails
	copy(buf[:], text)
	return buf[:]
}

// client is the address whose account pays for a request: the peer's, or behind trusted proxies the one that the
// outermost of them saw.
func (h *inbound) client(peer netip.Addr, trusted []netip.Prefix) netip.Addr {
	at := peer
	for rest := h.forwardedFor; len(rest) > 0 && contains(trusted, at); {
		var last []byte
		if i := bytes.LastIndexByte(rest, ','); i >= 0 {
			rest, last = rest[:i], rest[i+1:]
		} else {
			rest, last = nil, rest
		}
		a, err := netip.ParseAddr(string(http1.Trim(last)))
		if err != nil {
			break
		}
		at = a.Unmap()
	}
	return at
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// appendField appends a field whose value is the list "before, value"; before may be empty. name ends with ": ".
func appendField(dst []byte, name string, before, value []byte) []byte {
	dst = append(dst, name...)
	if len(before) > 0 {
		dst = append(append(dst, before...), ", "...)
	}
	return append(append(dst, value...), "\r\n"...)
}

// appendNumber appends a field whose value is a number. name ends with ": ".
func appendNumber(dst []byte, name string, value int64) []byte {
	return append(strconv.AppendInt(append(dst, name...), value, 10), "\r\n"...)
}
