package proxy

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tether/session"
	"tether/sim"
	simfault "tether/sim/fault"
	"tether/upstream"
	"tether/upstream/transport"
	"tether/wire"
)

// Each test here is a row of the table "When things fail" in docs/ARCHITECTURE.md.

func returnHome(r *rig) { r.routing.Return = session.Home }

const sid = "X-Session-Id: s-1"

// settled gives a fleet in which the session of sid is pinned, and the upstream that it is pinned to.
func settled(t *testing.T, n int, options ...option) (r *rig, home *upstream.Upstream) {
	t.Helper()
	r = fleet(t, n, sim.Config{}, options...)
	r.want(r.chat("hello", sid), 200, "new")
	home = r.last().Upstream
	r.cold()
	return r, home
}

func TestConnectRefused(t *testing.T) {
	r, home := settled(t, 4)
	r.simOf(home).Kill()
	started := time.Now()
	a := r.chat("hello", sid)
	r.want(a, 200, "moved")
	if rec := r.last(); rec.Attempts != 2 || time.Since(started) > 2*time.Second || a.server() == home.Name() {
		t.Errorf("%d attempts in %v, answered by %s", rec.Attempts, time.Since(started), a.server())
	}
	if !home.State().Suspect() {
		t.Error("the server is not suspect")
	}
	r.want(r.chat("hello", sid), 200, "pinned")
}

// Of many turns at once of a session whose server died, one moves the session. The others are answered where it is pinned by then.
func TestConcurrentTurnsOfADeadServer(t *testing.T) {
	const turns = 8
	r, home := settled(t, 4)
	r.simOf(home).Kill()
	var waiting sync.WaitGroup
	outcomes := make([]string, turns)
	for i := range turns {
		waiting.Go(func() {
			if a := r.tryChat(); a != nil {
				outcomes[i] = a.outcome()
			}
		})
	}
	waiting.Wait()
	slices.Sort(outcomes)
	want := append([]string{"moved"}, slices.Repeat([]string{"pinned"}, turns-1)...)
	t.Logf("%d turns: %v", turns, outcomes)
	if !slices.Equal(outcomes, want) {
		t.Errorf("%v, want %v", outcomes, want)
	}
}

func TestConnectRefusedByAll(t *testing.T) {
	r, home := settled(t, 5)
	for _, s := range r.sims {
		s.Kill()
	}
	r.want(r.chat("hello", sid), 502, "spilled")
	if rec := r.last(); rec.Attempts != 3 || rec.Reason != "no_answer" {
		t.Errorf("%d attempts, %s", rec.Attempts, rec.Reason)
	}
	if r.pinned("s-1") != home {
		t.Error("the pin is gone though no server answered")
	}
}

func TestConnectRefusedReturnsHome(t *testing.T) {
	r, home := settled(t, 4, returnHome)
	r.simOf(home).Kill()
	r.want(r.chat("hello", sid), 200, "spilled")
	r.must(r.simOf(home).Restart())
	r.want(r.chat("hello", sid), 200, "pinned")
}

func TestNameNotResolved(t *testing.T) {
	s := sim.New(sim.Config{})
	_, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	r := newRig(t, []string{"http://host.invalid:8000", s.URL()})
	r.pin("s-1", r.up(0))
	r.want(r.chat("hello", sid), 200, "spilled")
	if rec := r.last(); rec.Attempts != 2 {
		t.Errorf("%d attempts", rec.Attempts)
	}
	if r.pinned("s-1") != r.up(0) {
		t.Error("the pin did not stay until health says down")
	}
	if !r.up(0).State().Suspect() {
		t.Error("the server is not suspect")
	}
	r.up(0).SetHealth(upstream.Down, "test")
	r.want(r.chat("hello", sid), 200, "moved")
}

// deaf is the URL of a listener whose kernel answers no further connect: its queue is full.
func deaf(t *testing.T) (url string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for {
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return "http://" + addr
		}
		t.Cleanup(func() { c.Close() })
	}
}

func TestConnectTimeout(t *testing.T) {
	s := sim.New(sim.Config{})
	_, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	r := newRig(t, []string{deaf(t), s.URL()}, func(r *rig) { r.cfg.ConnectTimeout = 100 * time.Millisecond })
	r.pin("s-1", r.up(0))
	r.want(r.chat("hello", sid), 200, "spilled")
	if r.pinned("s-1") != r.up(0) || !r.up(0).State().Suspect() {
		t.Error("the pin did not stay, or the server is not suspect")
	}
}

