// Package http1 is the grammar of HTTP/1.1 messages (RFC 9112) as far as a proxy must understand it, as pure state
// machines over bytes: the guard of request heads, the chunked coding, the parser of response heads, the framing of answers,
// and the handshake of WebSockets (RFC 6455). It is stricter than the RFC wherever a second reader of the same bytes could
// see another message in them.
//
// It knows no socket, no goroutine and no clock, and copies no message. proxy and upstream/transport feed it; the rules are here,
// whatever pumps the bytes.
//
// The rules of ascii.go, fields.go, list.go, guard_line.go and guard_fields.go are tested in guard_test.go and head_test.go.
package http1
