package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// event sends a chunk that holds one event of a stream, and gives the event.
func (c *rawConn) event(n int) string {
	c.t.Helper()
	event := fmt.Sprintf("data: %d\n\n", n)
	c.send(fmt.Sprintf("%x\r\n%s\r\n", len(event), event))
	return event
}

const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

// streaming begins a stream of the session of sid, and gives both its ends: the server's, and what the client reads.
func (r *rig) streaming(s *script) (up *rawConn, stream io.Reader) {
	r.t.Helper()
	c := r.dial()
	c.send(post(chatPath, streamed("x"), sid))
	up = s.next()
	up.request()
	up.send(streamHead)
	res, err := http.ReadResponse(c.r, nil)
	r.must(err)
	r.t.Cleanup(func() { res.Body.Close() })
	return up, res.Body
}

// relayed sends one event through the stream.
func (r *rig) relayed(up *rawConn, stream io.Reader, n int) {
	r.t.Helper()
	event := up.event(n)
	got := make([]byte, len(event))
	if _, err := io.ReadFull(stream, got); err != nil || string(got) != event {
		r.t.Fatalf("%q, %v", got, err)
	}
}

// An answer may take as long as it likes while bytes come, and its conversation's pin lives with it.
func TestPinLivesThroughALongStream(t *testing.T) {
	t.Parallel()
	const ttl = 4 * time.Second
	s := newScript(t)
	r := newRig(t, []string{s.url()}, func(r *rig) {
		r.pinning.TTL, r.cfg.HeadTimeout, r.cfg.IdleTimeout = ttl, ttl/2, ttl/2
	})
	up, stream := r.streaming(s)
	started := time.Now()
	for n := 0; time.Since(started) < ttl+ttl/4; n++ {
		r.relayed(up, stream, n)
		if r.pinned("s-1") == nil {
			t.Fatalf("the pin expired after %v of a stream", time.Since(started))
		}
		<-time.After(ttl / 40) // it is the time that is tested
	}
	up.send("0\r\n\r\n")
}

// Every byte of an answer shows that its engine is at work, which excuses it from answering probes in time.
func TestEveryByteIsHeardOf(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	up, stream := r.streaming(s)
	for n := range 3 {
		before := time.Now()
		r.relayed(up, stream, n)
		if at := r.up(0).LastDelivered(); at.Before(before) {
			t.Errorf("event %d: last heard of %v before it was sent", n, before.Sub(at))
		}
	}
	up.send("0\r\n\r\n")
}

// An encoded stream ends where it was cut: words of ours would be no part of its coding.
func TestEncodedStreamIsCutWithoutWords(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	done := r.turn(post(chatPath, streamed("x")))
	up := s.next()
	up.request()
	up.send(strings.Replace(streamHead, "\r\n", "\r\nContent-Encoding: gzip\r\n", 1))
	event := up.event(1)
	up.Close()
	if a := <-done; a.err == nil || a.body != event {
		t.Errorf("%q, %v", a.body, a.err)
	}
}

// The first byte of an answer is that of its body: the head of a stream comes before anything was computed.
func TestFirstByteIsOfTheBody(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	up, stream := r.streaming(s)
	headed := time.Now() // the client has the head
	r.relayed(up, stream, 1)
	first := time.Now()
	r.relayed(up, stream, 2)
	const end = "0\r\n\r\n"
	up.send(end)
	rec := r.recorded(1)
	if at := rec.Started.Add(rec.FirstByte); at.Before(headed) || at.After(first) {
		t.Errorf("%v after the head, %v before the client had it", at.Sub(headed), first.Sub(at))
	}
	if want := 2*len("9\r\ndata: 1\n\n\r\n") + len(end); rec.BytesOut != int64(want) || rec.Duration < rec.FirstByte {
		t.Errorf("%d bytes, want %d, in %v", rec.BytesOut, want, rec.Duration)
	}
}

// A body that is still being sent when its answer begins is released as soon as it is not.
func TestBodyIsReleasedOnceItIsSent(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	body := chat(strings.Repeat("x", 16<<20)) // more than sockets take
	c := r.dial()
	c.send(post(chatPath, body))
	up := s.next()
	up.send(streamHead)
	if _, err := c.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	if held := r.proxy.BodyBytes(); held < int64(len(body)) {
		t.Errorf("%d bytes held while %d are being sent", held, len(body))
	}
	if _, got := up.request(); string(got) != body {
		t.Errorf("the server got %d bytes of %d", len(got), len(body))
	}
	for n := 0; r.proxy.BodyBytes() != 0; n++ {
		if n > 1000 {
			t.Fatalf("%d bytes held through a stream", r.proxy.BodyBytes())
		}
		up.event(n)
		<-time.After(time.Millisecond) // the sender may not have noticed yet
	}
	up.send("0\r\n\r\n")
}
