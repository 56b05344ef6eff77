package proxy

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"tether/http1"
)

// event sends a chunk that holds one event of a stream, and gives the event.
func (c *rawConn) event(n int) string {
	c.t.Helper()
	event := fmt.Sprintf("data: %d\n\n", n)
	c.send(fmt.Sprintf("%x\r\n%s\r\n", len(event), event))
	return event
}

const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

// streaming begins a stream of the session of sid, and gives both its ends: the server's connection, and what the client reads.
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

// An answer may take any time while bytes arrive, and its conversation's pin lives as long.
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

// Every byte of an answer shows that its engine is at work, so that slow probes do not count.
func TestEveryByteIsNoted(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	up, stream := r.streaming(s)
	for n := range 3 {
		before := time.Now()
		r.relayed(up, stream, n)
		if at := r.up(0).LastDelivered(); at.Before(before) {
			t.Errorf("event %d: last delivery %v before it was sent", n, before.Sub(at))
		}
	}
	up.send("0\r\n\r\n")
}

// A cut stream with a Content-Encoding gets no error event: the event would be no part of the coding.
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

// The first byte of an answer is that of its body: the head of a stream is sent before anything was computed.
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

// A body that is still being sent when its answer begins is released once it is sent.
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

// A relay works with what it holds and its callbacks: any thread can pump it, and however the bytes are split.
func TestRelayAlone(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	event := "data: {\"id\":\"x\",\"response\":{\"id\":\"resp_1\"},\"usage\":{\"prompt_tokens\":7}}\n\n"
	body := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(event), event)
	for _, http10 := range []bool{false, true} {
		for range 100 {
			var r relay
			calls, generated, learned, ended := 0, 0, "", ""
			r.received = func(time.Time) { calls++ }
			r.generates = func() { generated++ }
			r.finished = func(_ time.Time, clean bool) { ended += fmt.Sprint(clean) }
			r.learned = func(id []byte) { learned += string(id) }
			r.show = r.see
			var h http1.Head
			if _, err := http1.ParseHead([]byte(head), 0, &h); err != nil {
				t.Fatal(err)
			}
			r.begin(&h, http10, time.Now())
			r.stored = newStoredScan(true)
			var got []byte
			pieces := 0
			for rest, more := []byte(body), true; more; pieces++ {
				n := min(len(rest), 1+rand.IntN(20))
				var out []byte
				out, more = r.Take(time.Now(), rest[:n])
				got, rest = append(got, out...), rest[n:]
			}
			want := body
			if http10 {
				want = event
			}
			if string(got) != want || calls != pieces || learned != "resp_1" || ended != "true" || generated != 1 || r.bytes != int64(len(want)) {
				t.Fatalf("%q, %d calls for %d pieces, learned %q, ended %q", got, calls, pieces, learned, ended)
			}
			if prompt, _ := r.usage.tokens(); prompt != 7 {
				t.Errorf("%d tokens", prompt)
			}
		}
	}
}

// panicAt makes the relays of the rig panic when they have received their n-th part; the head's counts as the first.
func (r *rig) panicAt(n int) {
	parts := 0
	r.proxy.exchanges.New = func() any {
		x := newExchange(r.proxy)
		received := x.relay.received
		x.relay.received = func(now time.Time) {
			if parts++; parts == n {
				panic("test")
			}
			received(now)
		}
		return x
	}
}

// A panic while an answer is passed on stays in the relay: whoever pumps it may pump others too. It ends this exchange alone.
func TestPanicInTheRelay(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	r.panicAt(3)
	up, stream := r.streaming(s)
	r.relayed(up, stream, 1)
	up.event(2)
	if _, err := io.ReadAll(stream); err == nil {
		t.Error("the answer seems whole")
	}
	up.ended()
	if rec := r.recorded(1); rec.Status != 200 || rec.Reason != "panic" || r.proxy.InFlight() != 0 || r.up(0).InFlight() != 0 {
		t.Errorf("%d %s, %d in flight", rec.Status, rec.Reason, r.proxy.InFlight())
	}
	done := r.turn(post(chatPath, chat("x"), sid))
	next := s.next()
	next.request()
	next.send(ok("one"))
	if a := <-done; a.StatusCode != 200 || a.body != "one" {
		t.Errorf("then %d %s", a.StatusCode, a.body)
	}
}

// Before the head has left, the client gets a 500.
func TestPanicBeforeTheRelayedHead(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	r.panicAt(1)
	done := r.turn(post(chatPath, chat("x"), sid))
	up := s.next()
	up.request()
	up.send(ok("one"))
	if a := <-done; a.StatusCode != 500 || !a.Close || strings.Contains(a.body, "test") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	up.ended()
}

