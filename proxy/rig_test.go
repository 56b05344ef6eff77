package proxy

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"tether/auth"
	"tether/session"
	"tether/session/identity"
	"tether/session/openings"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/sim"
	"tether/traceparent"
	"tether/units"
	"tether/upstream"
	"tether/upstream/transport"
	"tether/wire"
	"tether/wire/loop"
)

func TestMain(m *testing.M) {
	if os.Getenv(peersVariable) != "" {
		bePeers()
		return
	}
	_ = flag.Set("test.parallel", "8") // parallel tests wait for limits most of the time
	goleak.VerifyTestMain(m)
}

// patience bounds every wait of these tests; none is expected to take it.
const patience = 20 * time.Second

// rig is a proxy on a real listener in front of simulated servers. The test sets their health.
type rig struct {
	t        testing.TB
	cfg      Config
	identity identity.Config
	pinning  pins.Config
	routing  session.Config
	models   identity.Models
	onChange func(upstream.Change)
	onRefuse func(status int, reason string)
	spec     func(*upstream.Spec) // changes an upstream, nil for none
	sims     []*sim.Server
	registry *upstream.Registry
	router   *session.Router
	pins     *pins.Map
	stored   *pins.Map
	openings *openings.Table
	prefill  *prefill.Estimates
	ids      *identity.Identifier
	keys     *auth.Keys // nil for none
	traces   *traceparent.Source
	proxy    *Proxy
	listener *wire.Listener
	addr     string
	verdicts chan struct{}
	// server and client are the TLS configurations of both ends of clients' connections, nil for none.
	server, client *tls.Config

	engine    string // "" for the one of TETHER_PROXY_ENGINE, or auto
	loopCount int    // 0 for one

	mu      sync.Mutex
	asked   int      // guarded by mu: requests that try sent
	records []Record // guarded by mu
	more    *sync.Cond
}

// option changes a rig before it starts.
type option func(*rig)

func newRig(t testing.TB, upstreams []string, options ...option) *rig {
	t.Helper()
	r := &rig{t: t, cfg: Default(), identity: identity.Default(), pinning: pins.Default(), routing: session.Default(), openings: openings.NewTable(), prefill: prefill.New(prefill.Default()), verdicts: make(chan struct{})}
	r.more = sync.NewCond(&r.mu)
	r.pinning.Max = 10_000
	r.cfg.MaxBodyTotal = units.Share{Bytes: units.GiB}
	close(r.verdicts)
	for _, o := range options {
		o(r)
	}
	r.registry = upstream.NewRegistry(r.onChange)
	r.pins = pins.NewMap(r.pinning.Max, r.pinning.TTL)
	r.stored = pins.NewMap(1000, session.ResponsesTTL)
	r.router = session.NewRouter(r.routing, r.pins, r.stored, r.prefill, rand.IntN)
	r.apply(upstreams)
	var err error
	r.ids, err = identity.NewIdentifier(&r.identity, &r.models, nil)
	r.must(err)
	r.proxy, err = New(Settings{Config: r.cfg, Identifier: r.ids, Keys: r.keys, Final: r.identity.FinalHeaders}, Deps{
		Registry: r.registry, Router: r.router, Openings: r.openings, Estimates: r.prefill, Verdicts: r.verdicts,
		MemoryLimit: 1 << 30, Traces: r.traces, OnDone: r.record, OnRefused: r.onRefuse, Log: zap.NewNop(),
	})
	r.must(err)
	r.start()
	return r
}

// fleet is a rig in front of n simulated servers.
func fleet(t testing.TB, n int, cfg sim.Config, options ...option) *rig {
	t.Helper()
	var sims []*sim.Server
	var urls []string
	for i := range n {
		c := cfg
		c.Name = fmt.Sprintf("vllm-%d", i)
		if c.Record == 0 {
			c.Record = 1000
		}
		s := sim.New(c)
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		sims = append(sims, s)
		urls = append(urls, s.URL())
	}
	r := newRig(t, urls, options...)
	r.sims = sims
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) apply(urls []string) {
	r.t.Helper()
	var specs []upstream.Spec
	for i, u := range urls {
		a, err := transport.ParseURL(u)
		r.must(err)
		s := upstream.Spec{Name: fmt.Sprintf("vllm-%d", i), Address: a, Slot: i, Weight: 100}
		if r.spec != nil {
			r.spec(&s)
		}
		specs = append(specs, s)
	}
	gone, err := r.registry.Apply(specs)
	r.must(err)
	r.must(r.router.Use(r.registry.Table(), gone))
	for _, m := range r.registry.Table().Members {
		m.SetHealth(upstream.Up, "test")
	}
}

