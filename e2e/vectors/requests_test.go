package vectors

import (
	"slices"
	"strings"
)

// requests are the vectors that clients send.
var requests = slices.Concat(framing, chunking, heads, connections, realClients)

// chat is the beginning of a request. Its other fields, the blank line and the body follow.
const chat = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"

// get is a whole request, for vectors that have several.
const get = "GET /v1/responses/r HTTP/1.1\r\nHost: a\r\n\r\n"

// framing has the vectors about where a request ends: RFC 9112 6.
var framing = []class{
	{"Content-Length", []vector{
		{"a body", chat + "Content-Length: 5\r\n\r\nhello", forwarded(chatted("", "hello"))},
		{"zero", chat + "Content-Length: 0\r\n\r\n", forwarded(chatted("", ""))},
		{"no length, no body", chat + "\r\n", forwarded(chatted("", ""))},
		{"leading zeros", chat + "Content-Length: 0005\r\n\r\nhello", forwarded(chatted("", "hello"))},
		{"white space around", chat + "Content-Length: \t 5\t \r\n\r\nhello", forwarded(chatted("", "hello"))},
		{
			"on GET", "GET /v1/responses/r HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
			forwarded(message{"GET /v1/responses/r", "a", "", "hello"}),
		},
		{"a body that is a request", chat + "Content-Length: 41\r\n\r\n" + get, forwarded(chatted("", get))},
		{"a field of almost that name", chat + "Content-Length: 5\r\nContent_Length: 50\r\n\r\nhello", forwarded(chatted("", "hello"))},
		{"named by Connection", chat + "Content-Length: 5\r\nConnection: content-length\r\n\r\nhello", forwarded(chatted("", "hello"))},
		{"two that differ", chat + "Content-Length: 5\r\nContent-Length: 48\r\n\r\nhello", refused(400)},
		{"two alike", chat + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", refused(400)},
		{"two in other spellings", chat + "CONTENT-LENGTH: 5\r\ncontent-length: 48\r\n\r\nhello", refused(400)},
		{"a list", chat + "Content-Length: 5, 5\r\n\r\nhello", refused(400)},
		{"a list with an empty item", chat + "Content-Length: ,5\r\n\r\nhello", refused(400)},
		{"a sign", chat + "Content-Length: +5\r\n\r\nhello", refused(400)},
		{"negative", chat + "Content-Length: -5\r\n\r\nhello", refused(400)},
		{"hexadecimal", chat + "Content-Length: 0x5\r\n\r\nhello", refused(400)},
		{"a space in it", chat + "Content-Length: 5 0\r\n\r\nhello", refused(400)},
		{"empty", chat + "Content-Length:\r\n\r\nhello", refused(400)},
		{"2^64 + 5", chat + "Content-Length: 18446744073709551621\r\n\r\nhello", refused(400)},
		{"digits outside ASCII", chat + "Content-Length: ５\r\n\r\nhello", refused(400)},
		{"a control byte after it", chat + "Content-Length: 5\x0b\r\n\r\nhello", refused(400)},
		{"a space before its colon", chat + "Content-Length : 5\r\n\r\nhello", refused(400)},
		{"in a second line of a field", chat + "X-A: b\r\n Content-Length: 5\r\n\r\nhello", refused(400)},
		{"larger than max_body", chat + "Content-Length: 67108865\r\n\r\nhello", overLimit(413)},
		{"a body that ends too soon", chat + "Content-Length: 50\r\n\r\nhello", unfinished()},
	}},
	{"Transfer-Encoding", []vector{
		{"chunked", chat + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", forwarded(chatted("", "hello"))},
		{"in another case", chat + "transfer-encoding:ChunkeD \r\n\r\n5\r\nhello\r\n0\r\n\r\n", forwarded(chatted("", "hello"))},
		{"an empty body", chat + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", forwarded(chatted("", ""))},
		{
			"on GET", "GET /v1/responses/r HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
			forwarded(message{"GET /v1/responses/r", "a", "", "hello"}),
		},
		{
			"named by Connection", chat + "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
			forwarded(chatted("", "hello")),
		},
		{"identity", chat + "Transfer-Encoding: identity\r\n\r\n", refused(400)},
		{"a coding before chunked", chat + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"chunked not last", chat + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", refused(400)},
		{"chunked twice in a list", chat + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"two fields", chat + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", refused(400)},
		{"an empty item before it", chat + "Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"a parameter", chat + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", refused(400)},
		{"quoted", chat + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", refused(400)},
		{"a longer word", chat + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"empty", chat + "Transfer-Encoding:\r\n\r\n0\r\n\r\n", refused(400)},
		{"on HTTP/1.0", "POST /v1/chat/completions HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"a space before its colon", chat + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"a control byte before its name", chat + "\x01Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"a vertical tab as a space", chat + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"a byte outside ASCII after it", chat + "Transfer-Encoding: chunked\xa0\r\n\r\n0\r\n\r\n", refused(400)},
		{"NUL after it", chat + "Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n", refused(400)},
		{"in a second line of its own field", chat + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"a letter that folds to ASCII", chat + "Tran\u017ffer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"padding longer than its buffer", chat + "Transfer-Encoding: chunked" + strings.Repeat(" ", 300) + ", identity\r\n\r\n0\r\n\r\n", refused(400)},
	}},
	{"both", []vector{
		{"length first", chat + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"coding first", chat + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", refused(400)},
		{"a length of zero", chat + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"that agree on the end", chat + "Transfer-Encoding: chunked\r\nContent-Length: 15\r\n\r\n5\r\nhello\r\n0\r\n\r\n", refused(400)},
		{"a coding that changes nothing", chat + "Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello", refused(400)},
		{"a length that is no number", chat + "Content-Length: five\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"an empty coding", chat + "Content-Length: 5\r\nTransfer-Encoding: \r\n\r\nhello", refused(400)},
		{"on HTTP/1.0", "POST /v1/chat/completions HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"on GET", "GET /v1/responses/r HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", refused(400)},
		{"the coding named by Connection", chat + "Connection: transfer-encoding\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"the length named by Connection", chat + "Connection: content-length\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"the coding after a tab before its colon", chat + "Content-Length: 5\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"the coding in a folded line", chat + "Content-Length: 5\r\nX-A: b\r\n\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"the coding after LF alone", chat + "Content-Length: 5\r\nX-A: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"the coding after CR alone", chat + "Content-Length: 5\r\nX-A: b\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)},
		{"the coding with an underscore", chat + "Content-Length: 5\r\nTransfer_Encoding: chunked\r\n\r\nhello", forwarded(chatted("", "hello"))},
		{"the length with an underscore", chat + "Content_Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", forwarded(chatted("", "hello"))},
		{"the length in a trailer", chat + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n", forwarded(chatted("", "hello"))},
		{"the length in an extension", chat + "Transfer-Encoding: chunked\r\n\r\n5;content-length=50\r\nhello\r\n0\r\n\r\n", forwarded(chatted("", "hello"))},
	}},
}
