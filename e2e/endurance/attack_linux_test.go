package endurance

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// attack are the clients that only take. Those that are cut come again until stop says that they shall not.
type attack struct {
	w       *world
	wanted  context.Context
	stop    context.CancelFunc
	over    chan struct{} // closed when tether has cut them all
	once    sync.Once     // closes over
	clients sync.WaitGroup

	idle, slowHeads, slowBodies atomic.Int64 // that were cut as they should be
}

func (w *world) attack() *attack {
	a := &attack{w: w, over: make(chan struct{})}
	a.wanted, a.stop = context.WithCancel(w.t.Context())
	each := func(kind, n int, client func(net.Conn, int)) {
		for i := range n {
			a.clients.Go(func() { a.keep(dialer(kind, i), func(c net.Conn) { client(c, i) }) })
		}
	}
	each(idleClients, w.n.idle, a.beIdle)
	each(slowClients, w.n.slow, a.beSlow)
	each(deafClients, w.n.deaf, a.beDeaf)
	w.t.Cleanup(func() { a.stop(); a.end(); a.clients.Wait() })
	return a
}

// end lets those go that nobody tells of their end.
func (a *attack) end() { a.once.Do(func() { close(a.over) }) }

// The kinds of clients, each with a network of the loopback of its own.
const (
	ordinaryClients = iota + 1
	idleClients
	slowClients
	deafClients
)

// dialer connects from an address that no other client of the kind has, so that no limit for an address hides another.
func dialer(kind, n int) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(kind), byte(n/250), byte(n%250+1))}, Timeout: lateness, KeepAlive: -1}
}

// keep connects, misbehaves until it is cut, and comes again as long as that is wanted.
func (a *attack) keep(d *net.Dialer, client func(net.Conn)) {
	for a.wanted.Err() == nil {
		c, err := d.Dial("tcp", a.w.attacked.address)
		if err != nil {
			a.w.t.Errorf("cannot connect: %v", err)
			return
		}
		_ = c.SetDeadline(time.Now().Add(a.w.n.idleLimit + 2*lateness))
		client(c)
		c.Close()
	}
}

// ended counts a client that got what it should within its limit.
func (a *attack) ended(began time.Time, limit time.Duration, as string, got error, count *atomic.Int64) {
	took := time.Since(began)
	if got != nil || took < limit*9/10 || took > limit+lateness {
		a.w.t.Errorf("a client that is %s was cut after %v, want %v: %v", as, took, limit, got)
		return
	}
	count.Add(1)
}

// beIdle says nothing, and is closed without a word.
func (a *attack) beIdle(c net.Conn, _ int) {
	began := time.Now()
	text, err := io.ReadAll(io.LimitReader(c, 100))
	if len(text) > 0 {
		err = fmt.Errorf("it got %q", text)
	}
	a.ended(began, a.w.n.idleLimit, "idle", err, &a.idle)
}

const chatHead = "POST /v1/chat/completions HTTP/1.1\r\nHost: tether\r\nContent-Type: application/json\r\n"

// beSlow sends a byte a second: of a head, or of a body that it has promised to be large.
func (a *attack) beSlow(c net.Conn, n int) {
	began, count, as := time.Now(), &a.slowHeads, "slow with its head"
	if n%2 == 0 {
		count, as = &a.slowBodies, "slow with its body"
		fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n", chatHead, 64<<20)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.ended(began, slowLimit, as, wantTimeout(c), count)
	}()
	dribble(c, ended)
}

// wantTimeout waits for the answer to a client that was too slow.
func wantTimeout(c net.Conn) error {
	line, err := bufio.NewReader(c).ReadString('\n')
	if !strings.HasPrefix(line, "HTTP/1.1 408 ") {
		return fmt.Errorf("it got %q, %w", line, err)
	}
	return nil
}

// dribble sends a byte a second, the same whether in a head or a body, until ended is closed.
func dribble(c net.Conn, ended <-chan struct{}) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for i := 0; ; i++ {
		select {
		case <-ended:
			return
		case <-second.C:
			_, _ = c.Write([]byte{chatHead[i%len(chatHead)]}) // it may be cut by now
		}
	}
}

// beDeaf asks for a stream without an end and reads nothing of it, so that it is not told either when it is cut.
func (a *attack) beDeaf(c net.Conn, _ int) {
	_ = c.(*net.TCPConn).SetReadBuffer(farBuffer) // if it does not work there is more to move
	const body = `{"model":"endless","stream":true,"messages":[]}`
	fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", chatHead, len(body), body)
	<-a.over
}

// check waits for the last of them, and compares what they saw with what tether says.
func (a *attack) check() {
	t := a.w.t
	t.Helper()
	a.end()
	a.clients.Wait()
	t.Logf("cut: %d idle, %d slow with heads, %d with bodies, %d deaf", a.idle.Load(), a.slowHeads.Load(), a.slowBodies.Load(), a.w.n.deaf)
	for name, want := range map[string]int64{
		"tether_idle_client_connections_closed_total":                    a.idle.Load(),
		`tether_requests_refused_total{reason="slow_head",status="408"}`: a.slowHeads.Load(),
		`tether_request_failures_total{reason="slow_body"}`:              a.slowBodies.Load(),
		`tether_request_failures_total{reason="client_stalled"}`:         int64(a.w.n.deaf),
	} {
		if got := a.w.attacked.metric(name); got != float64(want) || want == 0 {
			t.Errorf("%s is %v, the clients count %d", name, got, want)
		}
	}
}
