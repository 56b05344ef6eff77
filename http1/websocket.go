package http1

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
)

// Errors of Handshake.
var (
	// ErrNoWebSocket says that the request asks for no WebSocket, or for another version. The status is 426.
	ErrNoWebSocket = errors.New("no upgrade to a WebSocket of version 13")
	// ErrHandshake says that the handshake is malformed. The status is 400.
	ErrHandshake = errors.New("malformed WebSocket handshake")
)

// Handshake reads the WebSocket handshake of a GET (RFC 6455 4.2.1) and returns its key. lines are the fields of the head that
// g accepted.
func (g *Guard) Handshake(lines []byte) (key []byte, err error) {
	var u upgrade
	var keys, versions int
	var version13 bool
	for f := NewFields(lines); f.Next(); {
		u.take(&f)
		switch {
		case EqualFold(f.Name, "sec-websocket-key"):
			keys++
			key = f.Value
		case EqualFold(f.Name, "sec-websocket-version"):
			versions++
			version13 = string(f.Value) == "13"
		}
	}
	switch {
	case g.HTTP10(), !u.connection, u.fields == 0: // HTTP/1.0 must ignore Upgrade (RFC 9110 7.8)
		return nil, ErrNoWebSocket
	case g.Chunked, g.Length > 0, u.fields > 1, versions != 1, keys != 1, !isKey(key):
		return nil, ErrHandshake
	case !u.webSocket, !version13:
		return nil, ErrNoWebSocket
	}
	return key, nil
}

// AsksWebSocket reports whether the fields ask for a WebSocket, by a handshake that may be malformed otherwise.
func (g *Guard) AsksWebSocket(lines []byte) bool {
	var u upgrade
	for f := NewFields(lines); f.Next(); {
		u.take(&f)
	}
	return !g.HTTP10() && u.connection && u.webSocket // HTTP/1.0 must ignore Upgrade (RFC 9110 7.8)
}

// upgrade is what a head says about another protocol on its connection.
type upgrade struct {
	connection bool // Connection has the token upgrade
	fields     int  // the number of Upgrade fields
	webSocket  bool // the last of them is websocket alone
}

func (u *upgrade) take(f *Fields) {
	switch {
	case EqualFold(f.Name, "connection"):
		u.connection = u.connection || hasToken(f.Value, "upgrade")
	case EqualFold(f.Name, "upgrade"):
		u.fields++
		u.webSocket = EqualFold(f.Value, "websocket")
	}
}

// isKey reports whether b is 16 bytes in base64.
func isKey(b []byte) bool {
	var buf [18]byte
	if len(b) != base64.StdEncoding.EncodedLen(16) {
		return false
	}
	n, err := base64.StdEncoding.Decode(buf[:], b)
	return err == nil && n == 16
}

// Switches reports whether h is the answer to a handshake with key that turns its connection into a WebSocket (RFC 6455 4.1).
func (h *Head) Switches(key []byte) bool {
	var u upgrade
	accepts, accepted := 0, false
	for f := NewFields(h.Lines); f.Next(); {
		u.take(&f)
		if EqualFold(f.Name, "sec-websocket-accept") {
			accepts++
			accepted = bytes.Equal(f.Value, acceptOf(key))
		}
	}
	return h.Status == 101 && u.connection && u.fields == 1 && u.webSocket && accepts == 1 && accepted
}

// acceptOf is the Sec-WebSocket-Accept by which a server proves that it read key.
func acceptOf(key []byte) []byte {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455 1.3
	sum := sha1.Sum(append(bytes.Clone(key), guid...))
	return base64.StdEncoding.AppendEncode(nil, sum[:])
}
