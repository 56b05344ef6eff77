package proxy

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tether/sim"
	"tether/upstream/transport"
	"tether/wire/loop"
)

// onLoops makes a rig with event loops, and skips the test where there are none.
func onLoops(t testing.TB, n int) option {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getenv("TETHER_PROXY_ENGINE") == loop.EngineGo {
		t.Skip("no event loops here")
	}
	return func(r *rig) { r.loopCount = n }
}

// goroutines waits until there are at most n goroutines, and returns how many there are.
func goroutines(n int) int {
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > n && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	return runtime.NumGoroutine()
}

// Neither an idle client nor an open stream has a goroutine of the proxy.
func TestNoGoroutineOnALoop(t *testing.T) {
	const clients = 50
	s := newScript(t)
	r := newRig(t, []string{s.url()}, onLoops(t, 1))
	before := runtime.NumGoroutine()
	var all []*rawConn
	for range clients {
		c := r.dial()
		all = append(all, c)
	}
	if n := goroutines(before + 2); n > before+2 { // of the runtime, if any
		t.Errorf("%d goroutines for %d idle clients", n-before, clients)
	}
	for _, c := range all {
		c.send(post(chatPath, streamed("x")))
		up := s.next()
		up.request()
		up.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
		if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != 200 {
			t.Fatalf("%v, %v", res, err)
		}
	}
	if n := goroutines(before + 2); n > before+2 {
		t.Errorf("%d goroutines for %d open streams", n-before, clients)
	}
}