func TestOwnResources(t *testing.T) {
	r := fleet(t, 3, sim.Config{})
	before, _ := resources(t)
	r.want(r.chat("hello", sid), 200, "new")
	home := r.last().Upstream
	c := r.dial() // accepted while there are descriptors
	c.send(post(chatPath, chat("hello"), sid))
	if a := c.receive(); a.StatusCode != 200 {
		t.Fatal(a.StatusCode)
	}
	r.cold()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // connections that are still closing would free descriptors
		if now, _ := resources(t); now <= before+2 && r.proxy.Connections() == 1 { // both ends of c are left
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("connections stay open")
		}
	}
	free := exhaust(t)
	c.send(post(chatPath, chat("hello"), sid))
	a := c.receive()
	free()
	r.want(a, 503, "none")
	if a.Header.Get("Retry-After") != "1" {
		t.Error("no Retry-After")
	}
	rec := r.recorded(3)
	if rec.Attempts != 0 || rec.Reason != "exhausted" || home.State().Suspect() || r.pinned("s-1") != home {
		t.Errorf("%d attempts, %s, suspect %v", rec.Attempts, rec.Reason, home.State().Suspect())
	}
}

// Without a free descriptor, a request to a server takes that of an idle connection to another server.
func TestIdleConnectionsToServersGiveWay(t *testing.T) {
	r := fleet(t, 2, sim.Config{})
	r.pin("s-1", r.up(0))
	r.pin("s-2", r.up(1))
	c := r.dial()
	c.send(post(chatPath, chat("hello"), "X-Session-Id: s-2"))
	c.receive()
	exhaust(t)
	c.send(post(chatPath, chat("hello"), sid))
	if a := c.receive(); a.StatusCode != 200 {
		t.Error(a.StatusCode)
	}
	if r.up(1).TakeIdle(time.Now(), transport.Taker{}) != nil {
		t.Error("the idle connection to the other server is left")
	}
}

// Without a free descriptor, and without an idle connection to a server, a request takes the descriptor of an idle client.
func TestIdleClientsGiveWayToRequests(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	c, idle := r.dial(), r.dial()
	r.await(2, "connections", r.proxy.Connections)
	exhaust(t)
	c.send(post(chatPath, chat("hello"), sid))
	if text, err := idle.rest(); text != "" || wire.IsTimeout(err) {
		t.Errorf("the idle client got %q, %v", text, err)
	}
	idle.Close() // the simulated server, in this process, needs a descriptor too
	if a := c.receive(); a.StatusCode != 200 {
		t.Error(a.StatusCode)
	}
	if n := r.proxy.Displaced(); n != 1 {
		t.Errorf("%d clients are counted as displaced", n)
	}
}