func (r *rig) start() {
	watch, err := wire.NewWatch()
	r.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = watch.Run(ctx) })
	parts.Go(func() { _ = r.registry.Run(ctx) })
	loops := r.loops()
	if loops != nil {
		parts.Go(func() { _ = loops.Run(ctx) })
	}
	r.listener, err = wire.Listen("127.0.0.1:0", wire.ListenConfig{WriteTimeout: r.cfg.ClientWriteTimeout, TLS: r.server, Loops: loops}, watch)
	r.must(err)
	r.addr = r.listener.Addr().String()
	parts.Go(func() { r.proxy.Serve(r.listener) })
	r.t.Cleanup(func() {
		r.listener.Close()
		ended, end := context.WithTimeout(context.Background(), time.Second)
		defer end()
		r.proxy.Shutdown(ended)
		cancel()
		parts.Wait()
		if n := r.proxy.InFlight(); n != 0 {
			r.t.Errorf("%d requests in flight at the end", n)
		}
		for deadline := time.Now().Add(patience); r.proxy.BodyBytes() != 0; time.Sleep(time.Millisecond) { // senders that were given up end soon after
			if time.Now().After(deadline) {
				r.t.Errorf("%d bytes of bodies at the end", r.proxy.BodyBytes())
				break
			}
		}
		for _, m := range r.registry.Table().Members {
			if n := m.InFlight(); n != 0 {
				r.t.Errorf("%s: %d requests in flight at the end", m.Name(), n)
			}
			if n := m.Queue(time.Now()).Tokens; n != 0 {
				r.t.Errorf("%s: %d tokens charged at the end", m.Name(), n)
			}
		}
	})
}

// loops are those of the engine under test, nil for the engine without loops.
func (r *rig) loops() *loop.Loops {
	r.t.Helper()
	want := cmp.Or(r.engine, os.Getenv("TETHER_PROXY_ENGINE"), loop.EngineAuto)
	all, engine, err := loop.OpenEngine(want, cmp.Or(r.loopCount, 1))
	switch {
	case want == loop.EngineAuto || engine == want:
		return all
	case want == loop.EngineUring:
		all.Close()
		r.t.Skip(err)
	}
	r.t.Fatalf("the engine is %s, want %s: %v", engine, want, err)
	return nil
}

func (r *rig) record(rec *Record) {
	one := *rec
	one.Path, one.Model, one.RequestID = slices.Clone(rec.Path), slices.Clone(rec.Model), slices.Clone(rec.RequestID)
	one.TraceID = slices.Clone(rec.TraceID)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, one)
	r.more.Broadcast()
}

// recorded waits for the n-th record, from 1.
func (r *rig) recorded(n int) Record {
	r.t.Helper()
	stop := time.AfterFunc(patience, func() { r.more.Broadcast() })
	defer stop.Stop()
	deadline := time.Now().Add(patience)
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.records) < n {
		if time.Now().After(deadline) {
			r.t.Fatalf("%d records, want %d", len(r.records), n)
		}
		r.more.Wait()
	}
	return r.records[n-1]
}

// last is the record of the last request that do or try sent. All other requests have ended before.
func (r *rig) last() Record {
	r.t.Helper()
	r.mu.Lock()
	n := r.asked
	r.mu.Unlock()
	return r.recorded(n)
}

// cold closes the idle connections to all servers, so that the next requests dial.
func (r *rig) cold() {
	for _, m := range r.registry.Table().Members {
		m.SetHealth(upstream.Down, "test")
		m.SetHealth(upstream.Up, "test")
	}
}

func (r *rig) up(i int) *upstream.Upstream { return r.registry.Table().Members[i].Upstream }

// pin pins the session of a header id and the model tiny to an upstream.
func (r *rig) pin(id string, u *upstream.Upstream) {
	key := r.ids.Key([]byte("tiny"), []byte(id))
	r.pins.Bind(key, u.Ref(), false, time.Now())
	r.pins.Confirm(key, u.Ref(), u.Ref(), false, time.Now())
}

// pinned is the upstream that such a session is pinned to, nil without a pin.
func (r *rig) pinned(id string) *upstream.Upstream {
	ref, _ := r.pins.Peek(r.ids.Key([]byte("tiny"), []byte(id)), time.Now())
	table := r.registry.Table()
	if i := table.Index(ref); i >= 0 {
		return table.Members[i].Upstream
	}
	return nil
}

// simOf is the simulated server behind an upstream.
func (r *rig) simOf(u *upstream.Upstream) *sim.Server {
	for i, m := range r.registry.Table().Members {
		if m.Upstream == u {
			return r.sims[i]
		}
	}
	r.t.Fatal("no such server")
	return nil
}

// answer is the answer that a client got.
type answer struct {
	*http.Response
	body string
	err  error // of reading the body
}

func (a *answer) outcome() string { return a.Header.Get("X-Tether-Affinity") }
func (a *answer) server() string  { return a.Header.Get("X-Sim-Server") }

// do sends a request with a body over a connection of its own.
func (r *rig) do(method, path, body string, headers ...string) *answer {
	r.t.Helper()
	a, err := r.try(method, path, body, headers...)
	r.must(err)
	return a
}

func (r *rig) scheme() string {
	if r.client != nil {
		return "https://"
	}
	return "http://"
}

