package proxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tether/sim"
	simfault "tether/sim/fault"
	"tether/wire"
)

// The limits after which connections to a vanished host are cut, and how late the cut may be. Linux sends
// keep-alive's probes, but counts them by the user timeout if there is one: 30 s everywhere by default.
const (
	unheard  = (10 + 3*5) * time.Second // by keep-alive, while the connection is idle
	unacked  = 30 * time.Second         // towards upstreams, while bytes are sent
	lateness = 10 * time.Second
)

// vanishings are the moments at which a host vanishes. Each has its own host.
var vanishings = []struct {
	name string
	play func(*host)
}{
	{"upstream before the head", vanishBeforeHead},
	{"only upstream before the head", vanishBeforeHeadAlone},
	{"upstream mid-stream", vanishMidStream},
	{"upstream mid-body", vanishMidBody},
	{"upstream between requests", vanishBetweenRequests},
	{"client while it waits", vanishWaiting},
	{"client mid-stream", vanishReading},
}

// apart is set for the process in which the test makes its hosts; noHosts is what that process prints if it cannot.
const apart, noHosts = "TETHER_TEST_APART", "no hosts in a namespace here:"

// A host vanishes without a FIN or RST, and nothing answers any more.
func TestVanishedHost(t *testing.T) {
	switch {
	case testing.Short():
		t.Skip("takes as long as a vanished host may go unnoticed")
	case os.Getenv(apart) == "":
		runApart(t)
	default:
		vanish(t)
	}
}

// runApart runs this test in a user and a network namespace of its own, and logs that. The name of this file makes the test begin before
// the package's other tests, and it ends beside the parallel ones: it needs time only.
func runApart(t *testing.T) {
	const without = "a vanished host is shown by the socket options alone, which TestVanishedHostOptions of package wire reads back"
	out, err := os.Create(filepath.Join(t.TempDir(), "out")) // no pipe: this process does not read it in time
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestVanishedHost$", "-test.timeout=2m", "-test.parallel=16")
	cmd.Env = append(os.Environ(), apart+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	runtime.LockOSThread() // Pdeathsig is sent when the thread ends that started the process
	defer runtime.UnlockOSThread()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Skipf("no namespace here (%v): %s", err, without)
	}
	t.Parallel()
	err = cmd.Wait()
	text, readErr := os.ReadFile(out.Name())
	said := strings.ReplaceAll("\n"+strings.TrimSpace(string(text)), "\n", "\n| ") // so that it is not taken for a result of this process
	switch {
	case err != nil || readErr != nil:
		t.Fatalf("%v, %v%s", err, readErr, said)
	case strings.Contains(said, noHosts):
		t.Skipf("%s%s", without, said)
	}
	t.Logf("in a network namespace of its own:%s", said)
}