// A client that reads nothing for a while gets every byte in the end. Meanwhile its server is not read from.
func TestSlowClientGetsAll(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	c := r.dial()
	c.send(post(chatPath, streamed("x")))
	up := s.next()
	up.request()
	const size = 40 << 20
	body := bytes.Repeat([]byte("0123456789abcde\n"), size/16)
	up.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n", size))
	sent := make(chan error, 1)
	go func() { _, err := up.Write(body); sent <- err }()
	other := r.dial()
	other.send("GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
	if a := other.receive(); a.StatusCode != 200 {
		t.Errorf("%d beside a slow client", a.StatusCode)
	}
	select {
	case err := <-sent:
		t.Fatalf("all is taken for a client that reads nothing (%v)", err)
	case <-time.After(200 * time.Millisecond):
	}
	res, err := http.ReadResponse(c.r, nil)
	r.must(err)
	got := sha256.New()
	n, err := io.Copy(got, res.Body)
	if want := sha256.Sum256(body); err != nil || n != size || !bytes.Equal(got.Sum(nil), want[:]) {
		t.Errorf("%d bytes of %d, %v", n, size, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	c.send("GET /ping HTTP/1.1\r\nHost: a\r\n\r\n") // the connection is still good
	if a := c.receive(); a.StatusCode != 200 {
		t.Errorf("%d after the stream", a.StatusCode)
	}
}

// Requests that are sent at once are answered one after another, whoever serves them.
func TestPipelined(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	c := r.dial()
	const n = 20
	c.send(strings.Repeat(post(chatPath, chat("x"))+"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", n))
	for i := range 2 * n {
		if a := c.receive(); a.StatusCode != 200 || strings.Contains(a.body, `"list"`) != (i%2 == 1) {
			t.Fatalf("answer %d: %d %s", i, a.StatusCode, a.body)
		}
	}
}

// tightSockets is a server whose receive buffer is as small as the kernel allows, and a proxy with an idle connection to it whose send buffer
// is. So the kernel takes only the beginning of a request.
func tightSockets(t *testing.T) (s *script, r *rig, up *rawConn) {
	t.Helper()
	s = newScript(t)
	r = newRig(t, []string{s.url()}, onLoops(t, 1), func(r *rig) { r.cfg.HeadTimeout = 2 * time.Second })
	r.must(setBuffer(s.l.(*net.TCPListener), syscall.SO_RCVBUF))
	c := r.dial()
	c.send(post(chatPath, chat("x")))
	up = s.next()
	up.request()
	up.send(ok("first"))
	c.receive()
	c.Close()
	r.recorded(1)
	idle := r.up(0).TakeIdle(time.Now(), transport.Taker{})
	if idle == nil {
		t.Fatal("no idle connection")
	}
	r.must(setBuffer(idle.Conn.Conn.(syscall.Conn), syscall.SO_SNDBUF))
	idle.Keep(&transport.Answer{}, time.Now())
	return s, r, up
}

// setBuffer makes a buffer of a socket as small as the kernel allows.
func setBuffer(c syscall.Conn, option int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return setBufferOf(raw, option)
}

func setBufferOf(raw syscall.RawConn, option int) error {
	var optErr error
	err := raw.Control(func(fd uintptr) { optErr = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, 1) })
	return errors.Join(err, optErr)
}

// A server that answers before it has read the request, of which the loop has not sent all, never takes the next request for the rest of
// that one.
func TestEarlyAnswerToUnsentRequest(t *testing.T) {
	s, r, up := tightSockets(t)
	body := chat(strings.Repeat("a", 12<<10))
	c := r.dial()
	c.send(post(chatPath, body))
	if _, err := up.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	up.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n")
	if a := c.receive(); a.StatusCode != 413 {
		t.Fatalf("%d", a.StatusCode)
	}
	second := make(chan *answer, 1)
	go func() { c.send(post(chatPath, chat("second"))); second <- c.receive() }()
	if got, _ := up.rest(); strings.Contains(got, "second") {
		t.Errorf("the next request is a part of the body that was promised: ...%q", got[max(0, len(got)-400):])
	}
	next := s.next()
	if _, body := next.request(); !strings.Contains(string(body), "second") {
		t.Errorf("got %s", body)
	}
	next.send(ok("two"))
	if a := <-second; a.StatusCode != 200 {
		t.Errorf("%d to the next request", a.StatusCode)
	}
}

// The rest of a request is sent, although its exchange leaves the loop before.
func TestUnsentRequestLeavesLoop(t *testing.T) {
	_, r, up := tightSockets(t)
	body := chat(strings.Repeat("a", 12<<10))
	c := r.dial()
	c.send(post(chatPath, body))
	if _, err := up.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	up.send("HTTP/1.1 103 Early Hints\r\n\r\n") // which a goroutine passes on
	if a := c.receive(); a.StatusCode != 103 {
		t.Fatalf("%d", a.StatusCode)
	}
	if _, got := up.request(); string(got) != body {
		t.Errorf("the server got %d bytes of %d", len(got), len(body))
	}
	up.send(ok("all"))
	if a := c.receive(); a.StatusCode != 200 {
		t.Errorf("%d", a.StatusCode)
	}
}

// An answer that violates its framing while the client does not take what was sent is cut, whatever follows.
func TestBrokenAnswerToSlowClient(t *testing.T) {
	t.Run("in the part with the head", func(t *testing.T) { brokenAnswer(t, true) })
	t.Run("in a later part", func(t *testing.T) { brokenAnswer(t, false) })
}

func brokenAnswer(t *testing.T, atOnce bool) {
	s := newScript(t)
	r := newRig(t, []string{s.url()}, onLoops(t, 1))
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error { return setBufferOf(raw, syscall.SO_RCVBUF) }}
	c, err := d.Dial("tcp", r.addr)
	r.must(err)
	defer c.Close()
	r.must(c.SetDeadline(time.Now().Add(patience)))
	io.WriteString(c, post(chatPath, streamed("x")))
	up := s.next()
	up.request()
	if atOnce { // on an idle connection, which the loop takes by itself
		up.send(ok("first"))
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 200 {
			t.Fatalf("%v, %v", res, err)
		}
		r.recorded(1)
		io.WriteString(c, post(chatPath, streamed("x")))
		up.request()
	}
	r.proxy.clients.each(func(c *client) { r.must(setBuffer(c.Conn.(syscall.Conn), syscall.SO_SNDBUF)) })
	head := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	from := bufio.NewReader(c)
	if !atOnce {
		up.send(head)
		head = ""
		_, err = from.ReadString('\n')
		r.must(err)
	}
	up.send(fmt.Sprintf("%s%x\r\n%s\r\nnonsense\r\n", head, 12<<10, strings.Repeat("a", 12<<10)))
	time.Sleep(50 * time.Millisecond)                // most likely it is relayed by now; if not, the test proves less
	_, _ = io.WriteString(up, "1\r\nb\r\n0\r\n\r\n") // the connection may be closed by now
	got, err := io.ReadAll(from)
	if text := string(got); err != nil || strings.Contains(text, "0\r\n\r\n") || !strings.Contains(text, "aaaa") {
		t.Errorf("the client sees a whole answer (%v): ...%q", err, text[max(0, len(text)-100):])
	}
	if rec := r.recorded(map[bool]int{true: 2, false: 1}[atOnce]); rec.Reason != "upstream_malformed" {
		t.Errorf("reason %q", rec.Reason)
	}
}

// Several loops share the upstreams. Clients leave at every moment.
func TestSeveralLoops(t *testing.T) {
	leaving := post(chatPath, streamed("leaves"))
	r := fleet(t, 2, sim.Config{}, onLoops(t, 3))
	for range 3 { // a client on each loop, so that all of them run
		r.chat("x")
	}
	descriptors, before := resources(t)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 40 {
				if (n+i)%4 == 0 {
					c, err := net.Dial("tcp", r.addr)
					if err != nil {
						t.Error(err)
						return
					}
					fmt.Fprint(c, leaving[:min(10*i+1, len(leaving))])
					c.Close()
					continue
				}
				body := chat(fmt.Sprint(n, i))
				if i%2 == 0 {
					body = streamed(fmt.Sprint(n, i))
				}
				if a, err := r.try("POST", chatPath, body, fmt.Sprint("X-Session-Id: s-", i%5)); err != nil || a.StatusCode != 200 || a.err != nil {
					t.Errorf("%v, %v", a, err)
				}
			}
		})
	}
	all.Wait()
	r.nothingLeft(descriptors, before)
}