// A server may answer in whole before it has read the body. The client gets that answer at once, and the body is freed when the
// goroutine that sends it has ended.
func TestAnswerWhileTheBodyIsSent(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	c := r.dial()
	for n := range 3 { // the next request must not wait for the sender, nor find its bytes
		c.send(post(chatPath, chat(strings.Repeat("x", 16<<20)))) // more than sockets take
		up := s.next()
		up.send(ok(fmt.Sprint("early ", n)))
		if a := c.receive(); a.StatusCode != 200 || a.body != fmt.Sprint("early ", n) || a.Close {
			t.Fatalf("%d %q, close %v", a.StatusCode, a.body, a.Close)
		}
		up.ended()
	}
}

// The event that ends a cut stream in Cohere's form is the last event of its API, with the error in it.
func TestCutEventInCoheresForm(t *testing.T) {
	const want = `data: {"type":"message-end","delta":{"error":"` + cutMessage + `","finish_reason":"ERROR"}}` + "\n\n"
	if got := string(cutEvent(cohereAPI, false)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Interim answers of a server reach a client of HTTP/1.1 as they arrive (RFC 9110 15.2), without fields of the hop, other than
// 100: what the client waits for is between it and tether.
func TestInterimAnswers(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	c := r.dial()
	c.send(post(chatPath, chat("x"), sid))
	up := s.next()
	up.request()
	for _, x := range []struct{ sent, received string }{
		{
			"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nX-Session-Id: theirs\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\n\r\n",
			"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
		},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n"},
		{"HTTP/1.0 199 \xc3\xa4\r\nLocation: " + s.url() + "/b\r\n\r\n", "HTTP/1.1 199 \xc3\xa4\r\nLocation: /b\r\n\r\n"},
	} {
		up.send(x.sent)
		got := make([]byte, len(x.received))
		if _, err := io.ReadFull(c.r, got); err != nil || string(got) != x.received {
			t.Fatalf("%q, %v; want %q", got, err, x.received)
		}
	}
	up.send(ok("{}"))
	if a := c.receive(); a.StatusCode != 200 || a.body != "{}" || a.Header.Get("X-Session-Id") != "s-1" {
		t.Errorf("%d %s %v", a.StatusCode, a.body, a.Header)
	}
	c.send(post(chatPath, chat("x"), sid)) // the connection goes on
	up.request()
	up.send(ok("{}"))
	r.want(c.receive(), 200, "pinned")
}

// HTTP/1.0 has no interim answers.
func TestInterimAnswersToHTTP10(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	c := r.dial()
	c.send(strings.Replace(post(chatPath, chat("x"), sid), "HTTP/1.1", "HTTP/1.0", 1))
	up := s.next()
	up.request()
	up.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok("{}"))
	if a := c.receive(); a.StatusCode != 200 || a.body != "{}" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// An interim answer decides nothing: if its server dies, the next one gets the request, and if all die, the client is told.
func TestInterimAnswersBeforeADeath(t *testing.T) {
	first, second := newScript(t), newScript(t)
	r := newRig(t, []string{first.url(), second.url()})
	r.pin("s-1", r.up(0))
	const hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	for _, answers := range []bool{true, false} {
		c := r.dial()
		c.send(post(chatPath, chat("x"), sid))
		up := first.next()
		up.request()
		up.send(hint)
		up.reset()
		other := second.next()
		other.request()
		want := 502
		if answers {
			want = 200
			other.send(hint + ok("{}"))
		} else {
			other.send(hint)
			other.reset()
		}
		for range 2 {
			if a := c.receive(); a.StatusCode != 103 {
				t.Errorf("%d comes before the answer", a.StatusCode)
			}
		}
		if a := c.receive(); a.StatusCode != want {
			t.Errorf("%d %s, want %d", a.StatusCode, a.body, want)
		}
		other.Close()
	}
}

// The terminal event counts as sent once the client was sent all that there was after it, and not before.
func TestServedIsSent(t *testing.T) {
	begun := func() *relay {
		s := newStream("Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n", false)
		s.relay.Take(time.Unix(1, 0), []byte(chunk(firstEvent)))
		return &s.relay
	}
	now := time.Unix(2, 0)
	r := begun()
	if r.Take(now, []byte(chunk(secondEvent))); r.served {
		t.Error("served before the event was sent")
	}
	if r.Take(now, []byte("0\r\n\r\n")); !r.served {
		t.Error("not served, although the next part was taken")
	}
	r = begun()
	r.Take(now, []byte(chunk(secondEvent)))
	r.unsent = true
	if r.Take(now, []byte("0\r\n\r\n")); r.served {
		t.Error("served, although a loop has not sent the event")
	}
	r.unsent = false
	if r.sent(); !r.served {
		t.Error("not served, although all is sent")
	}
	r.unsent = true
	if r.sent(); !r.served {
		t.Error("no longer served")
	}
}