// vanish plays all vanishings at once.
func vanish(t *testing.T) {
	before, _ := resources(t)
	hosts, err := newHosts(t, len(vanishings))
	if err != nil {
		fmt.Println(noHosts, err)
		return
	}
	t.Run("hosts", func(t *testing.T) {
		for i, v := range vanishings {
			t.Run(v.name, func(t *testing.T) {
				t.Parallel()
				hosts[i].t = t
				v.play(hosts[i])
			})
		}
	})
	if after, _ := resources(t); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func vanishBeforeHead(h *host) {
	r := h.fleet(1)
	r.must(r.sims[0].Inject(simfault.Fault{Kind: simfault.Hang}))
	c := r.patient(post(chatPath, chat("hello"), sid))
	held(r, c)
	r.want(h.vanishUnder(c, unheard), 200, "spilled")
	if rec := r.recorded(1); rec.Attempts != 2 || r.pinned("s-1") != r.up(0) {
		h.t.Errorf("%d attempts, pinned to %v", rec.Attempts, r.pinned("s-1"))
	}
}

func vanishBeforeHeadAlone(h *host) {
	r := h.fleet(0)
	c := r.patient(post(chatPath, chat("hello"), sid, "X-Sim-Fault: hang"))
	held(r, c)
	r.wantDied(h.vanishUnder(c, unheard))
}

func vanishMidStream(h *host) {
	r := h.fleet(0)
	c := r.patient(post(chatPath, streamed("hello"), sid, "X-Sim-Fault: stall=2"))
	held(r, c)
	a := h.vanishUnder(c, unheard)
	if rec := r.recorded(1); a.StatusCode != 200 || a.err == nil || !strings.Contains(a.body, cutMessage) || rec.Reason != "upstream_cut" {
		h.t.Errorf("%d, %v, recorded as %s\n%s", a.StatusCode, a.err, rec.Reason, a.body)
	}
}

func vanishMidBody(h *host) {
	var l net.Listener
	h.must(h.do(func() (err error) { l, err = net.Listen("tcp", h.far.String()+":0"); return err }))
	defer l.Close()
	r := newRig(h.t, []string{"http://" + l.Addr().String()})
	c := r.patient(post(chatPath, chat(strings.Repeat("x", 16<<20)), sid))
	h.must(l.(*net.TCPListener).SetDeadline(time.Now().Add(patience)))
	up, err := l.Accept()
	h.must(err)
	defer up.Close()
	h.must(up.(*net.TCPConn).SetReadBuffer(1 << 20)) // bounds the bytes that still arrive
	_, err = up.Read(make([]byte, 1<<20))
	h.must(err)
	r.wantDied(h.vanishUnder(c, unacked))
}

// The host vanishes while its connection is idle: the body of the next request is never acknowledged.
func vanishBetweenRequests(h *host) {
	r := h.fleet(0)
	c := r.patient(post(chatPath, chat("hello"), sid))
	r.want(c.receive(), 200, "pinned")
	r.recorded(1) // the connection is back in the pool
	h.vanish()
	c.send(post(chatPath, chat("again"), sid))
	a := c.receive()
	h.cutAfter(unacked)
	r.wantDied(a)
}

func vanishWaiting(h *host) {
	r := fleet(h.t, 1, sim.Config{})
	c := h.dial(r)
	c.send(post(chatPath, chat("hello"), "X-Sim-Fault: hang"))
	held(r, c)
	h.vanishFrom(r, unheard)
}

func vanishReading(h *host) {
	const limit = 5 * time.Second
	r := fleet(h.t, 1, sim.Config{DecodePerToken: 10 * time.Millisecond}, func(r *rig) { r.cfg.ClientWriteTimeout = limit })
	c := h.dial(r)
	c.send(post(chatPath, strings.Replace(streamed("hello"), `"max_tokens":4`, `"max_tokens":100000`, 1)))
	_, err := c.r.Peek(500)
	h.must(err)
	h.vanishFrom(r, limit)
}

// patient sends a request over a connection that waits for longer than it takes to notice a vanished host.
func (r *rig) patient(request string) *rawConn {
	c := r.dial()
	_ = c.SetDeadline(time.Now().Add(2 * unacked))
	c.send(request)
	return c
}

// wantDied checks that the client was told that its upstream died, and not to try again.
func (r *rig) wantDied(a *answer) {
	r.t.Helper()
	if a.StatusCode != 502 || !strings.Contains(a.body, faultDied.message) || a.Header.Get("X-Should-Retry") != "false" {
		r.t.Errorf("%d, %v\n%s", a.StatusCode, a.Header, a.body)
	}
}

// host is another machine: a network namespace, in which one thread runs, and a cable to it.
type host struct {
	t         *testing.T
	near, far net.IP // of the cable's ends
	cable     int32  // the interface at both ends
	work      chan func()
	gone      time.Time
}

// newHosts makes n hosts, for as long as t runs.
func newHosts(t *testing.T, n int) (hosts []*host, err error) {
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer here.Close()
	err = netlink(unix.RTM_NEWLINK, 0, link(1, unix.IFF_UP)) // lo
	for i := byte(1); err == nil && len(hosts) < n; i++ {
		h := &host{near: net.IP{10, 9, i, 1}, far: net.IP{10, 9, i, 2}, cable: 100 + int32(i), work: make(chan func())}
		go h.live()
		t.Cleanup(func() { close(h.work) })
		if err = h.do(func() error { return h.arrive(here) }); err == nil {
			err = settle(h.cable, h.near, h.far)
		}
		hosts = append(hosts, h)
	}
	return hosts, err
}

// live is the host's goroutine. Its thread stays locked and so ends with it: no other goroutine could use it.
func (h *host) live() {
	runtime.LockOSThread()
	for f := range h.work {
		f()
	}
}

// arrive moves the host's thread to a namespace of its own, and lays the cable, a pair of interfaces, from there.
func (h *host) arrive(here *os.File) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	near := slices.Concat(link(h.cable, 0), attribute(unix.IFLA_ADDRESS, mac(h.near)),
		attribute(unix.IFLA_NET_NS_FD, binary.NativeEndian.AppendUint32(nil, uint32(here.Fd()))))
	err := netlink(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL,
		link(h.cable, 0), attribute(unix.IFLA_ADDRESS, mac(h.far)),
		attribute(unix.IFLA_LINKINFO, attribute(unix.IFLA_INFO_KIND, []byte("veth")),
			attribute(unix.IFLA_INFO_DATA, attribute(1, near)))) // VETH_INFO_PEER
	if err == nil {
		err = settle(h.cable, h.far, h.near)
	}
	return err
}