// Streams of clients that leave, stall and come back leave nothing.
func TestStreamsLeaveNothing(t *testing.T) {
	const clients, rounds = 16, 15
	r := fleet(t, 2, sim.Config{})
	descriptors, before := resources(t)
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			for i := range rounds {
				if err := r.streamAndLeave(n + i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	r.nothingLeft(descriptors, before)
}

// streamAndLeave opens a stream, and ends it in the n-th way.
func (r *rig) streamAndLeave(n int) error {
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	body := strings.Replace(streamed("x"), `"max_tokens":4`, `"max_tokens":200`, 1)
	if _, err := io.WriteString(c, post(chatPath, body, fmt.Sprint("X-Session-Id: s-", n%7))); err != nil {
		return err
	}
	part := make([]byte, 200)
	switch n % 5 {
	case 0: // before the answer
		return nil
	case 1: // with its first bytes
		_, err = io.ReadFull(c, part)
	case 2: // by a reset
		_, err = io.ReadFull(c, part)
		_ = c.(*net.TCPConn).SetLinger(0)
	case 3: // by half-closing
		_, err = io.ReadFull(c, part)
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	case 4: // after a rest, and all of it
		time.Sleep(20 * time.Millisecond)
		var all []byte
		for err == nil && !bytes.HasSuffix(all, []byte("0\r\n\r\n")) {
			var k int
			k, err = c.Read(part)
			all = append(all, part[:k]...)
		}
	}
	return err
}

// FuzzDrivers: what a client and a server see does not depend on the driver, however their bytes are split.
func FuzzDrivers(f *testing.F) {
	if runtime.GOOS != "linux" {
		f.Skip("no event loops here")
	}
	f.Add(uint64(1), uint64(1), byte(0), byte(0))
	f.Add(uint64(0xff00ff), uint64(0x10101), byte(1), byte(1))
	f.Add(uint64(0), uint64(0xffffffffffffffff), byte(2), byte(3))
	f.Add(uint64(0x8000), uint64(0x8000), byte(3), byte(5))
	f.Add(uint64(3), uint64(7), byte(4), byte(6))
	s := newScript(f)
	engines := []string{loop.EngineGo, loop.EngineEpoll}
	if ls, err := loop.New(loop.EngineUring, 1); err == nil {
		ls.Close()
		engines = append(engines, loop.EngineUring)
	}
	rigs := map[string]*rig{}
	for _, engine := range engines {
		rigs[engine] = newRig(f, []string{s.url()}, func(r *rig) { r.engine = engine })
	}
	f.Fuzz(func(t *testing.T, clientSplits, serverSplits uint64, request, answer byte) {
		want := conversation(t, rigs[loop.EngineGo], s, clientSplits, serverSplits, request, answer)
		for _, engine := range engines[1:] {
			if got := conversation(t, rigs[engine], s, clientSplits, serverSplits, request, answer); got != want {
				t.Errorf("goroutines: %q\n%s: %q", want, engine, got)
			}
		}
	})
}

// conversation sends a request and an answer, each in the parts that its splits say, and returns what the server and the client got.
func conversation(t *testing.T, r *rig, s *script, clientSplits, serverSplits uint64, request, answer byte) string {
	r.t, s.t = t, t
	r.cold() // a connection of its own
	body := streamed(strings.Repeat("x", int(request)*50))
	requests := []string{
		post(chatPath, body, "X-Session-Id: s-1", "X-Request-Id: r-1"),
		fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nX-Request-Id: r-1\r\nX-Session-Id: s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", chatPath, len(body), body),
		fmt.Sprintf("POST %s HTTP/1.0\r\nX-Request-Id: r-1\r\nX-Session-Id: s\r\nContent-Length: %d\r\n\r\n%s", chatPath, len(body), body),
	}
	answers := []string{
		ok("one"),
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9;a=b\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\nX-Trailer: a\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok("two"),
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: until the end\n\n",
		"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops",
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n", // cut
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense",
		"HTTP/1.1 200\r\n", // cut
	}
	c := r.dial()
	got := make(chan string, 1)
	go func() {
		text, _ := c.rest()
		got <- text
	}()
	inParts(c, requests[int(request)%len(requests)], clientSplits)
	up := s.next()
	up.t = t
	req, sent := up.request()
	inParts(up, answers[int(answer)%len(answers)], serverSplits)
	if int(answer)%len(answers) > 2 {
		up.CloseWrite()
	}
	// A connection that is kept ends with the next, senseless request. Its refusal ends what the client sees.
	select {
	case text := <-got:
		return fmt.Sprintln(req.Method, req.Header, string(sent), dates.ReplaceAllString(text, ""))
	case <-time.After(100 * time.Millisecond):
	}
	c.send("!\r\n\r\n")
	return fmt.Sprintln(req.Method, req.Header, string(sent), dates.ReplaceAllString(<-got, ""))
}

var dates = regexp.MustCompile(`\r\nDate: [^\r]*`)

// inParts sends text, with a pause after each byte whose bit in splits is set; the bits repeat.
func inParts(c *rawConn, text string, splits uint64) {
	from := 0
	for i := range len(text) {
		if splits>>(i*7%64)&1 == 1 && i%11 == 0 {
			c.send(text[from:i])
			from = i
			time.Sleep(200 * time.Microsecond)
		}
	}
	c.send(text[from:])
}