// exhaust takes all descriptors that the process may have. free gives them back.
func exhaust(t *testing.T) (free func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	low := before
	low.Cur = 256
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var hogs []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		hogs = append(hogs, f)
	}
	var once sync.Once
	free = func() {
		once.Do(func() {
			for _, h := range hogs {
				h.Close()
			}
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(free)
	return free
}

func TestStaleConnectionIsReplayedOnce(t *testing.T) {
	for name, die := range map[string]func(*rawConn){
		"closed": func(c *rawConn) { c.Close() },
		"reset":  func(c *rawConn) { c.reset() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			r := newRig(t, []string{s.url()})
			done := make(chan *answer, 1)
			turn := func() { done <- r.tryChat() }

			go turn()
			c := s.next()
			c.request()
			c.send(ok("one"))
			r.want(<-done, 200, "new")
			r.last() // the connection is back in the pool

			go turn() // on the kept connection, which dies without a byte
			c.request()
			die(c)
			again := s.next()
			if _, body := again.request(); string(body) != chat("hello") {
				t.Errorf("replayed %q", body)
			}
			again.send(ok("two"))
			r.want(<-done, 200, "pinned")
			if rec := r.last(); rec.Attempts != 2 || rec.Replays != 1 {
				t.Errorf("%d attempts, %d replays", rec.Attempts, rec.Replays)
			}

			go turn() // and once more, but the fresh connection dies as well
			again.request()
			die(again)
			fresh := s.next()
			fresh.request()
			die(fresh)
			a := <-done
			r.want(a, 502, "pinned")
			if rec := r.last(); rec.Attempts != 2 || rec.Reason != "upstream_died" || a.Header.Get("X-Should-Retry") != "false" {
				t.Errorf("%d attempts, %s", rec.Attempts, rec.Reason)
			}
		})
	}
}

// After an upstream died over a request, or answered 503, one other gets the request, and the pin stays.
func TestDeathBeforeTheHead(t *testing.T) {
	for _, fault := range []string{"reset", "close", "503"} {
		t.Run(fault, func(t *testing.T) {
			r, home := settled(t, 4)
			r.must(r.simOf(home).Inject(simfault.Fault{Kind: simfault.Kind(fault), Times: 1}))
			a := r.chat("hello", sid)
			r.want(a, 200, "spilled")
			if rec := r.last(); rec.Attempts != 2 || a.server() == home.Name() || r.pinned("s-1") != home {
				t.Errorf("%d attempts, at %s", rec.Attempts, a.server())
			}
			r.want(r.chat("hello", sid), 200, "pinned")
		})
	}
}

// A prompt that kills engines reaches two of them at most.
func TestKillerPrompt(t *testing.T) {
	r, _ := settled(t, 5)
	before := count(r.sims)
	a := r.chat("hello", sid, "X-Sim-Fault: kill")
	r.want(a, 502, "spilled")
	if a.Header.Get("X-Should-Retry") != "false" {
		t.Error("the client is not told to leave it at that")
	}
	if got, dead := count(r.sims)-before, dead(r.sims); got != 2 || dead != 2 {
		t.Errorf("%d servers got the prompt, %d died", got, dead)
	}
	// The same over used connections: the first server gets the request again, then one other does.
	r, home := settled(t, 5)
	for i := range r.sims {
		r.pin(fmt.Sprint("warm-", i), r.up(i))
		r.want(r.chat("hello", fmt.Sprint("X-Session-Id: warm-", i)), 200, "pinned")
	}
	a = r.chat("hello", sid, "X-Sim-Fault: reset")
	r.want(a, 502, "spilled")
	seen := map[string]bool{}
	for i, s := range r.sims {
		for _, q := range s.Requests() {
			if q.Header.Get("X-Sim-Fault") != "" {
				seen[r.up(i).Name()] = true
			}
		}
	}
	if len(seen) != 2 || !seen[home.Name()] {
		t.Errorf("seen by %v", seen)
	}
}

// The same with many attempts, over connections that were used before and may be dead.
func TestKillerPromptOverWarmConnections(t *testing.T) {
	const servers = 8
	r := fleet(t, servers, sim.Config{}, func(r *rig) { r.cfg.MaxAttempts = 16 })
	for i := range servers {
		r.pin(fmt.Sprint("warm-", i), r.up(i))
		r.want(r.chat("hello", fmt.Sprint("X-Session-Id: warm-", i)), 200, "pinned")
	}
	a := r.chat("hello", sid, "X-Sim-Fault: kill")
	if rec := r.last(); a.StatusCode != 502 || rec.Attempts > 4 {
		t.Errorf("%d after %d attempts", a.StatusCode, rec.Attempts)
	}
	if n := dead(r.sims); n != 2 {
		t.Errorf("%d servers died", n)
	}
}

// dead is the number of servers that accept no connection.
func dead(sims []*sim.Server) (n int) {
	for _, s := range sims {
		if _, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://")); err != nil {
			n++
		}
	}
	return n
}

// If the second server answers, the client gets that answer, whatever it is.
func TestSecondAnswerIsPassedOn(t *testing.T) {
	r, home := settled(t, 4)
	r.must(r.simOf(home).Inject(simfault.Fault{Kind: "reset", Times: 1}))
	a := r.chat("hello", sid, "X-Sim-Fault: status=503")
	r.want(a, 503, "spilled")
	if a.server() == "" || r.last().Attempts != 2 {
		t.Errorf("%d attempts, answered by %q", r.last().Attempts, a.server())
	}
	// Without a second server the client gets the 503 of the first.
	r, _ = settled(t, 1)
	a = r.chat("hello", sid, "X-Sim-Fault: status=503")
	r.want(a, 503, "pinned")
	if a.server() == "" {
		t.Error("the server's own answer was lost")
	}
}