func (r *rig) try(method, path, body string, headers ...string) (*answer, error) {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, r.scheme()+r.addr+path, reader)
	if err != nil {
		return nil, err
	}
	req.Close = true
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Content-Type" {
			req.Header.Del(name)
		}
		req.Header.Add(name, value)
	}
	r.mu.Lock()
	r.asked++
	r.mu.Unlock()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableCompression: true, TLSClientConfig: r.client}}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return &answer{Response: res, body: string(text), err: err}, nil
}

const chatPath = "/v1/chat/completions"

// chat is a request of a conversation.
func chat(prompt string) string {
	return fmt.Sprintf(`{"model":"tiny","max_tokens":4,"messages":[{"role":"user","content":%q}]}`, prompt)
}

func streamed(prompt string) string {
	return fmt.Sprintf(`{"model":"tiny","max_tokens":4,"stream":true,"messages":[{"role":"user","content":%q}]}`, prompt)
}

// tryChat is a chat of session s-1, nil if it failed. Any goroutine may call it.
func (r *rig) tryChat() *answer {
	a, _ := r.try("POST", chatPath, chat("hello"), sid)
	return a
}

func (r *rig) chat(prompt string, headers ...string) *answer {
	r.t.Helper()
	return r.do("POST", chatPath, chat(prompt), headers...)
}

// rawConn is a raw connection to the proxy. Under TLS what is sent and received goes through secure.
type rawConn struct {
	t testing.TB
	*net.TCPConn
	secure *tls.Conn
	r      *bufio.Reader
}

func (r *rig) dial() *rawConn { return r.dialFrom("127.0.0.1") }

// dialFrom connects from an address of the loopback. On Linux all of them belong to this host.
func (r *rig) dialFrom(address string) *rawConn {
	r.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	c, err := d.DialContext(r.t.Context(), "tcp", r.addr)
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		r.t.Skipf("%s is no address of this host", address)
	}
	r.must(err)
	r.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	raw := &rawConn{t: r.t, TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c)}
	if r.client != nil {
		raw.secure = tls.Client(c, r.client)
		r.must(raw.secure.Handshake())
		raw.r = bufio.NewReader(raw.secure)
	}
	return raw
}

// Write writes through TLS if the connection has it.
func (c *rawConn) Write(b []byte) (int, error) {
	if c.secure != nil {
		return c.secure.Write(b)
	}
	return c.TCPConn.Write(b)
}

func (c *rawConn) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads one answer.
func (c *rawConn) receive() *answer {
	c.t.Helper()
	a, err := c.answered()
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// answered is receive for other goroutines than the test's. Without an answer it gives an empty one.
func (c *rawConn) answered() (*answer, error) {
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return &answer{Response: new(http.Response)}, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	return &answer{Response: res, body: string(body), err: err}, nil
}

// rest reads until the connection ends.
func (c *rawConn) rest() (string, error) {
	b, err := io.ReadAll(c.r)
	return string(b), err
}

func post(path, body string, headers ...string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: tether\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s",
		path, len(body), strings.Join(append(headers, ""), "\r\n"), body)
}

// script is a server that the test plays, a connection at a time.
type script struct {
	t        testing.TB
	l        net.Listener
	accepted chan *rawConn
}

func newScript(t testing.TB) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, l: l, accepted: make(chan *rawConn, 100)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted <- &rawConn{t: t, TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c)}
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
		for {
			select {
			case c := <-s.accepted:
				c.Close()
			default:
				return
			}
		}
	})
	return s
}

func (s *script) url() string { return "http://" + s.l.Addr().String() }

// next waits for the next connection.
func (s *script) next() *rawConn {
	s.t.Helper()
	select {
	case c := <-s.accepted:
		_ = c.SetDeadline(time.Now().Add(patience))
		s.t.Cleanup(func() { c.Close() })
		return c
	case <-time.After(patience):
		s.t.Fatal("no connection")
		return nil
	}
}

// request reads one whole request.
func (c *rawConn) request() (*http.Request, []byte) {
	c.t.Helper()
	req, err := http.ReadRequest(c.r)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return req, body
}

// ended waits until the peer closed the connection.
func (c *rawConn) ended() {
	c.t.Helper()
	if _, err := io.Copy(io.Discard, c.r); err != nil && isTimeout(err) {
		c.t.Fatal("the connection stays open")
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// reset closes a connection with RST.
func (c *rawConn) reset() {
	_ = c.SetLinger(0)
	_ = c.Close()
}

func ok(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func count(sims []*sim.Server) (n int) {
	for _, s := range sims {
		n += len(s.Requests())
	}
	return n
}

func (r *rig) want(a *answer, status int, outcome string) {
	r.t.Helper()
	if a.StatusCode != status || a.outcome() != outcome {
		r.t.Fatalf("got %d, %s; want %d, %s\n%s", a.StatusCode, a.outcome(), status, outcome, a.body)
	}
	if a.err != nil {
		r.t.Fatalf("the answer is not whole: %v", a.err)
	}
}

// awaitLoad waits until the load of a simulated server satisfies the condition.
func (r *rig) awaitLoad(i int, condition func(sim.Load) bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.sims[i].Await(ctx, condition); err != nil {
		r.t.Fatalf("the server's load is %+v", r.sims[i].Load())
	}
}