// do runs f on the host. Sockets that f makes belong to the host.
func (h *host) do(f func() error) error {
	done := make(chan error)
	h.work <- func() { done <- f() }
	return <-done
}

func (h *host) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// fleet is a rig in front of a simulated server on the host, which has the session of sid, and of some servers here.
func (h *host) fleet(others int) *rig {
	h.t.Helper()
	far := sim.New(sim.Config{StopTimeout: -1})
	h.must(h.do(func() error { _, err := far.Start(h.far.String() + ":0"); return err }))
	h.t.Cleanup(far.Stop)
	r := fleet(h.t, others, sim.Config{})
	r.sims = slices.Insert(r.sims, 0, far)
	var urls []string
	for _, s := range r.sims {
		urls = append(urls, s.URL())
	}
	r.apply(urls)
	r.pin("s-1", r.up(0))
	return r
}

// dial connects from the host to the proxy, by a listener at the cable: the rig's own is on the loopback.
func (h *host) dial(r *rig) *rawConn {
	h.t.Helper()
	watch, err := wire.NewWatch()
	h.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = watch.Run(ctx) })
	l, err := wire.Listen(h.near.String()+":0", wire.ListenConfig{WriteTimeout: r.cfg.ClientWriteTimeout}, watch)
	h.must(err)
	parts.Go(func() { r.proxy.Serve(l) })
	var c net.Conn
	h.must(h.do(func() (err error) { c, err = net.DialTimeout("tcp", l.Addr().String(), patience); return err }))
	h.t.Cleanup(func() { c.Close(); l.Close(); cancel(); parts.Wait() })
	return &rawConn{t: h.t, TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c)}
}

// vanish unplugs the cable at the far end. Nothing at this end notices that.
func (h *host) vanish() {
	h.t.Helper()
	h.must(h.do(func() error { return netlink(unix.RTM_NEWLINK, 0, link(h.cable, 0)) }))
	h.gone = time.Now()
}

// vanishUnder vanishes while c waits, and gives the answer that c gets then.
func (h *host) vanishUnder(c *rawConn, limit time.Duration) *answer {
	h.t.Helper()
	h.vanish()
	a := c.receive()
	h.cutAfter(limit)
	return a
}

// vanishFrom vanishes while its only request is served, and waits until no server works on that request.
func (h *host) vanishFrom(r *rig, limit time.Duration) {
	h.t.Helper()
	h.vanish()
	ctx, cancel := context.WithTimeout(h.t.Context(), 2*unacked)
	defer cancel()
	if err := r.sims[0].Await(ctx, func(l sim.Load) bool { return l.Requests == 0 }); err != nil {
		h.t.Fatalf("the engine still works: %+v", r.sims[0].Load())
	}
	h.cutAfter(limit)
	if rec := r.recorded(1); rec.Status != 499 || !strings.HasPrefix(rec.Reason, "client_") || r.proxy.InFlight()+r.up(0).InFlight() != 0 {
		h.t.Errorf("recorded as %d, %s, with %d in flight, %d upstream", rec.Status, rec.Reason, r.proxy.InFlight(), r.up(0).InFlight())
	}
}

// cutAfter checks that about limit has passed since the host vanished. Much less would mean that the connection was reset.
func (h *host) cutAfter(limit time.Duration) {
	h.t.Helper()
	took := time.Since(h.gone).Round(10 * time.Millisecond)
	fmt.Printf("%s: cut after %v, limit %v + %v\n", h.t.Name(), took, limit, lateness)
	if took < limit*3/4 || took > limit+lateness {
		h.t.Errorf("cut after %v, want %v, or up to %v more", took, limit, lateness)
	}
}
