package app

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	dnslib "github.com/miekg/dns"

	"tether/admin"
	"tether/config"
	"tether/discovery/dns"
	"tether/discovery/dns/dnstest"
	"tether/sim"
	"tether/upstream"
)

// writeList writes a file with a list of upstreams named vllm-0 and so on; "" leaves an upstream out.
func writeList(t testing.TB, file string, urls ...string) {
	t.Helper()
	text := "[]\n"
	for i, u := range urls {
		if u != "" {
			text = strings.TrimPrefix(text, "[]\n") + fmt.Sprintf("- {name: vllm-%d, url: %q}\n", i, u)
		}
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sources returns the sources as the admin API shows them.
func (s *running) sources() []admin.Discovered {
	s.t.Helper()
	var answer struct{ Sources []admin.Discovered }
	s.get("/api/discovery", &answer)
	return answer.Sources
}

// awaitUpstreams waits until there are n upstreams.
func (s *running) awaitUpstreams(n int) {
	s.t.Helper()
	s.logs.await(s.t, fmt.Sprint(n, " upstreams"), func() bool { return len(s.app.registry.Table().Members) == n })
}

// eventually waits for something that is not logged.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no ", what)
		}
	}
}

// A list in a file: an upstream that is added moves no conversation, one that is removed moves its own, and no request fails. A list that is
// half written, wrong or gone changes nothing.
func TestListInAFile(t *testing.T) {
	t.Parallel()
	_, urls := startSims(t, 4, sim.Config{DecodePerToken: 5 * time.Millisecond})
	file := filepath.Join(t.TempDir(), "upstreams.yaml")
	writeList(t, file, urls[:3]...)
	s := startTether(t, func(c *config.Config) { c.Upstreams, c.Discovery = nil, []config.Discovery{{File: file}} }, urls[0])
	for i := range 3 {
		s.await(i, "up")
	}
	l := converse(s, 40)
	writeList(t, file, urls...)
	s.awaitUpstreams(4)
	s.await(3, "up")
	l.goOn(2)
	if n, from := l.moved(); n > 0 {
		t.Errorf("%d conversations moved when a server was added: %v", n, from)
	}
	leaving := l.on("vllm-1")
	writeList(t, file, urls[0], "", urls[2], urls[3])
	s.awaitUpstreams(3)
	l.goOn(3)
	if n, from := l.moved(); n != leaving || from["vllm-1"] != leaving || leaving == 0 {
		t.Errorf("%d conversations moved, from %v, want the %d of vllm-1", n, from, leaving)
	}
	for text, want := range map[string]string{
		"":                                "no list in it",
		"- {name: vllm-0, url: \"http://": "not YAML",
		"- {name: vllm-0, url: 7}":        "no scheme, want http://HOST:PORT",
		"gone":                            "is not there, want a list of upstreams",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if text == "gone" {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, want, func() bool { return strings.Contains(s.sources()[0].Problem, want) })
		if got := s.sources()[0]; got.Upstreams != 3 || len(s.upstreams()) != 3 {
			t.Errorf("%s: %+v", want, got)
		}
	}
	text := s.text("/metrics")
	label := fmt.Sprintf(`{source="file:%s"}`, file)
	if !strings.Contains(text, "tether_discovery_upstreams"+label+" 3\n") || !strings.Contains(text, "tether_discovery_errors_total"+label+" 4\n") {
		t.Error("the metrics do not show the source")
	}
	writeList(t, file, urls...)
	s.awaitUpstreams(4)
	l.end()
	http.DefaultClient.CloseIdleConnections()
}

// A list of 4,096 servers is in force, and requests go on. One more is an error of the source, and the list before stays. A list of none counts: it is whole, and
// says that there are no servers. So does a list that is there again.
func TestListsOfAnySize(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	file := filepath.Join(t.TempDir(), "upstreams.yaml")
	writeList(t, file, urls...)
	s := startTether(t, func(c *config.Config) {
		c.Upstreams, c.Discovery = nil, []config.Discovery{{File: file}}
		c.Health.Interval = 20 * time.Second // thousands of servers are not there
	}, urls...)
	s.await(0, "up")
	serves := func(status int) {
		t.Helper()
		if res, text, err := post(t, s.addr, hello); err != nil || res.StatusCode != status {
			t.Fatalf("%v, %v, %s", res, err, text)
		}
	}
	serves(200)
	all := append([]string{}, urls...)
	for i := range upstream.MaxUpstreams {
		all = append(all, fmt.Sprintf("http://127.1.%d.%d:1", i/256, i%256))
	}
	writeList(t, file, all[:upstream.MaxUpstreams]...)
	s.awaitUpstreams(upstream.MaxUpstreams)
	serves(200)
	writeList(t, file, all...)
	const want = "4097, want at most 4096"
	eventually(t, want, func() bool { return strings.Contains(s.sources()[0].Problem, want) })
	if n := len(s.upstreams()); n != upstream.MaxUpstreams {
		t.Errorf("%d upstreams", n)
	}
	serves(200)
	writeList(t, file)
	s.awaitUpstreams(0)
	eventually(t, "answer without servers", func() bool {
		res, _, err := post(t, s.addr, hello)
		return err == nil && res.StatusCode == 503
	})
	writeList(t, file, urls...)
	s.awaitUpstreams(1)
	s.await(0, "up")
	serves(200)
	http.DefaultClient.CloseIdleConnections()
}

