package http1

import (
	"bytes"
	"strings"
	"testing"
)

// The key of RFC 6455 1.3, and the accept value that answers it.
const (
	rfcKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	rfcAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

const handshakeFields = "Host: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
	"Sec-WebSocket-Key: " + rfcKey + "\r\nSec-WebSocket-Version: 13\r\n"

func readHandshake(t *testing.T, version, fields string) ([]byte, error) {
	t.Helper()
	var g Guard
	g.Reset(16<<10, 100)
	head := "GET / " + version + "\r\n" + fields + "\r\n"
	if _, done, err := g.Head([]byte(head)); err != nil || !done {
		t.Fatalf("the guard: done %v, %v", done, err)
	}
	return g.Handshake([]byte(fields))
}

func TestHandshake(t *testing.T) {
	swap := func(old, with string) string {
		if !strings.Contains(handshakeFields, old) {
			t.Fatalf("no %q in the handshake", old)
		}
		return strings.Replace(handshakeFields, old, with, 1)
	}
	const keyLine, versionLine = "Sec-WebSocket-Key: " + rfcKey + "\r\n", "Sec-WebSocket-Version: 13\r\n"
	for _, c := range []struct {
		name, fields string
		want         error
	}{
		{"as it should be", handshakeFields, nil},
		{"in small letters", strings.NewReplacer("Sec-WebSocket", "sec-websocket", "Upgrade", "upgrade", "Connection", "connection").Replace(handshakeFields), nil},
		{"Connection in two fields", swap("keep-alive, Upgrade", "keep-alive\r\nConnection: Upgrade"), nil},
		{"a length of nothing", handshakeFields + "Content-Length: 0\r\n", nil},

		{"no Connection", swap("Connection: keep-alive, Upgrade\r\n", ""), ErrNoWebSocket},
		{"Connection without upgrade", swap("keep-alive, Upgrade", "keep-alive, xupgrade"), ErrNoWebSocket},
		{"no Upgrade", swap("Upgrade: WebSocket\r\n", ""), ErrNoWebSocket},
		{"no fields of it at all", "Host: h\r\n", ErrNoWebSocket},
		{"another protocol", swap("Upgrade: WebSocket", "Upgrade: h2c"), ErrNoWebSocket},
		{"another protocol beside it", swap("Upgrade: WebSocket", "Upgrade: WebSocket, h2c"), ErrNoWebSocket},
		{"an old version", swap("Version: 13", "Version: 8"), ErrNoWebSocket},
		{"a list of versions", swap("Version: 13", "Version: 13, 8"), ErrNoWebSocket},

		{"two Upgrade fields", handshakeFields + "Upgrade: websocket\r\n", ErrHandshake},
		{"no key", swap(keyLine, ""), ErrHandshake},
		{"two keys", handshakeFields + keyLine, ErrHandshake},
		{"an empty key", swap(rfcKey, ""), ErrHandshake},
		{"a short key", swap(rfcKey, "dGhlIHNhbXBsZSBub25jZ"), ErrHandshake},
		{"a key of 17 bytes", swap(rfcKey, "dGhlIHNhbXBsZSBub25jZWU="), ErrHandshake},
		{"a key of 18 bytes", swap(rfcKey, "dGhlIHNhbXBsZSBub25jZWVl"), ErrHandshake},
		{"a key that is no base64", swap(rfcKey, "dGhlIHNhbXBsZSBub25j*Q=="), ErrHandshake},
		{"no version", swap(versionLine, ""), ErrHandshake},
		{"two versions", handshakeFields + versionLine, ErrHandshake},
		{"a body", handshakeFields + "Content-Length: 1\r\n", ErrHandshake},
		{"a body in chunks", handshakeFields + "Transfer-Encoding: chunked\r\n", ErrHandshake},
	} {
		key, err := readHandshake(t, "HTTP/1.1", c.fields)
		if err != c.want || (err == nil) != (string(key) == rfcKey) {
			t.Errorf("%s: %q, %v, want %v", c.name, key, err, c.want)
		}
	}
	if _, err := readHandshake(t, "HTTP/1.0", handshakeFields); err != ErrNoWebSocket {
		t.Errorf("on HTTP/1.0: %v", err)
	}
}

func TestAsksWebSocket(t *testing.T) {
	for _, c := range []struct {
		version, fields string
		want            bool
	}{
		{"HTTP/1.1", handshakeFields, true},
		{"HTTP/1.1", "Host: h\r\nupgrade:websocket\r\nconnection:x,upgrade\r\n", true},
		{"HTTP/1.0", handshakeFields, false},
		{"HTTP/1.1", "Host: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n", false},
		{"HTTP/1.1", "Host: h\r\nUpgrade: websocket\r\n", false},
		{"HTTP/1.1", "Host: h\r\n", false},
	} {
		var g Guard
		g.Reset(16<<10, 100)
		if _, done, err := g.Head([]byte("GET / " + c.version + "\r\n" + c.fields + "\r\n")); err != nil || !done {
			t.Fatalf("the guard: done %v, %v", done, err)
		}
		if g.AsksWebSocket([]byte(c.fields)) != c.want {
			t.Errorf("%s %q: want %v", c.version, c.fields, c.want)
		}
	}
}

func TestSwitches(t *testing.T) {
	const fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + rfcAccept + "\r\n"
	for _, c := range []struct {
		name, status, fields string
		want                 bool
	}{
		{"as it should be", "101 Switching Protocols", fields, true},
		{"in other letters", "101", "UPGRADE: WebSocket\r\nconnection: keep-alive, upgrade\r\nsec-websocket-accept:" + rfcAccept + " \r\n", true},
		{"another status", "200 OK", fields, false},
		{"no Upgrade", "101 x", strings.Replace(fields, "Upgrade: websocket\r\n", "", 1), false},
		{"two", "101 x", fields + "Upgrade: websocket\r\n", false},
		{"another protocol", "101 x", strings.Replace(fields, "websocket", "h2c", 1), false},
		{"no Connection", "101 x", strings.Replace(fields, "Connection: Upgrade\r\n", "", 1), false},
		{"no Accept", "101 x", strings.Replace(fields, "Sec-WebSocket-Accept: "+rfcAccept+"\r\n", "", 1), false},
		{"two of them", "101 x", fields + "Sec-WebSocket-Accept: " + rfcAccept + "\r\n", false},
		{"another key's", "101 x", strings.Replace(fields, "s3pPL", "s3pPl", 1), false},
	} {
		var h Head
		if _, err := ParseHead([]byte("HTTP/1.1 "+c.status+"\r\n"+c.fields+"\r\n"), 0, &h); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if h.Switches([]byte(rfcKey)) != c.want {
			t.Errorf("%s: want %v", c.name, c.want)
		}
	}
}

// FuzzHandshake: an accepted handshake has one key, of 16 bytes, and no body, whatever its fields are.
func FuzzHandshake(f *testing.F) {
	f.Add([]byte(handshakeFields))
	f.Add([]byte("Host: h\r\nUpgrade: websocket\r\nUpgrade: h2c\r\nConnection: upgrade\r\n"))
	f.Fuzz(func(t *testing.T, fields []byte) {
		var g Guard
		g.Reset(16<<10, 100)
		head := append([]byte("GET / HTTP/1.1\r\n"), fields...)
		if n, done, err := g.Head(head); err != nil || !done || n != len(head) {
			return
		}
		key, err := g.Handshake(fields)
		if err != nil {
			return
		}
		if g.Chunked || g.Length > 0 || !isKey(key) || bytes.Count(bytes.ToLower(fields), []byte("\nsec-websocket-key:")) > 1 {
			t.Fatalf("%q is let through with the key %q", fields, key)
		}
	})
}
