package vectors

import "strings"

// post is a whole request with a body.
const post = chat + "Content-Length: 5\r\n\r\nhello"

// connections has the vectors about several requests on a connection, and about other protocols: RFC 9112 9, RFC 9110 7.8.
var connections = []class{
	{"pipelining", []vector{
		{"two requests", get + post, forwarded(got("/v1/responses/r"), chatted("", "hello"))},
		{
			"of every framing", post + chunks + "5\r\nhello\r\n0\r\n\r\n" + get + chat + "\r\n" + post,
			forwarded(chatted("", "hello"), chatted("", "hello"), got("/v1/responses/r"), chatted("", ""), chatted("", "hello")),
		},
		{"more than a buffer holds", strings.Repeat(get, 800), forwarded(many(800, got("/v1/responses/r"))...)},
		{"an empty line between", post + "\r\n" + get, forwarded(chatted("", "hello"), got("/v1/responses/r"))},
		{"after one that is not exposed", "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", notExposed(404)},
		{"after the body of one that is not exposed", "GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 41\r\n\r\n" + get, notExposedLast(404)},
		{"after Expect", chat + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" + get, forwarded(chatted("", "hello"), got("/v1/responses/r"))},
		{"after a request in a chunk", chunks + "29\r\n" + get + "\r\n0\r\n\r\n", forwarded(chatted("", get))},
		{"a bad one after a good one", get + "GET /v1/responses/r HTTP/1.1\r\nHost : a\r\n\r\n", refused(400, got("/v1/responses/r"))},
		{"a bad body after a good one", post + chunks + "5\r\nhello\n0\r\n\r\n", refused(400, chatted("", "hello"))},
		{"a body longer than it says", chat + "Content-Length: 5\r\n\r\nhello world", refused(400, chatted("", "hello"))},
		{"a body where none was announced", chat + "\r\nhello", outcome{upstream: []message{chatted("", "")}, statuses: []int{200, 405}, closes: true}}, // its method is helloGET
		{"a body after one of HTTP/1.0", "POST /v1/chat/completions HTTP/1.0\r\nHost: a\r\n\r\nhello", last(chatted("", ""))},
		{"after the last", "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello" + get, last(chatted("", "hello"))},
		{"two empty lines between", get + "\r\n\r\n" + get, refused(400, got("/v1/responses/r"))},
	}},
	{"upgrades, other protocols", []vector{
		{"h2c", "GET /v1/responses/r HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", forwarded(got("/v1/responses/r"))},
		{"h2c that Connection does not name", "GET /v1/responses/r HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", forwarded(got("/v1/responses/r"))},
		{"h2c named in a second field", "GET /v1/responses/r HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", forwarded(got("/v1/responses/r"))},
		{"h2c with a body", chat + "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello", forwarded(chatted("", "hello"))},
		{"h2c, and its preface after it", "GET /v1/responses/r HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", refused(505, got("/v1/responses/r"))},
		{
			"WebSocket on an endpoint without it", "GET /v1/responses/r HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
			forwarded(message{line: "GET /v1/responses/r", host: "a", fields: "Sec-WebSocket-Version: 13\r\n"}),
		},
		{"WebSocket, and a frame after it", "GET /v1/responses/r HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x85\x00\x00\x00\x00hello", refused(400, got("/v1/responses/r"))},
		{"a list of protocols", chat + "Connection: upgrade\r\nUpgrade: websocket, h2c, TLS/1.0\r\n\r\n", forwarded(chatted("", ""))},
		{"on HTTP/1.0", "GET /v1/responses/r HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", last(got("/v1/responses/r"))},
		{"Connection: upgrade without Upgrade", "GET /v1/responses/r HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n", forwarded(got("/v1/responses/r"))},
		{"a tunnel to a path", "CONNECT /v1/chat/completions HTTP/1.1\r\nHost: a\r\n\r\n", notExposed(405)},
		{"HTTP/2 from the first byte", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", refused(505)},
		{"TLS", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", refused(400)},
		{"the PROXY protocol", "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + get, refused(400)},
		{"the PROXY protocol, binary", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + get, refused(400)},
		{"SMTP", "EHLO a\r\nMAIL FROM:<b>\r\n", refused(400)},
	}},
}

// realClients has requests of real clients, with another Host and shortened. tether serves all of them.
var realClients = []class{
	{"real clients", []vector{
		{
			"curl", chat + "User-Agent: curl/7.88.1\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
			forwarded(chatted("User-Agent: curl/7.88.1\r\nAccept: */*\r\nContent-Type: application/json\r\n", "{}")),
		},
		{
			"curl with a body of unknown length", chat + "Accept: */*\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
			forwarded(chatted("Accept: */*\r\n", "{}")),
		},
		{
			"curl --http2", chat + "Accept: */*\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nContent-Length: 2\r\n\r\n{}",
			forwarded(chatted("Accept: */*\r\n", "{}")),
		},
		{"curl --http1.0", "POST /v1/chat/completions HTTP/1.0\r\nHost: a\r\nAccept: */*\r\nContent-Length: 2\r\n\r\n{}", last(chatted("Accept: */*\r\n", "{}"))},
		{
			"curl with tether as its proxy", "GET http://a/v1/responses/r HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nProxy-Connection: Keep-Alive\r\n\r\n",
			forwarded(message{line: "GET /v1/responses/r", host: "a", fields: "Accept: */*\r\n"}),
		},
		{"wget", chat + "Accept-Encoding: identity\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\n{}", forwarded(chatted("Accept-Encoding: identity\r\n", "{}"))},
		{
			"requests, from a generator", chat + "Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
			forwarded(chatted("Accept-Encoding: gzip, deflate\r\n", "{}")),
		},
		{"urllib", "POST /v1/chat/completions HTTP/1.1\r\nAccept-Encoding: identity\r\nContent-Length: 2\r\nHost: a\r\nConnection: close\r\n\r\n{}", last(chatted("Accept-Encoding: identity\r\n", "{}"))},
		{
			"httpx", chat + "Accept: */*\r\nConnection: keep-alive\r\nUser-Agent: python-httpx/0.28.1\r\nContent-Length: 2\r\n\r\n{}",
			forwarded(chatted("Accept: */*\r\nUser-Agent: python-httpx/0.28.1\r\n", "{}")),
		},
		{
			"fetch of Node", "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nconnection: keep-alive\r\naccept-language: *\r\nsec-fetch-mode: cors\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
			forwarded(chatted("accept-language: *\r\nsec-fetch-mode: cors\r\n", "{}")),
		},
		{
			"HttpClient of Java", "POST /v1/chat/completions HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 2\r\nHost: a\r\nHTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\nUpgrade: h2c\r\nUser-Agent: Java-http-client/17.0.15\r\n\r\n{}",
			forwarded(chatted("User-Agent: Java-http-client/17.0.15\r\n", "{}")),
		},
		{
			"Go, with a trailer", chat + "User-Agent: Go-http-client/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n",
			forwarded(chatted("User-Agent: Go-http-client/1.1\r\n", "{}")),
		},
		{
			"ab -k", "GET /v1/responses/r HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: a:80\r\nUser-Agent: ApacheBench/2.3\r\n\r\n",
			forwarded(message{line: "GET /v1/responses/r", host: "a:80", fields: "User-Agent: ApacheBench/2.3\r\n"}),
		},
		{
			"nginx in front", "POST /v1/chat/completions HTTP/1.0\r\nHost: vllm_upstream\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
			last(message{"POST /v1/chat/completions", "vllm_upstream", "", "{}"}),
		},
	}},
}

// many returns n copies of m.
func many(n int, m message) (all []message) {
	for range n {
		all = append(all, m)
	}
	return all
}
