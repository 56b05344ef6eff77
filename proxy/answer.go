package proxy

import (
	"bytes"
	"time"

	"tether/http1"
	"tether/session"
)

// answerFields are the fields that tether adds to answers.
type answerFields struct {
	sessionID, requestID []byte
	outcome              session.Outcome
	upstream             string        // name to show, "" for none
	allow                string        // methods, on 405
	prefix               string        // of the upstream's URL: URLs in the answer are given without it
	connection           string        // Connection's value, "" for no such field
	retryAfter           bool          // ask the client to try again in a second
	wait                 time.Duration // after which a fault asks the client to try again, if that is more than a second
	tunnel               bool          // the answer opens a WebSocket
	cors                 *cors         // nil for none
	origin               []byte        // of the page that asks, nil for none
}

func (a *answerFields) append(dst []byte) []byte {
	if len(a.sessionID) > 0 {
		dst = appendField(dst, "X-Session-Id: ", nil, a.sessionID)
	}
	if len(a.requestID) > 0 {
		dst = appendField(dst, "X-Request-Id: ", nil, a.requestID)
	}
	dst = append(append(append(dst, "X-Tether-Affinity: "...), a.outcome.String()...), "\r\n"...)
	if a.upstream != "" {
		dst = append(append(append(dst, "X-Tether-Upstream: "...), a.upstream...), "\r\n"...)
	}
	if a.allow != "" {
		dst = append(append(append(dst, "Allow: "...), a.allow...), "\r\n"...)
	}
	if a.retryAfter {
		dst = append(dst, "Retry-After: 1\r\n"...)
	}
	switch {
	case a.tunnel:
		dst = append(dst, webSocket...)
	case a.connection != "":
		dst = append(append(append(dst, "Connection: "...), a.connection...), "\r\n"...)
	}
	return dst
}

// appendAnswerHead appends the head of an upstream's answer for the client. chunked says that the body follows in
// the chunked coding.
func appendAnswerHead(dst []byte, h *http1.Head, own answerFields, chunked bool) []byte {
	dst, allowsOrigin, varies := own.appendTheirs(dst, h, chunked)
	dst = own.append(dst)
	switch {
	case allowsOrigin:
		dst = append(dst, exposedFields...)
	case own.cors != nil && !own.tunnel:
		if dst = own.cors.append(dst, own.origin); !varies {
			dst = append(dst, varyByOrigin...)
		}
	}
	switch {
	case chunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case h.Length >= 0 && h.Status >= 200 && h.Status != 204: // RFC 9110 8.6
		dst = appendNumber(dst, "Content-Length: ", h.Length)
	}
	return append(dst, "\r\n"...)
}

// appendInterimHead appends an interim answer of an upstream for the client. prefix is that of the upstream's URL.
func appendInterimHead(dst []byte, h *http1.Head, prefix string) []byte {
	own := answerFields{prefix: prefix}
	dst, _, _ = own.appendTheirs(dst, h, false)
	return append(dst, "\r\n"...)
}

// appendTheirs appends the status line and those fields of an upstream's answer that are passed on. allowsOrigin and varies tell what
// the upstream says about pages of other origins.
func (a *answerFields) appendTheirs(dst []byte, h *http1.Head, chunked bool) (out []byte, allowsOrigin, varies bool) {
	dst = append(append(dst, "HTTP/1.1"...), h.StatusLine[len("HTTP/1.1"):]...)
	lines := h.Lines
	if h.Names {
		lines = withoutNamed(bytes.Clone(lines), connectionNames(lines))
	}
	for f := http1.NewFields(lines); f.Next(); {
		var buf [maxName]byte
		switch string(http1.FoldName(buf[:], f.Name)) {
		case "connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "content-length", "upgrade",
			"x-session-id", "x-request-id", "x-tether-affinity", "x-tether-upstream":
			continue
		case "access-control-allow-origin":
			allowsOrigin = true
		case "vary":
			varies = varies || a.cors != nil && variesByOrigin(f.Value)
		case "retry-after":
			a.retryAfter = false // the upstream knows better
		case "trailer":
			if !chunked {
				continue
			}
		case "location", "content-location":
			dst = appendField(append(dst, f.Name...), ": ", nil, clientPath(f.Value, a.prefix))
			continue
		}
		dst = append(dst, f.Line...)
	}
	return dst, allowsOrigin, varies
}

// connectionNames is the list of all Connection fields among lines.
func connectionNames(lines []byte) (names []byte) {
	for f := http1.NewFields(lines); f.Next(); {
		if http1.EqualFold(f.Name, "connection") {
			names = append(append(names, f.Value...), ',')
		}
	}
	return names
}

// clientPath is a URL of an upstream as a client can ask for it: as a path, without the prefix of the upstream's own URL. Clients
// must not learn where the upstream is.
func clientPath(url []byte, prefix string) []byte {
	url = withoutAuthority(url)
	rest, has := bytes.CutPrefix(url, []byte(prefix))
	switch {
	case prefix == "" || !has:
		return url
	case len(rest) == 0 || rest[0] == '?' || rest[0] == '#':
		return append([]byte("/"), rest...)
	case rest[0] == '/':
		return rest
	}
	return url // another name that begins like the prefix
}

// withoutAuthority is a URL as a path.
func withoutAuthority(url []byte) []byte {
	if i := bytes.IndexAny(url, ":/?#"); i >= 0 && bytes.HasPrefix(url[i:], []byte("://")) {
		url = url[i+1:]
	}
	for bytes.HasPrefix(url, []byte("//")) {
		i := bytes.IndexAny(url[2:], "/?#")
		if i < 0 {
			return []byte("/")
		}
		if url = url[2+i:]; url[0] != '/' {
			return append([]byte("/"), url...)
		}
	}
	return url
}
