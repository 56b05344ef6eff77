package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tether/sim"
	simfault "tether/sim/fault"
)

// turn sends a request on a connection of its own. The channel gives the answer.
func (r *rig) turn(text string) <-chan *answer {
	r.t.Helper()
	c := r.dial()
	c.send(text)
	done := make(chan *answer, 1)
	go func() {
		a, err := c.answered()
		if err != nil {
			r.t.Error(err)
		}
		done <- a
	}()
	return done
}

// warm leaves an idle connection to the script's server in the pool, by a request of session id.
func (r *rig) warm(s *script, id string) *rawConn {
	r.t.Helper()
	r.mu.Lock()
	before := len(r.records)
	r.mu.Unlock()
	done := r.turn(post(chatPath, chat("x"), "X-Session-Id: "+id))
	up := s.next()
	up.request()
	up.send(ok("warm"))
	if a := <-done; a.StatusCode != 200 {
		r.t.Fatal(a.StatusCode)
	}
	r.recorded(before + 1)
	return up
}

// No second server gets a request about a stored response, or for background work, with affinity or without.
func TestAffinityOffKeepsTheRules(t *testing.T) {
	for _, body := range []string{`{"model":"tiny","input":"x","background":true}`, `{"model":"tiny","input":"x","previous_response_id":"resp_1"}`} {
		r := fleet(t, 3, sim.Config{})
		a := r.do("POST", "/v1/responses", body, "X-Tether-Affinity: off", "X-Sim-Fault: reset")
		if n := count(r.sims); a.StatusCode != 502 || n != 1 {
			t.Errorf("%d; %d servers got %s", a.StatusCode, n, body)
		}
	}
}

// Calls without affinity go to servers that have their model.
func TestModelsOfCallsWithoutAffinity(t *testing.T) {
	r := fleet(t, 2, sim.Config{})
	r.up(0).SetModels(list(`{"id":"chat"}`))
	r.up(1).SetModels(list(`{"id":"bge"}`))
	for range 20 {
		if a := r.do("POST", "/v1/embeddings", `{"model":"bge","input":"x"}`); a.server() != "vllm-1" || a.outcome() != "none" {
			t.Fatalf("went to %s, %s", a.server(), a.outcome())
		}
		if a := r.do("POST", chatPath, chat("x"), "X-Tether-Affinity: off"); a.outcome() != "none" {
			t.Fatal(a.outcome())
		}
	}
}

// A slow request head does not make a stale connection look like a death.
func TestStaleAfterASlowHead(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	up := r.warm(s, "s-1")
	slow := r.dial()
	text := post(chatPath, chat("x"), sid)
	slow.send(text[:10])
	<-time.After(staleAge) // it is the time that is tested
	slow.send(text[10:])
	up.request() // on the kept connection
	up.Close()
	again := s.next()
	again.request()
	again.send(ok("two"))
	if a := slow.receive(); a.StatusCode != 200 || a.body != "two" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// staleAge is longer than a used connection may take to die and count as stale.
const staleAge = 1100 * time.Millisecond

// The idle connections of two upstreams may both turn out stale.
func TestStaleAtTwoUpstreams(t *testing.T) {
	a, b := newScript(t), newScript(t)
	r := newRig(t, []string{a.url(), b.url()})
	r.pin("s-0", r.up(0))
	r.pin("s-1", r.up(1))
	one, two := r.warm(a, "s-0"), r.warm(b, "s-1")
	a.l.Close()
	done := r.turn(post(chatPath, chat("x"), "X-Session-Id: s-0"))
	one.request()
	one.Close() // the replay is refused
	two.request()
	two.Close()
	if r.cfg.MaxAttempts != 3 {
		t.Fatal("this test wants three attempts")
	}
	got := <-done
	r.want(got, 502, "spilled") // the attempts are used up: a's two and b's one
	if rec := r.recorded(3); rec.Attempts != 3 || rec.Replays != 1 {
		t.Errorf("%d attempts, %d replays", rec.Attempts, rec.Replays)
	}
}

func TestStaleAtTwoUpstreamsIsReplayed(t *testing.T) {
	a, b := newScript(t), newScript(t)
	r := newRig(t, []string{a.url(), b.url()}, func(r *rig) { r.cfg.MaxAttempts = 5 })
	r.pin("s-0", r.up(0))
	r.pin("s-1", r.up(1))
	one, two := r.warm(a, "s-0"), r.warm(b, "s-1")
	a.l.Close()
	done := r.turn(post(chatPath, chat("x"), "X-Session-Id: s-0"))
	one.request()
	one.Close()
	two.request()
	two.Close()
	fresh := b.next()
	fresh.request()
	fresh.send(ok("fresh"))
	if got := <-done; got.StatusCode != 200 || got.body != "fresh" {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if rec := r.recorded(3); rec.Attempts != 4 || rec.Replays != 2 {
		t.Errorf("%d attempts, %d replays", rec.Attempts, rec.Replays)
	}
}

// The first bytes show that a server does not speak HTTP, and no other server gets the request.
func TestServersThatDoNotSpeakHTTP(t *testing.T) {
	for _, greeting := range []string{"220 smtp.example.com ESMTP\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\x15\x03\x01\x00\x02\x02\x0a", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"} {
		a, b := newScript(t), newScript(t)
		r := newRig(t, []string{a.url(), b.url()})
		r.pin("s-1", r.up(0))
		done := r.turn(post(chatPath, chat("x"), sid))
		up := a.next()
		up.request()
		up.send(greeting) // and stays connected
		if got := <-done; got.StatusCode != 502 {
			t.Errorf("%q: %d", greeting, got.StatusCode)
		}
		if rec := r.recorded(1); rec.Attempts != 1 || rec.Reason != "bad_answer" {
			t.Errorf("%q: %d attempts, %s", greeting, rec.Attempts, rec.Reason)
		}
		up.ended()
	}
}

// An answer that was read as a possible refusal reaches the client whole, however it arrives.
func TestReadingAnErrorLosesNothing(t *testing.T) {
	const digits = "0123456789"
	for name, c := range map[string]struct {
		head, body, want string
	}{
		"whole":   {"Content-Length: 10", digits, digits},
		"cut":     {"Content-Length: 26", digits, digits},
		"chunked": {"Transfer-Encoding: chunked", "a\r\n" + digits + "\r\n0\r\n\r\n", digits},
		"broken":  {"Transfer-Encoding: chunked", "a\r\n" + digits + "\r\nx", digits},
		"long":    {"Transfer-Encoding: chunked", "2000\r\n" + strings.Repeat("x", 0x2000) + "\r\n0\r\n\r\n", strings.Repeat("x", 0x2000)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			r := newRig(t, []string{s.url()})
			done := r.turn(post(chatPath, chat("x"), sid))
			up := s.next()
			up.request()
			up.send("HTTP/1.1 500 E\r\n" + c.head + "\r\n\r\n")
			for _, b := range []byte(c.body) {
				up.send(string(b))
			}
			up.Close()
			if a := <-done; a.StatusCode != 500 || a.body != c.want {
				t.Errorf("%d, %d bytes: %.40q", a.StatusCode, len(a.body), a.body)
			}
		})
	}
}

// A possible refusal is held back for a bounded time, and a long answer not at all.
func TestReadingAnErrorIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a limit")
	}
	t.Parallel()
	for _, length := range []int{10, maxRefusal + 1} {
		s := newScript(t)
		r := newRig(t, []string{s.url()})
		c := r.dial()
		c.send(post(chatPath, chat("x")))
		up := s.next()
		up.request()
		up.send(fmt.Sprintf("HTTP/1.1 500 E\r\nContent-Length: %d\r\n\r\n01234", length))
		started := time.Now()
		if _, err := c.r.Peek(1); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(started); (length == 10) != (took >= refusalTime) || took > refusalTime+3*time.Second {
			t.Errorf("%d bytes: held back for %v", length, took)
		}
		rest := strings.Repeat("x", length-5)
		up.send(rest)
		if a := c.receive(); a.StatusCode != 500 || a.body != "01234"+rest || a.err != nil {
			t.Errorf("%d bytes: %d, %d bytes, %v", length, a.StatusCode, len(a.body), a.err)
		}
	}
}