// A request about a response that one server has, or for background work, goes to no other server.
func TestStatefulCallsAreNotRetried(t *testing.T) {
	for name, send := range map[string]func(*rig, string) *answer{
		"retrieve": func(r *rig, f string) *answer { return r.do("GET", "/v1/responses/resp_1", "", sid, f) },
		"cancel":   func(r *rig, f string) *answer { return r.do("POST", "/v1/responses/resp_1/cancel", "", sid, f) },
		"previous_response_id": func(r *rig, f string) *answer {
			return r.do("POST", "/v1/responses", `{"model":"tiny","input":"x","previous_response_id":"resp_1"}`, sid, f)
		},
		"background": func(r *rig, f string) *answer {
			return r.do("POST", "/v1/responses", `{"model":"tiny","input":"x","background":true}`, sid, f)
		},
		"background, as Python reads it": func(r *rig, f string) *answer {
			return r.do("POST", "/v1/responses", `{"model":"tiny","input":"x","background":1}`, sid, f)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := fleet(t, 4, sim.Config{})
			a := send(r, "X-Sim-Fault: reset")
			if a.StatusCode != 502 || a.Header.Get("X-Should-Retry") != "false" || count(r.sims) != 1 {
				t.Errorf("reset: %d, seen by %d", a.StatusCode, count(r.sims))
			}
			a = send(r, "X-Sim-Fault: status=503")
			if a.StatusCode != 503 || a.server() == "" || count(r.sims) != 2 {
				t.Errorf("503: %d, seen by %d", a.StatusCode, count(r.sims)-1)
			}
			a = send(r, "X-Sim-Fault: shutdown-text")
			// A server that refuses background work has not begun it. A stored response is on no other server.
			if seen := count(r.sims) - 2; a.server() == "" || (name == "background") != (seen > 1) {
				t.Errorf("shutdown: %d, seen by %d", a.StatusCode, seen)
			}
			if a.Request.Method == "GET" {
				return // vLLM refuses inference alone
			}
			before := count(r.sims)
			a = send(r, "X-Sim-Fault: queue-full")
			if seen := count(r.sims) - before; a.StatusCode != 503 || a.Header.Get("Retry-After") != "1" || strings.HasPrefix(name, "background") != (seen > 1) {
				t.Errorf("full: %d, seen by %d", a.StatusCode, seen)
			}
		})
	}
}

// A request about a response waits for the server that has it, whether health has found the server down or the connection is refused: no other
// server gets the request, which would deny that there is such a response. The server's own answer counts when it is up again, and a server
// that left the list is gone for good.
func TestResponsesWaitForTheirServer(t *testing.T) {
	for name, send := range map[string]func(r *rig, id string) *answer{
		"retrieve": func(r *rig, id string) *answer { return r.do("GET", "/v1/responses/"+id, "") },
		"retrieve within a session": func(r *rig, id string) *answer {
			return r.do("GET", "/v1/responses/"+id, "", sid)
		},
		"cancel": func(r *rig, id string) *answer { return r.do("POST", "/v1/responses/"+id+"/cancel", "") },
		"next turn": func(r *rig, id string) *answer {
			return r.do("POST", "/v1/responses", `{"model":"tiny","input":"x","previous_response_id":"`+id+`"}`)
		},
		"next turn of a session": func(r *rig, id string) *answer {
			return r.do("POST", "/v1/responses", `{"model":"tiny","input":"x","previous_response_id":"`+id+`"}`, sid)
		},
		"next turn as a stream": func(r *rig, id string) *answer {
			return r.do("POST", "/v1/responses", `{"model":"tiny","input":"x","stream":true,"previous_response_id":"`+id+`"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := fleet(t, 3, sim.Config{})
			a := r.do("POST", "/v1/responses", `{"model":"tiny","input":"x"}`)
			_, id, _ := strings.Cut(a.body, `"id":"resp_`)
			id, _, _ = strings.Cut("resp_"+id, `"`)
			at := r.last().Upstream
			r.pin("s-1", r.up((slices.Index(r.sims, r.simOf(at))+1)%3)) // elsewhere
			healthy := send(r, id).StatusCode
			waits := func(how string, attempts int) {
				t.Helper()
				r.last() // the requests before have ended
				before := count(r.sims)
				a := send(r, id)
				rec := r.last()
				if a.StatusCode != 503 || a.Header.Get("Retry-After") != "1" || a.Header.Get("X-Should-Retry") != "" || rec.Reason != "response_down" || rec.Attempts != attempts {
					t.Errorf("%s: %d after %d attempts, %s: %s", how, a.StatusCode, rec.Attempts, rec.Reason, a.body)
				}
				if n := count(r.sims) - before; n != 0 {
					t.Errorf("%s: %d servers got the request", how, n)
				}
			}
			at.SetHealth(upstream.Down, "test")
			waits("down", 0)
			at.SetHealth(upstream.Up, "test")
			if a := send(r, id); a.StatusCode != healthy || a.server() != at.Name() {
				t.Errorf("up again: %d of %s, want %d of %s", a.StatusCode, a.server(), healthy, at.Name())
			}
			r.cold()
			r.simOf(at).Kill()
			waits("refused", 1)
			r.must(r.simOf(at).Restart())
			r.cold()
			if a := send(r, id); a.StatusCode != 404 || a.server() != at.Name() {
				t.Errorf("restarted: %d of %s, want its own 404", a.StatusCode, a.server())
			}
			r.spec = func(s *upstream.Spec) {
				if s.Name == at.Name() {
					s.Name = "another"
				}
			}
			var urls []string
			for _, s := range r.sims {
				urls = append(urls, s.URL())
			}
			r.apply(urls)
			if a := send(r, id); a.StatusCode != 404 || a.server() == "" {
				t.Errorf("removed: %d of %q, want the 404 of a server", a.StatusCode, a.server())
			}
		})
	}
}

