package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tether/http1"
	"tether/session"
	"tether/session/identity"
	"tether/traceparent"
	"tether/upstream"
)

// These benchmarks measure the steps of a request alone that read and write no socket, in the order in which a request meets them. The
// other steps have theirs in their packages: http1 (the guard, the response's head), session/identity, session, session/pins, ring,
// upstream/transport, wire, metrics and accesslog.

// benchFields are the fields of a request as an official client sends it.
const benchFields = "Host: 127.0.0.1:8080\r\nUser-Agent: OpenAI/Go 3.95.0\r\nContent-Length: 2048\r\nAccept: application/json\r\n" +
	"Authorization: Bearer sk-0123456789abcdef0123456789abcdef\r\nContent-Type: application/json\r\nX-Stainless-Arch: x64\r\n" +
	"X-Stainless-Lang: go\r\nX-Stainless-Os: Linux\r\nX-Stainless-Runtime: go\r\nX-Session-Id: 0123456789\r\n"

// BenchmarkParser is fasthttp's part of a request: the parsing of a head.
func BenchmarkParser(b *testing.B) {
	p := newParser(16 << 10)
	text := []byte("POST " + chatPath + " HTTP/1.1\r\n" + benchFields + "\r\n")
	lines := linesOf(b, benchFields)
	var copied headText
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.parse(text, lines, &copied); err != nil {
			b.Fatal(err)
		}
	}
}

// linesOf are the lines of fields.
func linesOf(tb testing.TB, fields string) []http1.Line {
	tb.Helper()
	var g http1.Guard
	g.Reset(16<<10, 100)
	if _, done, err := g.Head([]byte("GET / HTTP/1.1\r\n" + fields + "\r\n")); !done || err != nil {
		tb.Fatal(err)
	}
	return g.Lines
}

// BenchmarkInbound reads the fields of a request.
func BenchmarkInbound(b *testing.B) {
	cfg := identity.Default()
	identifier, err := identity.NewIdentifier(&cfg, new(identity.Models), nil)
	if err != nil {
		b.Fatal(err)
	}
	fields := []byte(benchFields)
	lines := linesOf(b, benchFields)
	var search identity.Search
	var in inbound
	b.ReportAllocs()
	for b.Loop() {
		search.Begin(identifier)
		in.read(fields, lines, &search, []string{"x-session-final"}, false, false)
	}
}

// BenchmarkOutbound writes the head of the request to an upstream.
func BenchmarkOutbound(b *testing.B) {
	registry := upstream.NewRegistry(nil)
	if _, err := registry.Apply([]upstream.Spec{{Name: "a"}}); err != nil {
		b.Fatal(err)
	}
	q := request{head: head{method: []byte("POST"), target: []byte(chatPath)}, framing: new(http1.Guard), endpoint: endpoints["POST "+chatPath], requestID: make([]byte, 36)}
	q.in = &inbound{host: []byte("127.0.0.1:8080"), lines: []byte(benchFields)}
	o := outbound{request: &q, client: &client{peer: []byte("127.0.0.1")}, session: new(identity.Identity), span: new(traceparent.Span)}
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = o.append(dst[:0], registry.Table().Members[0].Upstream)
	}
}

// benchHead is the head of an answer of vLLM.
const benchHead = "HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 09:48:12 GMT\r\nserver: uvicorn\r\n%s\r\n\r\n"

func parsedHead(b *testing.B, field string) *http1.Head {
	b.Helper()
	var h http1.Head
	if _, err := http1.ParseHead(fmt.Appendf(nil, benchHead, field), 0, &h); err != nil {
		b.Fatal(err)
	}
	return &h
}

// BenchmarkAnswerHead writes the head of an answer to a client.
func BenchmarkAnswerHead(b *testing.B) {
	h := parsedHead(b, "content-length: 1024\r\ncontent-type: application/json")
	own := answerFields{sessionID: make([]byte, 36), requestID: make([]byte, 36), outcome: session.Pinned}
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = appendAnswerHead(dst[:0], h, own, false)
	}
}

// BenchmarkRelay follows an answer: a JSON body of 1 KB from begin to end, with its token counts, and one event of a stream.
func BenchmarkRelay(b *testing.B) {
	relay := func() *relay {
		r := new(relay)
		r.show = r.see
		r.received, r.generates = func(time.Time) {}, func() {}
		r.finished, r.learned = func(time.Time, bool) {}, func([]byte) {}
		return r
	}
	now := time.Now()
	b.Run("json", func(b *testing.B) {
		body := []byte(`{"id":"chatcmpl-1","choices":[{"message":{"content":"` + strings.Repeat("All work and no play. ", 36) + `"}}],"usage":{"prompt_tokens":1042,` +
			`"total_tokens":1050,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":1024}}}`)
		h, r := parsedHead(b, fmt.Sprintf("content-length: %d\r\ncontent-type: application/json", len(body))), relay()
		b.ReportAllocs()
		for b.Loop() {
			r.reset()
			r.begin(h, false, now)
			if _, more := r.Take(now, body); more {
				b.Fatal("the answer goes on after its end")
			}
			if prompt, _ := r.usage.tokens(); prompt != 1042 {
				b.Fatalf("%d prompt tokens", prompt)
			}
		}
	})
	b.Run("event", func(b *testing.B) {
		event := fmt.Appendf(nil, "f5\r\n%-243s\n\n\r\n", `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" token"}}]}`)
		h, r := parsedHead(b, "content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked"), relay()
		r.begin(h, false, now)
		b.ReportAllocs()
		for b.Loop() {
			if out, more := r.Take(now, event); !more || len(out) != len(event) {
				b.Fatal("the event is not passed on")
			}
		}
	})
}
