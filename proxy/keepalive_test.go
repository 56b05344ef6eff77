package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"tether/upstream/transport"
	"tether/wire/loop"
)

// keptAlive changes a rig so that silent streams get comments soon.
func keptAlive(every, idle time.Duration, engine string) option {
	return func(r *rig) { r.cfg.SSEKeepalive, r.cfg.IdleTimeout, r.engine = every, idle, engine }
}

// engines runs a test on each engine that the kernel allows.
func engines(t *testing.T, test func(t *testing.T, engine string)) {
	for _, engine := range []string{loop.EngineEpoll, loop.EngineUring, loop.EngineGo} {
		t.Run(engine, func(t *testing.T) { test(t, engine) })
	}
}

const (
	firstEvent  = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
	secondEvent = "data: [DONE]\n\n"
)

// head is the head of an answer of a scripted server. fields end with a line end each.
func headWith(fields string) string { return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" }

func chunk(p string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(p), p) }

// A client gets comments while the server is silent, before the first event and between events, in each form that a stream of unknown length
// can have. Everything else that it gets is what the server has sent.
func TestSSEKeepalive(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		for _, c := range []struct {
			name, version, fields string
			chunked, sent         bool // the server's chunks, and those of the client
		}{
			{"chunked", "1.1", "Content-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n", true, true},
			{"chunked, for a client of HTTP/1.0", "1.0", "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n", true, false},
			{"until the connection ends", "1.1", "Content-Type: text/event-stream\r\nConnection: close\r\n", false, false},
		} {
			s := newScript(t)
			r := newRig(t, []string{s.url()}, keptAlive(20*time.Millisecond, patience, engine))
			client := r.dial()
			client.send(strings.Replace(post(chatPath, streamed("hello")), "HTTP/1.1", "HTTP/"+c.version, 1))
			server := s.next()
			server.request()
			frame := func(p string) string {
				if c.chunked {
					return chunk(p)
				}
				return p
			}
			var got strings.Builder
			awaits := func(what string, times int) {
				t.Helper()
				for strings.Count(got.String(), what) < times {
					b, err := client.r.ReadByte()
					if err != nil {
						t.Fatalf("%s: %v after %q, want %q", c.name, err, got.String(), what)
					}
					got.WriteByte(b)
				}
			}
			server.send(headWith(c.fields))
			awaits(": keep-alive", 2)
			server.send(frame(firstEvent))
			awaits(firstEvent, 1)
			awaits(": keep-alive", 4)
			end := frame(secondEvent)
			if c.chunked {
				end += "0\r\n\r\n"
			}
			server.send(end)
			server.Close()
			if c.sent {
				awaits("0\r\n\r\n", 1)
			} else if rest, err := io.ReadAll(client.r); err != nil {
				t.Errorf("%s: %v", c.name, err)
			} else {
				got.Write(rest)
			}
			_, body, _ := strings.Cut(got.String(), "\r\n\r\n")
			if c.sent {
				body = unchunked(t, body)
			}
			if body = withoutComments(body); body != firstEvent+secondEvent {
				t.Errorf("%s: the client got %q", c.name, body)
			}
			if rec := r.recorded(1); rec.Reason != "" || rec.BytesOut < int64(len(firstEvent+secondEvent)+4*len(keepAlive)) {
				t.Errorf("%s: reason %q, %d bytes", c.name, rec.Reason, rec.BytesOut)
			}
		}
	})
}

// A server that stays silent is given up after the idle limit, whatever the client has got meanwhile.
func TestSSEKeepaliveHidesNoDeadServer(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, engine string) {
		const every, idle = 30 * time.Millisecond, time.Second
		s := newScript(t)
		r := newRig(t, []string{s.url()}, keptAlive(every, idle, engine))
		client := r.dial()
		client.send(post(chatPath, streamed("hello")))
		server := s.next()
		server.request()
		server.send(headWith("Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n") + chunk(firstEvent))
		began := time.Now()
		text, _ := client.rest()
		took := time.Since(began)
		comments := strings.Count(text, ": keep-alive")
		if took < idle-every || took > idle+patience/2 || comments < 1 || comments > int(idle/every) || !strings.Contains(text, "event") && !strings.Contains(text, cutMessage) {
			t.Errorf("%v, %d comments: %q", took, comments, text)
		}
		if rec := r.recorded(1); rec.Reason != "upstream_idle" {
			t.Errorf("reason %q", rec.Reason)
		}
	})
}

// Answers that are no event streams, that are compressed, or whose length the client knows get no comments.
func TestNoKeepalive(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, engine string) {
		for _, fields := range []string{
			"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n",
			"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n",
			fmt.Sprintf("Content-Type: text/event-stream\r\nContent-Length: %d\r\n", len(firstEvent)),
			"Content-Type: text/plain\r\nConnection: close\r\n",
		} {
			s := newScript(t)
			r := newRig(t, []string{s.url()}, keptAlive(10*time.Millisecond, 200*time.Millisecond, engine))
			client := r.dial()
			client.send(post(chatPath, streamed("hello")))
			server := s.next()
			server.request()
			server.send(headWith(fields))
			if text, _ := client.rest(); strings.Contains(text, "keep-alive\n") { // until the idle limit
				t.Errorf("%s: %q", fields, text)
			}
		}
	})
}

