package vectors

import "strings"

// answer is what an upstream sends, and the expected outcome.
type answer struct {
	name string
	raw  string
	want relay

	method  string // of the request; empty for POST
	version string // of the client; empty for 1.1
	extra   string // sent together with the last byte of raw; it is no part of the answer
	then    then   // what the upstream does after that
}

// then is what an upstream does after it has sent an answer.
type then uint8

const (
	goesOn then = iota // it waits for the next request
	closes
	resets
	sendsMore // once the client has the answer: an answer without a request
)

// relay is what the client receives, and whether the connection to the upstream is used again.
type relay struct {
	// status and body are those of the answer. A 502 is tether's own.
	status int
	body   string
	// cut reports whether the client sees that the answer is not whole, after this part of its body.
	cut bool
	// kept reports whether the connection to the upstream serves the next request. If it does not, another connection does, and
	// nothing of this answer is in the next one.
	kept bool
}

// relayed is a whole answer whose end is not in doubt: its connection is used again.
func relayed(body string) relay { return relay{status: 200, body: body, kept: true} }

// relayedLast is a whole answer whose connection is not used again.
func relayedLast(body string) relay { return relay{status: 200, body: body} }

// cutOff is an answer that is cut after this part of its body.
func cutOff(body string) relay { return relay{status: 200, body: body, cut: true} }

var (
	// badGateway is an answer of the upstream that the client does not receive.
	badGateway = relay{status: 502}
	// empty is a whole answer with this status and no body. emptyLast is the same where the end of the answer is in doubt.
	empty     = func(status int) relay { return relay{status: status, kept: true} }
	emptyLast = func(status int) relay { return relay{status: status} }
)

const (
	ok         = "HTTP/1.1 200 OK\r\n"
	stream     = ok + "Transfer-Encoding: chunked\r\n\r\n"
	smuggled   = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled" // an answer without a request
	whole      = ok + "Content-Length: 5\r\n\r\nhello"
	maxInterim = 100 // tether accepts this many interim answers
)