// If one server was busy and the others are unreachable, the client is told of the busy one.
func TestBusyThenUnreachable(t *testing.T) {
	a, b := newScript(t), newScript(t)
	r := newRig(t, []string{a.url(), b.url()})
	b.l.Close()
	r.pin("s-1", r.up(0))
	done := r.turn(post(chatPath, chat("x"), sid))
	up := a.next()
	up.request()
	up.send("HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno")
	got := <-done
	r.want(got, 503, "spilled")
	if got.Header.Get("Retry-After") != "1" {
		t.Error("no Retry-After")
	}
}

func TestUnixSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		fmt.Fprint(w, "unix "+q.Host)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	r := newRig(t, []string{"http+unix://" + path})
	for _, outcome := range []string{"new", "pinned", "pinned"} {
		a := r.chat("x", sid)
		r.want(a, 200, outcome)
		if a.body != "unix localhost" {
			t.Error(a.body)
		}
	}
	server.Close()
	r.want(r.chat("x", sid), 502, "pinned")
}

// An answer that ends the connection arrives whole, whatever the client has sent after its request.
func TestWholeAnswersArriveWhole(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 100<<10)
	for name, behind := range map[string]string{"nothing": "", "an empty line": "\r\n", "the next request": post(chatPath, chat("y"))} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			r := newRig(t, []string{s.url()})
			c := r.dial()
			r.must(c.SetReadBuffer(16 << 10))
			c.send(post(chatPath, chat("x")))
			up := s.next()
			up.request()
			r.proxy.LastAnswers() // this answer ends the connection
			c.send(behind)
			go up.send(ok(body))
			r.recorded(1) // the proxy has written the whole answer; most of it is still on its way
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			r.must(err)
			if n, err := io.Copy(io.Discard, res.Body); err != nil || n != int64(len(body)) {
				t.Errorf("%d of %d bytes, %v", n, len(body), err)
			}
		})
	}
}

// A server that fails fast draws no more calls than the others: a quick failure counts as if it had taken as long as the others'
// answers. Without that, 46 % of the calls fail here.
func TestFailingFastEarnsNoCalls(t *testing.T) {
	t.Parallel()
	const callers, calls = 16, 1600
	r := fleet(t, 4, sim.Config{})
	r.must(r.sims[0].Inject(simfault.Fault{Kind: "500"}))
	for _, s := range r.sims[1:] {
		r.must(s.Inject(simfault.Fault{Kind: simfault.Slow, Arg: "20ms"}))
	}
	var failed, left atomic.Int64
	left.Store(calls)
	var waiting sync.WaitGroup
	for range callers {
		waiting.Go(func() {
			for left.Add(-1) >= 0 {
				a, err := r.try("POST", "/v1/embeddings", `{"model":"tiny","input":"x"}`)
				if err != nil {
					t.Error(err)
					return
				}
				if a.StatusCode == 500 {
					failed.Add(1)
				}
			}
		})
	}
	waiting.Wait()
	share := float64(failed.Load()) / calls
	t.Logf("%.1f %% of %d calls failed", 100*share, calls)
	if share > 0.3 {
		t.Errorf("%.1f %% of the calls failed", 100*share)
	}
}
