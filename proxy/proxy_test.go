package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/sim"
	simfault "tether/sim/fault"
)

// Bytes leave as they arrive: the head at once, and every event when it arrives.
func TestBytesLeaveAsTheyArrive(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	c := r.dial()
	c.send(post(chatPath, streamed("x")))
	up := s.next()
	up.request()
	up.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	r.must(err)
	defer res.Body.Close()
	for i := range 20 {
		event := fmt.Sprintf("data: %d\n\n", i)
		up.send(fmt.Sprintf("%x\r\n%s\r\n", len(event), event))
		got := make([]byte, len(event))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != event {
			t.Fatalf("%q, %v", got, err)
		}
	}
	up.send("0\r\n\r\n")
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) != 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

// A chunked answer is relayed to the byte, extensions and trailers included.
func TestChunksAreRelayedAsTheyAre(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	c := r.dial()
	c.send(post(chatPath, chat("x"), "Connection: close"))
	up := s.next()
	up.request()
	const body = "5;a=\"b\"\r\nhello\r\n001\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n"
	up.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
	text, err := c.rest()
	if _, got, _ := strings.Cut(text, "\r\n\r\n"); err != nil || got != body {
		t.Errorf("%v %q", err, got)
	}
}

func TestMalformedChunksAreCut(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	c := r.dial()
	c.send(post(chatPath, chat("x")))
	up := s.next()
	up.request()
	up.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nsmuggled\r\n0\r\n\r\n")
	a := c.receive()
	if a.err == nil || a.body != "hello" {
		t.Errorf("%q, %v", a.body, a.err)
	}
	up.ended()
	if rec := r.recorded(1); rec.Reason != "upstream_malformed" {
		t.Errorf("%s", rec.Reason)
	}
}

// Requests on one connection, one after another and pipelined.
func TestKeepAlive(t *testing.T) {
	r := fleet(t, 2, sim.Config{})
	c := r.dial()
	c.send(strings.Repeat(post(chatPath, chat("x"), sid), 5))
	for i := range 5 {
		a := c.receive()
		if a.StatusCode != 200 || a.Close {
			t.Fatalf("answer %d: %d, close %v", i, a.StatusCode, a.Close)
		}
	}
	c.send(strings.Replace(post(chatPath, chat("x"), sid, "Connection: keep-alive"), "HTTP/1.1", "HTTP/1.0", 1))
	if a := c.receive(); a.StatusCode != 200 || a.Header.Get("Connection") != "keep-alive" {
		t.Errorf("HTTP/1.0: %d, %v", a.StatusCode, a.Header)
	}
	c.send(post(chatPath, chat("x"), sid, "Connection: Close"))
	if a := c.receive(); a.StatusCode != 200 || !a.Close {
		t.Errorf("%d, close %v", a.StatusCode, a.Close)
	}
	if text, err := c.rest(); err != nil || text != "" {
		t.Errorf("%q, %v", text, err)
	}
}

// A client that takes nothing holds a fixed buffer and is cut in time, and the engine stops working for it.
func TestClientThatDoesNotRead(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as such a client may")
	}
	t.Parallel()
	s := newScript(t)
	r := newRig(t, []string{s.url()}, func(r *rig) { r.cfg.ClientWriteTimeout = 2 * time.Second })
	c := r.dial()
	c.SetReadBuffer(4 << 10)
	c.send(post(chatPath, streamed("x")))
	up := s.next()
	up.request()
	up.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
	started := time.Now()
	up.SetDeadline(time.Now().Add(20 * time.Second))
	sent := 0
	event := []byte("data: " + strings.Repeat("x", 32<<10) + "\n\n")
	for {
		n, err := up.Write(event)
		sent += n
		if err != nil {
			if isTimeout(err) {
				t.Fatalf("never cut, %d bytes taken", sent)
			}
			break
		}
	}
	if took := time.Since(started); took > 14*time.Second {
		t.Errorf("cut after %v", took)
	}
	if sent > 32<<20 {
		t.Errorf("%d bytes taken for a client that reads none", sent)
	}
	if rec := r.recorded(1); rec.Status != 499 || rec.Reason != "client_stalled" || !rec.ClientLeft() {
		t.Errorf("recorded as %d, %s", rec.Status, rec.Reason)
	}
}