// zone is a DNS server on loopback that answers every question for A with the same addresses.
type zone struct {
	addr string

	mu        sync.Mutex
	addresses []string // guarded by mu
	code      int      // guarded by mu
}

func newZone(t testing.TB) *zone {
	t.Helper()
	z := &zone{}
	z.addr = dnstest.Serve(t, z)
	return z
}

// ServeDNS implements dnslib.Handler.
func (z *zone) ServeDNS(w dnslib.ResponseWriter, q *dnslib.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	a := new(dnslib.Msg).SetRcode(q, z.code)
	for _, address := range z.addresses {
		a.Answer = append(a.Answer, &dnslib.A{Hdr: dnslib.RR_Header{Name: q.Question[0].Name, Rrtype: dnslib.TypeA, Class: dnslib.ClassINET}, A: net.ParseIP(address)})
	}
	a.Compress = true
	if w.RemoteAddr().Network() == "udp" {
		a.Truncate(1232)
	}
	_ = w.WriteMsg(a) // the resolver may have left
}

// set changes the answer.
func (z *zone) set(code int, addresses ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.code, z.addresses = code, addresses
}

// discovered starts a tether whose upstreams are the addresses of a zone, on one port.
func (z *zone) discovered(t testing.TB, port int, change func(c *dns.Config)) *running {
	d := dns.Config{Name: "vllm.example", Port: port, Resolver: z.addr, Interval: 20 * time.Millisecond, Keep: time.Millisecond}
	if change != nil {
		change(&d)
	}
	return startTether(t, func(c *config.Config) { c.Upstreams, c.Discovery = nil, []config.Discovery{{DNS: d}} }, "http://127.0.0.1:1")
}

// onAddresses starts simulated servers on 127.0.1.1, 127.0.1.2 and so on, all with one port.
func onAddresses(t testing.TB, n int, cfg sim.Config) (sims []*sim.Server, addresses []string, port int) {
	t.Helper()
	for i := range n {
		cfg.Name = fmt.Sprint("vllm-", i)
		s := sim.New(cfg)
		address := fmt.Sprintf("127.0.1.%d", i+1)
		at, err := s.Start(net.JoinHostPort(address, fmt.Sprint(port)))
		if err != nil {
			t.Skipf("no address %s here: %v", address, err)
		}
		t.Cleanup(s.Stop)
		_, text, _ := net.SplitHostPort(at)
		if _, err := fmt.Sscan(text, &port); err != nil {
			t.Fatal(err)
		}
		sims, addresses = append(sims, s), append(addresses, address)
	}
	return sims, addresses, port
}

// 512 addresses at once become 512 upstreams, and requests reach them.
func TestManyUpstreamsAtOnce(t *testing.T) {
	z := newZone(t)
	s := sim.New(sim.Config{Name: "all"})
	at, err := s.Start(":0") // on all addresses of loopback
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	_, text, _ := net.SplitHostPort(at)
	port := 0
	if _, err := fmt.Sscan(text, &port); err != nil {
		t.Fatal(err)
	}
	z.set(dnslib.RcodeSuccess, "127.0.1.1")
	r := z.discovered(t, port, nil)
	r.await(0, "up")
	var addresses []string
	for i := range 512 {
		addresses = append(addresses, fmt.Sprintf("127.0.%d.%d", 1+i/250, 1+i%250))
	}
	z.set(dnslib.RcodeSuccess, addresses...)
	begin := time.Now()
	r.awaitUpstreams(512)
	known := time.Since(begin)
	r.logs.await(t, "all up", func() bool { return upOf(r) == 512 })
	t.Logf("512 upstreams were known after %v and up after %v", known, time.Since(begin))
	each(64, 8, func(i int, client *http.Client) {
		if got, err := r.turn(client, fmt.Sprint("s-", i), 0, i%2 == 0); err != nil || got.status != 200 || got.cut {
			t.Errorf("%+v, %v", got, err)
		}
	})
	http.DefaultClient.CloseIdleConnections()
}

// upOf counts the upstreams that are up.
func upOf(r *running) (n int) {
	for _, m := range r.app.registry.Table().Members {
		if m.State().Health() == upstream.Up {
			n++
		}
	}
	return n
}

