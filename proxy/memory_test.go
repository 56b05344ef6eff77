package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"tether/sim"
	simfault "tether/sim/fault"
	"tether/units"
	"tether/upstream"
	"tether/upstream/transport"
)

// streaming is a server that answers with a stream's head and first event, and ends when release is closed.
func streaming(t *testing.T, release chan struct{}) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {}\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func heap() int64 {
	var m runtime.MemStats
	for range 3 { // pools are empty after two collections
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// post sends a chat of the given content on a connection of its own and waits for the answer's status line.
func (r *rig) post(content string) net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	r.must(err)
	r.t.Cleanup(func() { c.Close() })
	body := `{"model":"tiny","messages":[{"role":"user","content":"` + content + `"}]}`
	_, err = fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	r.must(err)
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		r.t.Fatal(line, err)
	}
	return c
}

// A body's memory is released when its answer's head has arrived, however long the answer takes.
func TestBodyMemoryIsReleased(t *testing.T) {
	const streams, size = 4, 16 << 20
	release := make(chan struct{})
	r := newRig(t, []string{streaming(t, release)}, func(r *rig) {
		r.cfg.MaxBodyTotal = units.Share{Bytes: 2 * r.cfg.MaxBody}
	})
	content := strings.Repeat("x", size)
	before := heap()
	for range streams {
		r.post(content)
	}
	if held := r.proxy.BodyBytes(); held != 0 {
		t.Errorf("%d bytes of bodies are held while their answers stream", held)
	}
	if grown := heap() - before; grown > size {
		t.Errorf("%d streams hold %d MiB of %d MiB of bodies", streams, grown>>20, streams*size>>20)
	}
	close(release)
}

// Two different session ids count as absent: no server gets one of them.
func TestAmbiguousSessionIDIsNotForwarded(t *testing.T) {
	got := make(chan []string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Values("X-Session-Id")
		fmt.Fprint(w, "{}")
	}))
	t.Cleanup(s.Close)
	r := newRig(t, []string{s.URL})
	c, err := net.Dial("tcp", r.addr)
	r.must(err)
	defer c.Close()
	const body = `{"prompt":"x"}`
	fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: a\r\nX-Session-Id: a\r\nX-Session-Id: b\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	_, err = http.ReadResponse(bufio.NewReader(c), nil)
	r.must(err)
	if ids := <-got; len(ids) != 0 {
		t.Errorf("the server got %q", ids)
	}
	if rec := r.recorded(1); rec.Ignored != 1 {
		t.Errorf("%d ids are recorded as ignored", rec.Ignored)
	}
}

// An exchange serves one request after another: no id is left in it.
func TestExchangesForget(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // one pool for all, so that a used exchange is found
	const secret = "mrs-robinson"
	// The first attempt has the longer head.
	long := transport.APIKey(strings.Repeat("k", 1000))
	r := fleet(t, 2, sim.Config{}, func(r *rig) {
		r.spec = func(s *upstream.Spec) {
			if s.Slot == 0 {
				s.Key = long
			}
		}
	})
	r.must(r.sims[0].Inject(simfault.Fault{Kind: simfault.Status, Arg: "503"}))
	r.pin(secret, r.up(0))
	used := 0
	for range 20 {
		r.chat("x", "X-Session-Id: "+secret, "X-Session-Affinity: "+secret, "Connection: X-Hop", "X-Hop: "+strings.Repeat("x", 100))
		for r.proxy.Connections() != 0 { // until its goroutine has ended
			time.Sleep(time.Millisecond)
		}
		x := r.proxy.exchanges.Get().(*exchange)
		if x.scratch == nil {
			continue
		}
		used++
		for what, buf := range map[string][]byte{"request": x.attempt.head, "answer": x.reply, "fields": x.req.in.lines} {
			if bytes.Contains(buf[:cap(buf)], []byte(secret)) {
				t.Fatalf("the id is left in the %s", what)
			}
		}
		if id := x.caller.session.ID(); len(id) > 0 {
			t.Fatalf("the id is left: %q", id)
		}
	}
	if used == 0 {
		t.Error("none had been used: this shows nothing")
	}
}