func TestAnswersArePassedOn(t *testing.T) {
	r, home := settled(t, 3)
	before := count(r.sims)
	statuses := []int{400, 401, 404, 408, 422, 429, 500, 501, 502, 504}
	for _, status := range statuses {
		a := r.chat("hello", sid, fmt.Sprintf("X-Sim-Fault: status=%d", status))
		r.want(a, status, "pinned")
		if rec := r.last(); rec.Attempts != 1 || a.server() != home.Name() || rec.Reason != "" {
			t.Errorf("%d: %d attempts, %s", status, rec.Attempts, rec.Reason)
		}
	}
	if got := count(r.sims) - before; got != len(statuses) {
		t.Errorf("%d requests for %d answers", got, len(statuses))
	}
	if s := home.State(); s.Words() != "up" {
		t.Errorf("the server is %s", s.Words())
	}
}

// After vLLM's refusal while it shuts down the next server gets the request, and the server that refused gets no new sessions.
func TestShutdownAnswer(t *testing.T) {
	r, home := settled(t, 3)
	r.pin("s-2", home)
	r.pin("s-3", home)
	r.must(r.simOf(home).Inject(simfault.Fault{Kind: simfault.ShutdownText}))
	r.want(r.chat("hello", sid), 200, "spilled")
	if s := home.State(); !s.Leaving() || s.LeavingConfirmed() {
		t.Fatalf("the server is %s", s.Words())
	}
	for i := range 30 {
		if a := r.chat("hello", fmt.Sprint("X-Session-Id: new-", i)); a.server() == home.Name() {
			t.Fatal("a new session went to a server that is leaving")
		}
	}
	r.want(r.chat("hello", "X-Session-Id: s-2"), 200, "moved") // the second refusal makes it certain
	seen := len(r.simOf(home).Requests())
	r.want(r.chat("hello", "X-Session-Id: s-3"), 200, "moved")
	r.want(r.chat("hello", sid), 200, "moved")
	if got := len(r.simOf(home).Requests()); got != seen {
		t.Errorf("%d more requests for a server that is leaving for certain", got-seen)
	}
}