// answers are the vectors that upstreams send: RFC 9112 4, 6, 7 and 9, RFC 9110 15.
var answers = []struct {
	class   string
	vectors []answer
}{
	{"length", []answer{
		{name: "a body", raw: whole, want: relayed("hello")},
		{name: "zero", raw: ok + "Content-Length: 0\r\n\r\n", want: relayed("")},
		{name: "leading zeros, white space", raw: ok + "content-length:\t005 \r\n\r\nhello", want: relayed("hello")},
		{name: "a field of almost that name", raw: ok + "Content-Length: 5\r\nContent_Length: 50\r\n\r\nhello", want: relayed("hello")},
		{name: "named by Connection", raw: ok + "Connection: content-length\r\nContent-Length: 5\r\n\r\nhello", want: relayed("hello")},
		{name: "two alike", raw: ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "two that differ", raw: ok + "Content-Length: 5\r\nContent-Length: 2\r\n\r\nhello", want: badGateway},
		{name: "a list", raw: ok + "Content-Length: 5, 5\r\n\r\nhello", want: badGateway},
		{name: "a sign", raw: ok + "Content-Length: +5\r\n\r\nhello", want: badGateway},
		{name: "negative", raw: ok + "Content-Length: -1\r\n\r\nhello", want: badGateway, then: closes},
		{name: "a space in it", raw: ok + "Content-Length: 5 0\r\n\r\nhello", want: badGateway},
		{name: "empty", raw: ok + "Content-Length:\r\n\r\nhello", want: badGateway, then: closes},
		{name: "2^64 + 5", raw: ok + "Content-Length: 18446744073709551621\r\n\r\nhello", want: badGateway},
		{name: "a space before its colon", raw: ok + "Content-Length : 5\r\n\r\nhello", want: badGateway},
		{name: "in a folded line", raw: ok + "X-A: b\r\n Content-Length: 5\r\n\r\nhello", want: badGateway, then: closes},
		{name: "with a coding", raw: ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", want: badGateway},
		{name: "after a coding", raw: ok + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n", want: badGateway},
		{name: "a body that ends too soon", raw: ok + "Content-Length: 10\r\n\r\nhello", want: cutOff("hello"), then: closes},
		{name: "a body that is reset", raw: ok + "Content-Length: 10\r\n\r\nhello", want: cutOff("hello"), then: resets},
	}},
	{"coding", []answer{
		{name: "chunked", raw: stream + "5\r\nhello\r\n0\r\n\r\n", want: relayed("hello")},
		{name: "extensions and trailers", raw: stream + "5;a=\"b\"\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", want: relayed("hello")},
		{name: "to a client of HTTP/1.0", raw: stream + "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", version: "1.0", want: relayed("hello")},
		{name: "chunked, named by Connection", raw: ok + "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", want: relayed("hello")},
		{name: "gzip", raw: ok + "Transfer-Encoding: gzip\r\n\r\nhello", want: badGateway, then: closes},
		{name: "gzip before chunked", raw: ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", want: badGateway},
		{name: "identity", raw: ok + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "chunked twice", raw: ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", want: badGateway},
		{name: "a longer word", raw: ok + "Transfer-Encoding: chunkedchunked\r\n\r\n0\r\n\r\n", want: badGateway, then: closes},
		{name: "of HTTP/1.0", raw: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", want: badGateway, then: closes},
		{name: "no size", raw: stream + "5\r\nhello\r\nxyz\r\n", want: cutOff("hello")},
		{name: "no size, to a client of HTTP/1.0", raw: stream + "5\r\nhello\r\nxyz\r\n", version: "1.0", want: cutOff("hello")},
		{name: "a size with a prefix", raw: stream + "5\r\nhello\r\n0x5\r\nhello\r\n0\r\n\r\n", want: cutOff("hello")},
		{name: "a size with a space", raw: stream + "5\r\nhello\r\n5 \r\nhello\r\n0\r\n\r\n", want: cutOff("hello")},
		{name: "a size beyond 64 bits", raw: stream + "5\r\nhello\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", want: cutOff("hello")},
		{name: "a malformed extension", raw: stream + "5\r\nhello\r\n5;=\r\nhello\r\n0\r\n\r\n", want: cutOff("hello")},
		{name: "LF after a size", raw: stream + "5\r\nhello\r\n5\nhello\r\n0\r\n\r\n", want: cutOff("hello")},
		{name: "data longer than its size", raw: stream + "5\r\nhello\r\n5\r\nhello!\r\n0\r\n\r\n", want: cutOff("hellohello")},
		{name: "LF after data", raw: stream + "5\r\nhello\n0\r\n\r\n", want: cutOff("hello")},
		{name: "a malformed trailer", raw: stream + "5\r\nhello\r\n0\r\nX A: b\r\n\r\n", want: cutOff("hello")},
		{name: "an end between chunks", raw: stream + "5\r\nhello\r\n", want: cutOff("hello"), then: closes},
		{name: "an end before the last CRLF", raw: stream + "5\r\nhello\r\n0\r\n", want: cutOff("hello"), then: closes},
		{name: "an end between chunks, to a client of HTTP/1.0", raw: stream + "5\r\nhello\r\n", version: "1.0", want: cutOff("hello"), then: closes},
	}},
	{"head", []answer{
		{name: "no reason", raw: "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", want: relayed("hello")},
		{name: "text outside ASCII", raw: "HTTP/1.1 200 \xc3\xa4\r\nX-A: \xff\r\nContent-Length: 5\r\n\r\nhello", want: relayed("hello")},
		{name: "no status line", raw: "<html>hello</html>", want: badGateway, then: closes},
		{name: "another protocol", raw: "SSH-2.0-OpenSSH_9.2\r\n", want: badGateway},
		{name: "an empty line first", raw: "\r\n" + whole, want: badGateway},
		{name: "version 2", raw: "HTTP/2 200\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "a later minor version", raw: "HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "lower case", raw: "http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "a tab after the version", raw: "HTTP/1.1\t200 OK\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "two spaces after the version", raw: "HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "a status of two digits", raw: "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "a status of four digits", raw: "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "a status that is no number", raw: "HTTP/1.1 2OO OK\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "a status below 100", raw: "HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "LF after the status line", raw: "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "LF after a field", raw: ok + "X-A: b\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "LF everywhere", raw: "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", want: badGateway, then: closes},
		{name: "CR for a line end", raw: ok + "X-A: b\rX-B: c\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "NUL in a value", raw: ok + "X-A: \x00\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "a control byte in the reason", raw: "HTTP/1.1 200 O\x1bK\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "no colon", raw: ok + "X-A\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "no name", raw: ok + ": b\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "a folded line", raw: ok + "Content-Length: 5\r\nX-A: b\r\n\tc\r\n\r\nhello", want: badGateway},
		{name: "a folded first line", raw: ok + " X-A: b\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "larger than the buffer", raw: ok + "X-A: " + strings.Repeat("b", 17<<10) + "\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
		{name: "endless fields", raw: ok + strings.Repeat("X-A: b\r\n", 3000) + "\r\n", want: badGateway},
		{name: "a line without an end", raw: strings.Repeat("H", 17<<10), want: badGateway},
		{name: "cut within the head", raw: ok + "Content-Le", want: badGateway, then: closes},
		{name: "reset within the head", raw: ok + "Content-Le", want: badGateway, then: resets},
		{name: "none", raw: "", want: badGateway, then: closes},
		{name: "Connection names too much", raw: ok + "Connection: " + strings.Repeat("x-a,", 70) + "\r\nContent-Length: 5\r\n\r\nhello", want: badGateway},
	}},
	{"interim, without a body", []answer{
		{name: "100 first", raw: "HTTP/1.1 100 Continue\r\n\r\n" + whole, want: relayed("hello")},
		{name: "hints first", raw: strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", maxInterim) + whole, want: relayed("hello")},
		{name: "too many hints", raw: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxInterim+1) + whole, want: badGateway},
		{name: "hints, and no answer", raw: "HTTP/1.1 103 Early Hints\r\n\r\n", want: badGateway, then: closes},
		{name: "100 with a length", raw: "HTTP/1.1 100 Continue\r\nContent-Length: 63\r\n\r\n" + smuggled + whole, want: badGateway},
		{name: "100 in chunks", raw: "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + whole, want: badGateway},
		{name: "101 without a request for an upgrade", raw: "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n" + whole, want: badGateway},
		{name: "204", raw: "HTTP/1.1 204 No Content\r\n\r\n", want: empty(204)},
		{name: "204 with a length of zero", raw: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", want: empty(204)},
		{name: "204 with a length", raw: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", want: emptyLast(204)},
		{name: "204 with a body", raw: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", want: emptyLast(204)},
		{name: "204 in chunks", raw: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", want: emptyLast(204)},
		{name: "204 with a late body", raw: "HTTP/1.1 204 No Content\r\n\r\n", want: emptyLast(204), then: sendsMore},
		{name: "205 with a body", raw: "HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello", want: relay{status: 205, body: "hello", kept: true}},
		{name: "304", raw: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", want: empty(304)},
		{name: "304 with a chunked coding", raw: "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", want: empty(304)},
		{name: "304 with a body", raw: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", extra: "hello", want: emptyLast(304)},
		{name: "HEAD", method: "HEAD", raw: ok + "Content-Length: 5\r\n\r\n", want: relayed("")},
		{name: "HEAD with a chunked coding", method: "HEAD", raw: ok + "Transfer-Encoding: chunked\r\n\r\n", want: relayed("")},
		{name: "HEAD without a length", method: "HEAD", raw: ok + "\r\n", want: relayed("")},
		{name: "HEAD with a body", method: "HEAD", raw: ok + "Content-Length: 5\r\n\r\n", extra: "hello", want: relayedLast("")},
		{name: "HEAD with a body in chunks", method: "HEAD", raw: stream, extra: "5\r\nhello\r\n0\r\n\r\n", want: relayedLast("")},
	}},
	{"end", []answer{
		{name: "by close", raw: ok + "\r\nhello", want: relayedLast("hello"), then: closes},
		{name: "by close, empty", raw: ok + "\r\n", want: relayedLast(""), then: closes},
		{name: "by reset in place of close", raw: ok + "\r\nhello", want: cutOff("hello"), then: resets},
		{name: "announced", raw: ok + "Connection: x, Close\r\nContent-Length: 5\r\n\r\nhello", want: relayedLast("hello")},
		{name: "of HTTP/1.0", raw: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", want: relayedLast("hello")},
		{name: "of HTTP/1.0 kept alive", raw: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", want: relayed("hello")},
		{name: "a line end after the length", raw: whole, extra: "\r\n", want: relayedLast("hello")},
		{name: "another answer after the length", raw: whole, extra: smuggled, want: relayedLast("hello")},
		{name: "another answer after the chunks", raw: stream + "5\r\nhello\r\n0\r\n\r\n", extra: smuggled, want: relayedLast("hello")},
		{name: "a second last chunk", raw: stream + "5\r\nhello\r\n0\r\n\r\n", extra: "0\r\n\r\n", want: relayedLast("hello")},
		{name: "another answer after one without a length", raw: ok + "Content-Length: 0\r\n\r\n", extra: smuggled, want: relayedLast("")},
		{name: "another answer after HEAD", method: "HEAD", raw: ok + "Content-Length: 5\r\n\r\n", extra: smuggled, want: relayedLast("")},
		{name: "another answer, later", raw: whole, want: relayedLast("hello"), then: sendsMore},
		{name: "another answer, later, after chunks", raw: stream + "5\r\nhello\r\n0\r\n\r\n", want: relayedLast("hello"), then: sendsMore},
		{name: "closed after the length", raw: whole, want: relayedLast("hello"), then: closes},
		{name: "reset after the chunks", raw: stream + "5\r\nhello\r\n0\r\n\r\n", want: relayedLast("hello"), then: resets},
	}},
}
