package proxy

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/sim"
	"tether/units"
)

// echo is a server that answers with the body that it received, in the framing that the query asks for. heads gives the headers that
// it received, and what it knows of the request as Echo-*.
func echo(t testing.TB) (url string, heads func() []http.Header) {
	t.Helper()
	var mu sync.Mutex
	var seen []http.Header
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		h := r.Header.Clone()
		h.Set("Echo-Host", r.Host)
		h.Set("Echo-Target", r.RequestURI)
		h.Set("Echo-Length", fmt.Sprint(r.ContentLength))
		h.Set("Echo-Coding", strings.Join(r.TransferEncoding, ","))
		mu.Lock()
		seen = append(seen, h)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/octet-stream")
		if r.URL.Query().Get("framing") == "length" {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.Write(body)
			return
		}
		for rest := body; len(rest) > 0; {
			n := min(len(rest), 1+rand.IntN(100_000))
			w.Write(rest[:n])
			w.(http.Flusher).Flush()
			rest = rest[n:]
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return "http://" + l.Addr().String(), func() []http.Header {
		mu.Lock()
		defer mu.Unlock()
		return append([]http.Header(nil), seen...)
	}
}

// Bodies reach the upstream and the client byte for byte.
func TestBodiesAreByteExact(t *testing.T) {
	url, heads := echo(t)
	r := newRig(t, []string{url})
	random := make([]byte, 32<<20)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(random)
	unicode := []byte(`{"model":"tiny","unknown_field":{"ключ":"значение 🧵\u0000"},"messages":[{"role":"user","content":"日本語 \"q\" \\ "}], "x":1e400}` + "\n ")
	bodies := [][]byte{[]byte("x"), unicode}
	for _, size := range []int{2 << 10, 16<<10 - 200, 16 << 10, 16<<10 + 1, 64 << 10, 64<<10 + 1, 256<<10 + 7, 1 << 20, 5<<20 + 3, 32 << 20} {
		bodies = append(bodies, random[:size])
	}
	for _, body := range bodies {
		for _, framing := range []string{"length", "chunked"} {
			for _, upload := range []string{"length", "chunked"} {
				var reader io.Reader = bytes.NewReader(body)
				if upload == "chunked" {
					reader = io.MultiReader(reader) // of unknown length
				}
				req, err := http.NewRequest("POST", "http://"+r.addr+"/v1/embeddings?framing="+framing, reader)
				r.must(err)
				req.Close = true
				res, err := http.DefaultClient.Do(req)
				r.must(err)
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || sha256.Sum256(got) != sha256.Sum256(body) {
					t.Fatalf("%d bytes, sent by %s, answered by %s: got %d bytes, %v", len(body), upload, framing, len(got), err)
				}
			}
		}
	}
	for _, h := range heads() {
		if h.Get("Echo-Coding") != "" || h.Get("Echo-Length") == "-1" {
			t.Fatalf("the upstream got a body in chunks: %v", h)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// Bodies that arrive in small pieces, split anywhere, with and without chunks, and pipelined.
func TestBodiesInPieces(t *testing.T) {
	url, _ := echo(t)
	r := newRig(t, []string{url})
	text := post("/v1/embeddings?framing=length", "hello, world") +
		"POST /v1/embeddings?framing=length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n7\r\n, world\r\n0\r\nX-Trailer: z\r\n\r\n" +
		post("/v1/embeddings?framing=length", "")
	for _, size := range []int{1, 2, 3, 7, 50, len(text)} {
		c := r.dial()
		go func() {
			for rest := text; len(rest) > 0; {
				n := min(size, len(rest))
				if _, err := io.WriteString(c, rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		for _, want := range []string{"hello, world", "hello, world", ""} {
			if a := c.receive(); a.StatusCode != 200 || a.body != want {
				t.Fatalf("in pieces of %d: %d %q, want %q", size, a.StatusCode, a.body, want)
			}
		}
		c.Close()
	}
}

func TestExpectContinue(t *testing.T) {
	url, _ := echo(t)
	r := newRig(t, []string{url}, func(r *rig) { r.cfg.MaxBody = units.MiB })
	c := r.dial()
	c.send("POST /v1/embeddings?framing=length HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	line, err := c.r.ReadString('\n')
	if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	c.r.ReadString('\n')
	c.send("hello")
	if a := c.receive(); a.StatusCode != 200 || a.body != "hello" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
	// A request that will be refused gets no 100 Continue.
	c.send("POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\nExpect: 100-continue\r\n\r\n")
	if a := c.receive(); a.StatusCode != 413 {
		t.Errorf("%d", a.StatusCode)
	}
}

func TestMaxBody(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MaxBody = 64 * units.KiB })
	fits := chat(strings.Repeat("x", 65_000))
	r.want(r.do("POST", chatPath, fits), 200, "new")
	large := chat(strings.Repeat("x", 200_000))
	before := count(r.sims)
	for _, a := range []*answer{
		r.do("POST", chatPath, large),
		r.chunked(chatPath, large),
	} {
		if a.StatusCode != 413 || !a.Close {
			t.Errorf("%d, close %v", a.StatusCode, a.Close)
		}
	}
	if count(r.sims) != before {
		t.Error("an upstream saw it")
	}
}

func (r *rig) chunked(path, body string) *answer {
	r.t.Helper()
	req, err := http.NewRequest("POST", "http://"+r.addr+path, io.MultiReader(strings.NewReader(body)))
	r.must(err)
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	r.must(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	r.mu.Lock()
	r.asked++
	r.mu.Unlock()
	return &answer{Response: res, body: string(text), err: err}
}

// A promised length costs nothing until bytes arrive: neither memory, which is bounded by the bytes that have arrived, nor a place
// among the requests in flight.
func TestPromisedBodiesCostNothing(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) {
		r.cfg.MaxBody, r.cfg.MaxBodyTotal = 4*units.MiB, units.Share{Bytes: 8 * units.MiB}
		r.cfg.MaxInFlight = 1
	})
	for range 100 { // 400 MiB promised
		r.dial().send("POST " + chatPath + " HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n{")
	}
	r.awaitBodies(100 * firstBodyBuffer)
	if n := r.proxy.InFlight(); n != 0 {
		t.Errorf("%d requests in flight", n)
	}
	r.want(r.chat("hello"), 200, "new")
}

// discarding is a server that reads bodies and drops them.
func discarding(t testing.TB) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(s.Close)
	return s.URL
}

// A body that is larger than the pooled buffers takes no more memory than its length, and than all bodies may take; and no more than
// 1 MiB beyond the bytes that have arrived. So a body as large as the whole budget can be read.
func TestBodiesTakeLittleBeyondTheirLength(t *testing.T) {
	const most = 20 << 20
	r := newRig(t, []string{discarding(t)}, func(r *rig) { r.cfg.MaxBody, r.cfg.MaxBodyTotal = most, units.Share{Bytes: most} })
	const head = "POST " + chatPath + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
	served := func(c *rawConn) {
		t.Helper()
		if a := c.receive(); a.StatusCode != 200 {
			t.Fatalf("%d: %s", a.StatusCode, a.body)
		}
		r.awaitBodies(0)
	}
	for _, size := range []int{100<<10 + 1, 1 << 20, 1<<20 + 1, 4<<20 + 1, 16<<20 + 1, most} {
		text := chat(strings.Repeat("x", size-len(chat(""))))
		part, last := text[:size-1], text[size-1:]
		buffer := 256 << 10 // a pooled size
		if size > buffer {
			buffer = 1 << 20
		}

		c := r.dial()
		c.send(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, size, part))
		r.wantBodies(size-1, max(size, buffer))
		c.send(last)
		served(c)

		c = r.dial()
		c.send(fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s", head, size, part))
		r.wantBodies(size-1, max(min(size+1<<20, most), buffer))
		c.send(last + "\r\n0\r\n\r\n")
		served(c)
	}
}

// wantBodies waits until bodies take least bytes, and checks that they never took more than most meanwhile.
func (r *rig) wantBodies(least, most int) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		n := r.proxy.BodyBytes()
		switch {
		case n > int64(most):
			r.t.Fatalf("%d bytes of bodies for %d, want at most %d", n, least, most)
		case n >= int64(least):
			return
		case time.Now().After(deadline):
			r.t.Fatalf("%d bytes of bodies, want %d", n, least)
		}
	}
}

// The time for a body of the largest allowed size does not overflow.
func TestTimeForBodies(t *testing.T) {
	const rate = 64 << 10
	for received, want := range map[int64]time.Duration{
		0: bodyTime, 1: bodyTime, rate: bodyTime + time.Second, 100 * rate: bodyTime + 100*time.Second,
		8 << 30: bodyTime + 8<<30/rate*time.Second, 16 << 30: bodyTime + 16<<30/rate*time.Second,
	} {
		if got := timeFor(received, rate); got != want {
			t.Errorf("%v after %d bytes, want %v", got, received, want)
		}
	}
	if got, want := timeFor(16<<30, 1<<10), bodyTime+16<<20*time.Second; got != want {
		t.Errorf("%v for the largest body at the lowest rate, want %v", got, want)
	}
}

// Requests whose body arrived with the head take nothing of the budget, so they are never refused for it.
func TestSmallBodiesAreNotRefused(t *testing.T) {
	const size = 1 << 20
	r := fleet(t, 1, sim.Config{}, func(r *rig) {
		r.cfg.MaxBody, r.cfg.MaxBodyTotal = size, units.Share{Bytes: 2 * size}
		r.cfg.TrustedProxies = []string{"127.0.0.1"}
	})
	text := chat(strings.Repeat("x", size-len(chat(""))))
	for _, from := range []string{"10.0.0.1", "10.0.0.2"} {
		request := post(chatPath, text, "X-Forwarded-For: "+from)
		r.dial().send(request[:len(request)-1])
	}
	r.awaitBodies(2 * size)
	c := r.dial()
	c.send(post(chatPath, chat("hello"), "X-Forwarded-For: 10.0.0.1"))
	r.want(c.receive(), 200, "new")
	c.send("GET /v1/models HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n")
	if a := c.receive(); a.StatusCode != 200 {
		t.Errorf("%d without a body", a.StatusCode)
	}
}

// Clients that send only a part of large bodies keep no other address from sending a small one.
func TestUnfinishedBodiesKeepNoAddressOut(t *testing.T) {
	const total, part = 64 << 20, 16<<20 + 1
	for _, addresses := range []int{1, 4, 16} {
		t.Run(fmt.Sprint(addresses), func(t *testing.T) {
			r := newRig(t, []string{discarding(t)}, func(r *rig) {
				r.cfg.MaxBodyTotal = units.Share{Bytes: total}
				r.cfg.TrustedProxies = []string{"127.0.0.1"}
			})
			text := strings.Repeat("x", part)
			promise := func(from int) {
				c := r.dial()
				_, _ = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.%d\r\nContent-Length: %d\r\n\r\n%s", chatPath, from, total, text) // it may be refused
			}
			small := chat(strings.Repeat("x", 1<<20-len(chat(""))))
			upload := func() {
				if a := r.do("POST", chatPath, small, "X-Forwarded-For: 10.1.0.1"); a.StatusCode != 200 {
					t.Fatalf("%d: %s", a.StatusCode, a.body)
				}
			}
			promise(0)
			r.wantBodies(part, part+1<<20)
			upload()
			var all sync.WaitGroup
			for i := 1; i < addresses; i++ {
				all.Go(func() { promise(i) })
			}
			for range 10 {
				upload()
			}
			all.Wait()
			upload()
		})
	}
}

// awaitBodies waits until bodies take n bytes.
func (r *rig) awaitBodies(want int64) {
	r.t.Helper()
	r.await(int(want), "bytes of bodies", func() int { return int(r.proxy.BodyBytes()) })
}

// All bodies together are bounded, and while memory is scarce an address has its share. The address is the one that a trusted
// proxy names.
func TestBodiesTogetherAreBounded(t *testing.T) {
	const size = 1 << 20
	r := fleet(t, 1, sim.Config{}, func(r *rig) {
		r.cfg.MaxBody, r.cfg.MaxBodyTotal = size, units.Share{Bytes: 4 * size}
		r.cfg.TrustedProxies = []string{"127.0.0.1"}
	})
	text := chat(strings.Repeat("x", size))[:size-4] + `"}]}`
	send := func(from string) *rawConn {
		c := r.dial()
		request := post(chatPath, text, "X-Forwarded-For: "+from)
		c.send(request[:len(request)-1]) // all but the last byte
		return c
	}
	refused := func(from string, want *fault) {
		t.Helper()
		c := r.dial()
		c.send("POST " + chatPath + " HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " + from + "\r\nContent-Length: 2\r\n\r\n{")
		if a := c.receive(); a.StatusCode != 503 || a.Header.Get("Retry-After") != "1" || !strings.Contains(a.body, want.message) {
			t.Errorf("%s: %d, %v", from, a.StatusCode, a.Header)
		}
		c.Close()
	}
	var bodies []*rawConn
	for i, from := range []string{"10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3"} { // a half from the first address, a quarter from each of the others
		bodies = append(bodies, send(from))
		r.awaitBodies(int64(i+1) * size)
		if i == 2 {
			refused("10.0.0.1", faultAddressBodies)
		}
	}
	refused("10.0.0.4", faultBodiesFull)
	// When one ends, another can have its memory.
	bodies[0].send("}")
	r.want(bodies[0].receive(), 200, "new")
	r.awaitBodies(3 * size)
	refused("10.0.0.3", faultAddressBodies)
	again := send("10.0.0.4")
	r.awaitBodies(4 * size)
	again.send("}")
	if a := again.receive(); a.StatusCode != 200 {
		t.Error(a.StatusCode)
	}
}

func TestMemoryIsReleasedWhenTheHeadArrived(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	large := strings.Replace(streamed(strings.Repeat("x", 1<<20)), `"stream"`, `"ignored":1,"stream"`, 1)
	c := r.dial()
	c.send(post(chatPath, large, "X-Sim-Fault: stall=1"))
	if _, err := c.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	r.awaitLoad(0, func(l sim.Load) bool { return l.Held == 1 })
	for deadline := time.Now().Add(patience); r.proxy.BodyBytes() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes held through a stream", r.proxy.BodyBytes())
		}
	}
}