// While the servers of a fleet shut down one after another, their refusals do not use up the one further server of a
// request.
func TestShutdownAnswersOfSeveral(t *testing.T) {
	r, home := settled(t, 3)
	var left *upstream.Upstream
	for i := range r.sims {
		if u := r.up(i); u != home && left == nil {
			left = u
			continue
		}
		r.must(r.simOf(r.up(i)).Inject(simfault.Fault{Kind: simfault.ShutdownText}))
	}
	a := r.chat("hello", sid)
	r.want(a, 200, "spilled")
	if a.server() != left.Name() {
		t.Errorf("answered by %s", a.server())
	}
	// If no server is left, the client gets the refusal.
	r.must(r.simOf(left).Inject(simfault.Fault{Kind: simfault.ShutdownText}))
	if a := r.chat("hello", sid); a.StatusCode != 500 || !strings.Contains(a.body, shutdownText) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestMarkedDownByHealth(t *testing.T) {
	for mode, want := range map[session.Return][]string{
		session.Stay: {"moved", "pinned", "pinned"},
		session.Home: {"spilled", "spilled", "pinned"},
	} {
		t.Run(string(mode), func(t *testing.T) {
			r, home := settled(t, 4, func(r *rig) { r.routing.Return = mode })
			home.SetHealth(upstream.Down, "test")
			seen := len(r.simOf(home).Requests())
			first := r.chat("hello", sid)
			r.want(first, 200, want[0])
			second := r.chat("hello", sid)
			r.want(second, 200, want[1])
			if first.server() != second.server() {
				t.Error("two servers during one outage")
			}
			if len(r.simOf(home).Requests()) != seen {
				t.Error("a pin beat health")
			}
			home.SetHealth(upstream.Up, "test")
			third := r.chat("hello", sid)
			r.want(third, 200, want[2])
			if (third.server() == home.Name()) != (mode == session.Home) {
				t.Errorf("back at %s", third.server())
			}
		})
	}
}

func TestNothingIsRetriedAfterTheFirstByte(t *testing.T) {
	for _, fault := range []string{"cut-between=0", "cut-between=1", "cut-inside=1", "cut-rst=1"} {
		for _, body := range []string{chat("hello"), streamed("hello")} {
			r, _ := settled(t, 3)
			before := count(r.sims)
			a := r.do("POST", chatPath, body, sid, "X-Sim-Fault: "+fault)
			if a.StatusCode != 200 || a.err == nil {
				t.Errorf("%s: %d, a clean end of %q", fault, a.StatusCode, a.body)
			}
			if got := count(r.sims) - before; got != 1 {
				t.Errorf("%s: %d servers got it", fault, got)
			}
			if strings.Contains(a.body, "[DONE]") {
				t.Errorf("%s: an invented end", fault)
			}
			if rec := r.recorded(2); rec.Reason != "upstream_cut" || rec.Status != 200 {
				t.Errorf("%s: %d, %s", fault, rec.Status, rec.Reason)
			}
		}
	}
}

// A stream that is cut between two events ends with the error event of its API.
func TestCutStreamsSaySo(t *testing.T) {
	r := fleet(t, 2, sim.Config{})
	for _, c := range []struct{ path, body, want string }{
		{chatPath, streamed("x"), "data: {\"error\":{\"message\":\"" + cutMessage + "\",\"type\":\"server_error\",\"param\":null,\"code\":502}}\n\n"},
		{"/v1/completions", `{"model":"tiny","prompt":"x","stream":true}`, "data: {\"error\":{\"message\":\"" + cutMessage + "\",\"type\":\"server_error\",\"param\":null,\"code\":502}}\n\n"},
		{"/v1/messages", `{"model":"tiny","max_tokens":4,"messages":[{"role":"user","content":"x"}],"stream":true}`, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"" + cutMessage + "\"}}\n\n"},
		{"/v1/responses", `{"model":"tiny","input":"x","stream":true}`, "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"" + cutMessage + "\","},
	} {
		a := r.do("POST", c.path, c.body, "X-Sim-Fault: cut-between=2")
		if a.err == nil || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %v\n%s", c.path, a.err, a.body)
		}
		a = r.do("POST", c.path, c.body, "X-Sim-Fault: cut-inside=2")
		if a.err == nil || strings.Contains(a.body, cutMessage) {
			t.Errorf("%s, cut inside an event: %v\n%s", c.path, a.err, a.body)
		}
	}
}

// A client that sees the end of the answer by the end of the connection sees a cut as a reset.
func TestCutsAreResetsWhereClosingIsTheEnd(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	c := r.dial()
	c.send(strings.Replace(post(chatPath, streamed("x"), "X-Sim-Fault: cut-between=1"), "HTTP/1.1", "HTTP/1.0", 1))
	text, err := c.rest()
	if err == nil || isTimeout(err) || strings.Contains(text, "chunked") {
		t.Errorf("HTTP/1.0: %v\n%s", err, text)
	}
	if before, _, told := strings.Cut(text, "data: {\"error\""); told && !strings.HasSuffix(before, "\n\n") {
		t.Errorf("HTTP/1.0, told of the cut by a chunk:\n%s", text)
	}
	c = r.dial()
	c.send(post(chatPath, streamed("x"), "X-Sim-Fault: no-length, cut-rst=1"))
	if text, err := c.rest(); err == nil || isTimeout(err) {
		t.Errorf("close-delimited: %v\n%s", err, text)
	}
	// Whole answers end cleanly in both cases.
	c = r.dial()
	c.send(strings.Replace(post(chatPath, streamed("x")), "HTTP/1.1", "HTTP/1.0", 1))
	if text, err := c.rest(); err != nil || !strings.HasSuffix(text, "data: [DONE]\n\n") || !strings.Contains(text, "Connection: close") {
		t.Errorf("HTTP/1.0, whole: %v\n%s", err, text)
	}
	c = r.dial()
	c.send(post(chatPath, streamed("x"), "X-Sim-Fault: no-length"))
	if text, err := c.rest(); err != nil || !strings.HasSuffix(text, "data: [DONE]\n\n") || !strings.Contains(text, "Connection: close") {
		t.Errorf("close-delimited, whole: %v\n%s", err, text)
	}
}