// Before a shutdown every answer ends its connection, tether's own as well, while all requests are still served.
func TestLastAnswers(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	r.proxy.LastAnswers()
	for request, want := range map[string]int{
		post(chatPath, chat("x")):                                              200,
		"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n":                           200,
		"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n":                             404,
		"GET /v1/models HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n": 200,
	} {
		c := r.dial()
		c.send(request)
		if a := c.receive(); a.StatusCode != want || !a.Close {
			t.Errorf("%.30q: %d, close %v", request, a.StatusCode, a.Close)
		}
		if text, err := c.rest(); err != nil || text != "" {
			t.Errorf("%.30q: %q, %v", request, text, err)
		}
	}
}

func TestShutdown(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	idle := r.dial()
	idle.send(post(chatPath, chat("x"), sid))
	if a := idle.receive(); a.StatusCode != 200 || a.Close {
		t.Fatal(a.StatusCode)
	}
	r.must(r.sims[0].Inject(simfault.Fault{Kind: simfault.Hang}))
	busy := r.dial()
	busy.send(post(chatPath, chat("x"), sid))
	r.awaitLoad(0, func(l sim.Load) bool { return l.Held == 1 })

	r.proxy.LastAnswers()
	r.listener.Close()
	type end struct{ cut, connections int }
	ended := make(chan end, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		cut := r.proxy.Shutdown(ctx)
		ended <- end{cut, r.proxy.Connections()}
	}()
	if text, err := idle.rest(); err != nil || text != "" {
		t.Errorf("the idle connection got %q, %v", text, err)
	}
	r.sims[0].ClearFaults()
	if a := busy.receive(); a.StatusCode != 200 || !a.Close {
		t.Errorf("%d, close %v", a.StatusCode, a.Close)
	}
	if e := <-ended; e != (end{}) {
		t.Errorf("%d connections were cut, %d left when it ended", e.cut, e.connections)
	}
}

// A client that connected just before the shutdown is served. One that sends nothing does not hold the shutdown up for longer than a new
// connection may take for its request, and one whose connection has served a request gets no second one.
func TestShutdownServesNewConnections(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	late, silent := r.dial(), r.dial()
	for deadline := time.Now().Add(patience); r.proxy.Connections() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections", r.proxy.Connections())
		}
	}
	r.proxy.LastAnswers()
	r.listener.Close()
	began, ended := time.Now(), make(chan int, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ended <- r.proxy.Shutdown(ctx)
	}()
	for !r.proxy.clients.stopping.Load() {
		time.Sleep(time.Millisecond)
	}
	late.send(post(chatPath, chat("x"), sid))
	if a := late.receive(); a.StatusCode != 200 || !a.Close {
		t.Errorf("%d, close %v", a.StatusCode, a.Close)
	}
	if text, err := silent.rest(); err != nil || text != "" {
		t.Errorf("the silent connection got %q, %v", text, err)
	}
	if cut, took := <-ended, time.Since(began); cut != 0 || took > firstRequestTime+patience/2 {
		t.Errorf("%d connections were cut, after %v", cut, took)
	}
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	c := r.dial()
	c.send(post(chatPath, streamed("x"), "X-Sim-Fault: stall=1"))
	r.awaitLoad(0, func(l sim.Load) bool { return l.Held == 1 })
	if _, err := c.r.Peek(500); err != nil { // the relay waits for the next event
		t.Fatal(err)
	}
	r.listener.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if cut := r.proxy.Shutdown(ctx); cut != 1 {
		t.Errorf("%d connections cut", cut)
	}
	if text, err := c.rest(); err == nil {
		t.Errorf("a cut stream ended cleanly: %q", text)
	}
	r.awaitLoad(0, func(l sim.Load) bool { return l.Requests == 0 })
}

// Idle gaps around the server's own limit: no request notices that connections were closed under it.
func TestStaleKeepAlive(t *testing.T) {
	requests := 10_000
	if testing.Short() {
		requests = 1000
	}
	const limit = 40 * time.Millisecond
	r := fleet(t, 2, sim.Config{KeepAlive: limit, Record: 1})
	const workers = 50
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			client := http.Client{Timeout: patience, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			body := chat(fmt.Sprint("worker ", w))
			for i := range requests / workers {
				res, err := client.Post("http://"+r.addr+chatPath, "application/json", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != 200 {
					t.Errorf("%d, %v", res.StatusCode, err)
					return
				}
				// gaps from well below to just above the limit: the test is about idle time
				time.Sleep(limit*time.Duration(i%12)/10 - limit/20)
			}
		})
	}
	wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	replays := 0
	for _, rec := range r.records {
		replays += rec.Replays
	}
	t.Logf("%d requests, %d replayed", len(r.records), replays)
}
