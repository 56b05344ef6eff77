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

// attack runs the idle, slow and deaf clients. A client that was cut connects again until stop is called.
type attack struct {
	w       *world
	running context.Context // until stop is called
	stop    context.CancelFunc
	over    chan struct{} // closed when tether has cut all clients
	once    sync.Once     // closes over
	clients sync.WaitGroup

	idle, slowHeads, slowBodies atomic.Int64 // clients that were cut in time and with the right answer
}

func (w *world) attack() *attack {
	a := &attack{w: w, over: make(chan struct{})}
	a.running, a.stop = context.WithCancel(w.t.Context())
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

// end ends the deaf clients, who do not learn that they were cut.
func (a *attack) end() { a.once.Do(func() { close(a.over) }) }

// The kinds of clients. Each kind has a network of the loopback interface of its own.
const (
	ordinaryClients = iota + 1
	idleClients
	slowClients
	deafClients
	streamClients
)

// dialer connects from an address that no other client of the kind has, so that limits per address do not hide other limits.
func dialer(kind, n int) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(kind), byte(n/250), byte(n%250+1))}, Timeout: lateness, KeepAlive: -1}
}

// keep connects and runs client until it is cut, again and again until stop is called.
func (a *attack) keep(d *net.Dialer, client func(net.Conn)) {
	for a.running.Err() == nil {
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

// ended counts a client that was cut at its limit. got is nil if the client also received the right answer.
func (a *attack) ended(began time.Time, limit time.Duration, as string, got error, count *atomic.Int64) {
	took := time.Since(began)
	if got != nil || took < limit*9/10 || took > limit+lateness {
		a.w.t.Errorf("a client that is %s was cut after %v, want %v: %v", as, took, limit, got)
		return
	}
	count.Add(1)
}

// beIdle sends nothing. tether closes its connection without an answer.
func (a *attack) beIdle(c net.Conn, _ int) {
	began := time.Now()
	text, err := io.ReadAll(io.LimitReader(c, 100))
	if len(text) > 0 {
		err = fmt.Errorf("it received %q", text)
	}
	a.ended(began, a.w.n.idleLimit, "idle", err, &a.idle)
}

const chatHead = "POST /v1/chat/completions HTTP/1.1\r\nHost: tether\r\nContent-Type: application/json\r\n"

// beSlow sends one byte a second, of a head or of a body with a large Content-Length.
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

// wantTimeout waits for the answer to a client that was too slow: a 408.
func wantTimeout(c net.Conn) error {
	line, err := bufio.NewReader(c).ReadString('\n')
	if !strings.HasPrefix(line, "HTTP/1.1 408 ") {
		return fmt.Errorf("it received %q, %w", line, err)
	}
	return nil
}

// dribble sends one byte a second until ended is closed. The bytes suit a head as well as a body.
func dribble(c net.Conn, ended <-chan struct{}) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for i := 0; ; i++ {
		select {
		case <-ended:
			return
		case <-second.C:
			_, _ = c.Write([]byte{chatHead[i%len(chatHead)]}) // the connection may be cut already
		}
	}
}

// beDeaf requests an endless stream and reads nothing of it. So it does not notice that it is cut.
func (a *attack) beDeaf(c net.Conn, _ int) {
	_ = c.(*net.TCPConn).SetReadBuffer(farBuffer) // on an error the kernel only buffers more
	const body = `{"model":"endless","stream":true,"messages":[]}`
	fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", chatHead, len(body), body)
	<-a.over
}

// check waits for the last client, and compares the clients' counts with tether's metrics.
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
			t.Errorf("%s is %v, but the clients count %d", name, got, want)
		}
	}
}