func TestAnswerBeforeTheBodyWasSent(t *testing.T) {
	t.Parallel()
	r := fleet(t, 1, sim.Config{})
	large := chat(strings.Repeat("x", 32<<20))
	a := r.do("POST", chatPath, large, sid, "X-Sim-Fault: early")
	if rec := r.last(); a.StatusCode != 413 || rec.Reason != "" || a.err != nil {
		t.Fatalf("%d, %s, %v", a.StatusCode, rec.Reason, a.err)
	}
	r.want(r.chat("hello", sid), 200, "new") // on another connection
}

func TestHeadMalformedOrTooLarge(t *testing.T) {
	for _, fault := range []string{"bad-head", "huge-head=64"} {
		r, _ := settled(t, 3)
		before := count(r.sims)
		r.want(r.chat("hello", sid, "X-Sim-Fault: "+fault), 502, "pinned")
		if rec := r.last(); rec.Attempts != 1 || rec.Reason != "bad_answer" || count(r.sims) != before+1 {
			t.Errorf("%s: %d attempts, %s", fault, rec.Attempts, rec.Reason)
		}
		r.want(r.chat("hello", sid), 200, "pinned")
	}
	r := fleet(t, 1, sim.Config{})
	r.want(r.chat("hello", sid, "X-Sim-Fault: 1xx=3"), 200, "new")
	r.want(r.chat("hello", sid, "X-Sim-Fault: 1xx=130"), 502, "pinned")
}

// Bytes after an answer are dropped, and the connection is closed: they belong to no request.
func TestBytesAfterAnAnswer(t *testing.T) {
	const more = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for name, late := range map[string]bool{"with it": false, "after it": true} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			r := newRig(t, []string{s.url()})
			done := make(chan *answer, 1)
			turn := func() { done <- r.tryChat() }
			go turn()
			c := s.next()
			c.request()
			if late {
				c.send(ok("one"))
				r.want(<-done, 200, "new")
				r.last() // the connection is back in the pool
				c.send(more)
			} else {
				c.send(ok("one") + more)
				r.want(<-done, 200, "new")
			}
			go turn()
			other := s.next()
			other.request()
			other.send(ok("two"))
			a := <-done
			r.want(a, 200, "pinned")
			if a.body != "two" {
				t.Errorf("answered %q", a.body)
			}
			c.ended()
		})
	}
}

func TestAllDown(t *testing.T) {
	r, home := settled(t, 2)
	for i := range r.sims {
		r.up(i).SetHealth(upstream.Down, "test")
	}
	before := count(r.sims)
	a := r.chat("hello", sid)
	r.want(a, 503, "none")
	if a.Header.Get("Retry-After") != "1" || !strings.Contains(a.body, `"error":{"message":"No model server is up."`) || count(r.sims) != before {
		t.Errorf("%s", a.body)
	}
	if rec := r.last(); rec.Attempts != 0 || rec.Reason != "no_upstream" {
		t.Errorf("%d attempts, %s", rec.Attempts, rec.Reason)
	}
	// If timeouts alone took them down, requests are tried all the same.
	for i := range r.sims {
		r.up(i).SetHealth(upstream.Up, "test")
		r.up(i).SetHealth(upstream.TimedOut, "test")
	}
	a = r.chat("hello", sid)
	r.want(a, 200, "pinned")
	if a.server() != home.Name() {
		t.Errorf("answered by %s", a.server())
	}
}