// A set that changes all the time costs no request: those of removed servers finish.
func TestSetThatFlaps(t *testing.T) {
	_, addresses, port := onAddresses(t, 4, sim.Config{DecodePerToken: 2 * time.Millisecond})
	z := newZone(t)
	z.set(dnslib.RcodeSuccess, addresses...)
	s := z.discovered(t, port, nil)
	for i := range 4 {
		s.await(i, "up")
	}
	l := converse(s, 40)
	flaps := 30
	if testing.Short() {
		flaps = 5
	}
	for i := range flaps {
		gone := 1 + i%3
		z.set(dnslib.RcodeSuccess, append(append([]string{}, addresses[:gone]...), addresses[gone+1:]...)...)
		s.awaitUpstreams(3)
		z.set(dnslib.RcodeSuccess, addresses...)
		s.awaitUpstreams(4)
	}
	// Answers that say nothing remove nothing.
	before := s.app.registry.Table()
	for _, code := range []int{dnslib.RcodeServerFailure, dnslib.RcodeNameError, dnslib.RcodeSuccess} {
		failures := s.sources()[0].Failures
		z.set(code)
		eventually(t, "a failure", func() bool { return s.sources()[0].Failures > failures+1 })
	}
	if s.app.registry.Table() != before {
		t.Error("answers without servers changed the upstreams")
	}
	if n := s.logs.FilterMessage("discovery keeps the last upstreams").Len(); n != 3 {
		t.Errorf("%d lines of log for 3 problems", n)
	}
	t.Logf("%d turns while the set changed %d times", l.turns.Load(), 2*flaps)
	l.end()
	http.DefaultClient.CloseIdleConnections()
}

// A server that answers lack for less than its time keeps its conversations.
func TestServerThatIsLackingForAMoment(t *testing.T) {
	_, addresses, port := onAddresses(t, 3, sim.Config{DecodePerToken: 2 * time.Millisecond})
	z := newZone(t)
	z.set(dnslib.RcodeSuccess, addresses...)
	s := z.discovered(t, port, func(c *dns.Config) { c.Keep = time.Hour })
	for i := range 3 {
		s.await(i, "up")
	}
	l := converse(s, 30)
	z.set(dnslib.RcodeSuccess, addresses[1:]...)
	success := s.sources()[0].LastSuccess
	eventually(t, "looks", func() bool { return s.sources()[0].LastSuccess.Sub(*success) > 100*time.Millisecond })
	l.goOn(2)
	if n, from := l.moved(); n > 0 {
		t.Errorf("%d conversations moved: %v", n, from)
	}
	l.end()
	http.DefaultClient.CloseIdleConnections()
}

// A reload changes the sources. A source that finds nothing keeps the configuration from coming into force.
func TestSourcesAreReloaded(t *testing.T) {
	t.Parallel()
	_, urls := startSims(t, 3, sim.Config{})
	c := startConfigured(t, "", urls[0])
	c.await(0, "up")
	file := filepath.Join(filepath.Dir(c.file), "list.yaml")
	discovery := fmt.Sprintf("discovery: [{file: %q}]", file)
	c.write(t, discovery, urls[0])
	if status, _, problem := c.reload(); status != 422 || !strings.Contains(problem, "has found nothing within 5s: ") || !strings.Contains(problem, "is not there, want a list of upstreams") {
		t.Errorf("%d, %s", status, problem)
	}
	if got := c.sources(); len(got) != 0 {
		t.Errorf("sources %+v", got)
	}
	if err := os.WriteFile(file, []byte(fmt.Sprintf("[{name: vllm-1, url: %q}, {name: vllm-0, url: %q}]", urls[1], urls[2])), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, done, problem := c.reload(); status != 200 || fmt.Sprint(done.Changed) != "[discovery]" {
		t.Errorf("%d, %+v, %s", status, done, problem)
	}
	if got := c.upstreams(); len(got) != 2 || got[1].Name != "vllm-1" || len(c.sources()) != 1 {
		t.Errorf("%+v", got)
	}
	if line := c.logs.FilterMessage("discovery found an upstream that does not count"); line.Len() != 1 || line.All()[0].ContextMap()["problem"] != "file:"+file+`: "vllm-0" does not count: upstreams has the name already` {
		t.Errorf("%v", line.All())
	}
	c.write(t, "", urls[0])
	if status, _, problem := c.reload(); status != 200 || len(c.upstreams()) != 1 || len(c.sources()) != 0 {
		t.Errorf("%d, %s, %d upstreams", status, problem, len(c.upstreams()))
	}
	http.DefaultClient.CloseIdleConnections()
}

// Without its first upstreams, tether starts after a while, is not ready, and says why. It serves once there are some.
func TestStartWithoutUpstreams(t *testing.T) {
	t.Parallel()
	_, addresses, port := onAddresses(t, 1, sim.Config{})
	z := newZone(t)
	z.set(dnslib.RcodeNameError)
	s := z.discovered(t, port, nil)
	if s.logs.FilterMessage("serving without the upstreams of a source until it finds some").Len() != 1 || s.get("/readyz", nil) != 503 {
		t.Error("ready without an upstream")
	}
	z.set(dnslib.RcodeSuccess, addresses...)
	s.awaitUpstreams(1)
	s.await(0, "up")
	if res, _, err := post(t, s.addr, hello); err != nil || res.StatusCode != 200 {
		t.Errorf("%v, %v", res, err)
	}
	http.DefaultClient.CloseIdleConnections()
}