// stream is an exchange with an event stream that is relayed to a client, and what the client got.
type stream struct {
	*exchange
	got bytes.Buffer
}

func newStream(fields string, http10 bool) *stream {
	x := &exchange{settings: &settings{Config: Config{SSEKeepalive: time.Second, IdleTimeout: time.Hour}}}
	x.relay.received, x.relay.finished, x.relay.generates = func(time.Time) {}, func(time.Time, bool) {}, func() {}
	x.relay.show = x.relay.see
	var a transport.Answer
	if !a.Begin([]byte(headWith(fields))) {
		panic("BUG: " + fields)
	}
	x.attempt.answer = a
	listen(x, time.Unix(0, 0))
	x.relay.begin(&x.attempt.answer.Head, http10, time.Unix(0, 0))
	return &stream{exchange: x}
}

// take relays a part of the body, and lets the server be silent after it.
func (s *stream) take(p []byte) {
	out, _ := s.relay.Take(time.Unix(1, 0), p)
	s.got.Write(out)
	if !s.relay.framing.Done() && !s.relay.broken {
		comments, _ := silent(s.exchange, time.Unix(2, 0))
		s.got.Write(comments)
	}
}

// unchunked is a body without its chunks.
func unchunked(t *testing.T, text string) string {
	t.Helper()
	body, err := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(text)))
	if err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	return string(body)
}

// withoutComments is a stream without the comments of tether.
func withoutComments(stream string) string { return strings.ReplaceAll(stream, string(keepAlive), "") }

// However the body is cut into parts, comments are between events and, in the chunked coding, between chunks.
func TestCommentsAreBetweenEvents(t *testing.T) {
	const events = "event: a\ndata: {\"x\":\"\\n\\n\"}\n\n: of the server\n\nid: 1\r\ndata: y\r\n\r\ndata: z\rdata: z\r\r" + secondEvent
	inChunks := func(size int) string {
		var body strings.Builder
		for rest := events; rest != ""; {
			n := min(len(rest), size)
			body.WriteString(chunk(rest[:n]))
			rest = rest[n:]
		}
		return body.String() + "0\r\n\r\n"
	}
	for _, c := range []struct {
		fields, body string
		http10       bool
		comments     int // at least, if the server is silent after every byte
	}{
		{"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n", inChunks(1), false, 5},
		{"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n", inChunks(7), false, 1},
		{"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n", inChunks(1), true, 5},
		{"Content-Type: text/event-stream\r\n", events, false, 5},
	} {
		for n := range len(c.body) {
			s := newStream(c.fields, c.http10)
			s.take([]byte(c.body[:n]))
			s.take([]byte(c.body[n:]))
			checkComments(t, s, events, c.http10)
		}
		s := newStream(c.fields, c.http10)
		for i := range c.body {
			s.take([]byte(c.body[i : i+1]))
		}
		checkComments(t, s, events, c.http10)
		if n := strings.Count(s.got.String(), string(keepAlive)); n < c.comments {
			t.Errorf("%q: %d comments in %q", c.fields, n, s.got.String())
		}
	}
}

// checkComments checks that what the client got is the events, with comments between them.
func checkComments(t *testing.T, s *stream, events string, http10 bool) {
	t.Helper()
	text := s.got.String()
	if s.relay.framing.Chunked() && !http10 {
		text = unchunked(t, text)
	}
	if got := withoutComments(text); got != events {
		t.Fatalf("the client got %q, want %q", got, events)
	}
	parts, before := strings.Split(text, string(keepAlive)), ""
	for _, part := range parts[:len(parts)-1] {
		before += part
		if before != "" && !strings.HasSuffix(before, "\n\n") && !strings.HasSuffix(before, "\r\n\r\n") && !strings.HasSuffix(before, "\r\r") {
			t.Fatalf("a comment within an event: after %q", before)
		}
	}
}

// FuzzKeepalive cuts any stream into any parts: no byte of it is lost or changed, and the framing stays whole.
func FuzzKeepalive(f *testing.F) {
	f.Add("data: a\n\ndata: b\n\n", uint16(3), uint8(5), false)
	f.Add("data: a\r\n\r\n\r\r", uint16(1), uint8(1), true)
	f.Fuzz(func(t *testing.T, events string, part uint16, size uint8, http10 bool) {
		if strings.Contains(events, string(keepAlive)) || len(events) > 4096 {
			return
		}
		var body strings.Builder
		for rest := events; rest != ""; {
			n := min(len(rest), 1+int(size))
			body.WriteString(chunk(rest[:n]))
			rest = rest[n:]
		}
		body.WriteString("0\r\n\r\n")
		s := newStream("Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n", http10)
		for rest := body.String(); rest != ""; {
			n := min(len(rest), 1+int(part))
			s.take([]byte(rest[:n]))
			rest = rest[n:]
		}
		checkComments(t, s, events, http10)
	})
}