// A server that hangs delays its own requests only.
func TestUpstreamHangs(t *testing.T) {
	r, home := settled(t, 2)
	other := r.up(0)
	if other == home {
		other = r.up(1)
	}
	r.pin("s-2", other)
	r.must(r.simOf(home).Inject(simfault.Fault{Kind: simfault.Hang}))
	const requests = 16 // as many as one session may have
	var waiting sync.WaitGroup
	for range requests {
		waiting.Go(func() {
			if a, err := r.try("POST", chatPath, chat("hello"), sid); err != nil || a.StatusCode != 200 {
				t.Errorf("%v, %+v", err, a)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r.must(r.simOf(home).Await(ctx, func(l sim.Load) bool { return l.Held == requests }))
	for range requests {
		r.want(r.chat("hello", "X-Session-Id: s-2"), 200, "pinned")
	}
	if l := r.simOf(home).Load(); l.Held != requests || home.InFlight() != requests || other.InFlight() != 0 {
		t.Errorf("%d still wait, %d in flight there, %d at the other", l.Held, home.InFlight(), other.InFlight())
	}
	r.simOf(home).ClearFaults()
	waiting.Wait()
}

// Requests at a server that hangs wait for a head, and for more of an answer, within the limit of each.
func TestUpstreamHangsWithinLimits(t *testing.T) {
	t.Parallel()
	const head, idle = time.Second, 3 * time.Second
	r, _ := settled(t, 1, func(r *rig) { r.cfg.ConnectTimeout, r.cfg.HeadTimeout, r.cfg.IdleTimeout = time.Minute, head, idle })
	a := r.chat("hello", sid, "X-Sim-Fault: hang")
	r.want(a, 504, "pinned")
	rec := r.last()
	if rec.Duration < head || rec.Duration >= idle || rec.Attempts != 1 || !strings.Contains(a.body, faultHeadTimeout.message) {
		t.Errorf("after %v, %d attempts\n%s", rec.Duration, rec.Attempts, a.body)
	}
	a = r.do("POST", chatPath, streamed("hello"), sid, "X-Sim-Fault: stall=2")
	rec = r.last()
	if a.StatusCode != 200 || a.err == nil || !strings.Contains(a.body, cutMessage) || rec.Reason != "upstream_idle" || rec.Duration < idle {
		t.Errorf("%d, %v, %s after %v\n%s", a.StatusCode, a.err, rec.Reason, rec.Duration, a.body)
	}
}

func TestDrain(t *testing.T) {
	r, home := settled(t, 2)
	slow := make(chan *answer)
	go func() {
		a, err := r.try("POST", chatPath, streamed("hello"), sid, "X-Sim-Fault: slow=300ms")
		if err != nil {
			t.Error(err)
		}
		slow <- a
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r.must(r.simOf(home).Await(ctx, func(l sim.Load) bool { return l.Requests > 0 }))
	home.Drain(false)
	r.want(r.chat("hello", sid), 200, "pinned")
	for i := range 20 {
		if a := r.chat("hello", fmt.Sprint("X-Session-Id: new-", i)); a.server() == home.Name() {
			t.Fatal("a new session went to a draining server")
		}
	}
	home.Drain(true)
	r.want(r.chat("hello", sid), 200, "moved")
	if a := <-slow; a == nil || a.err != nil || a.server() != home.Name() {
		t.Errorf("what was in flight did not finish: %+v", a)
	}
}

// A panic ends one request alone. The client gets a 500 that says nothing of the bug, both connections are closed, and other requests
// go on.
func TestPanic(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()}, func(r *rig) {
		r.onChange = func(c upstream.Change) {
			if c.After.Leaving() {
				panic("test")
			}
		}
	})
	c := r.dial()
	c.send(post(chatPath, chat("x"), sid))
	up := s.next()
	up.request()
	body := `{"error":{"message":"` + shutdownText + `"}}`
	up.send(fmt.Sprintf("HTTP/1.1 500 E\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	a := c.receive()
	if a.StatusCode != 500 || !a.Close || strings.Contains(a.body, "goroutine") || strings.Contains(a.body, "test") {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	up.ended()
	if rec := r.recorded(1); rec.Status != 500 || rec.Reason != "panic" || r.up(0).InFlight() != 0 || r.proxy.InFlight() != 0 {
		t.Errorf("%d %s, %d in flight", rec.Status, rec.Reason, r.proxy.InFlight())
	}

	r.proxy.onDone = func(*Record) { panic("test") }
	again := r.dial()
	again.send(post(chatPath, chat("x"), sid))
	fresh := s.next()
	fresh.request()
	fresh.send(ok("one"))
	if a := again.receive(); a.StatusCode != 200 {
		t.Error(a.StatusCode)
	}
	again.ended()
}
