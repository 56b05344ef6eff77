package vectors

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tether/e2e/binary"
)

// stage is a server that plays an answer to requests with X-Play.
type stage struct {
	*server
	proxy string // address of the proxy under test
	// others reports whether the proxy is not tether. Another proxy may open a connection where it could use one again, and may find
	// a fault in a body before it has sent the head.
	others bool

	mu   sync.Mutex
	play *play // guarded by mu
	last int   // guarded by mu: number of the connection of the last request
}

// play is an answer that is sent in pieces of size bytes.
type play struct {
	answer
	size int
	had  chan struct{} // closed when the client has the answer
	done chan struct{} // closed when all of the answer was played
}

func newStage(t *testing.T) *stage {
	st := &stage{server: newServer(t)}
	st.answer = st.perform
	return st
}

// perform answers a request on its connection, and reports whether the connection stays open.
func (st *stage) perform(c *peer, q *request) bool {
	st.mu.Lock()
	st.last = c.number
	p := st.play
	st.mu.Unlock()
	if len(q.values("X-Play")) == 0 {
		return plain(c, "the next")
	}
	p.send(c)
	switch p.then {
	case closes:
		return false
	case resets:
		_ = c.SetLinger(0)
		return false
	case sendsMore:
		<-p.had
		_, _ = io.WriteString(c, smuggled)
		arrived(c.TCPConn)
		close(p.done)
	}
	return true
}

func (p *play) send(c *peer) {
	last := max(0, len(p.raw)-1)
	if p.then == resets { // a reset loses bytes that are on their way
		last = 0
	}
	send(c.TCPConn, p.raw[:last], p.size)
	send(c.TCPConn, p.raw[last:]+p.extra, len(p.raw+p.extra))
}

// asker is a client that reads answers as most clients do.
type asker struct {
	*net.TCPConn
	r *bufio.Reader
}

func newAsker(t *testing.T, addr string) *asker {
	t.Helper()
	c := dial(t, addr)
	return &asker{c, bufio.NewReader(c)}
}

// reply is what a client received.
type reply struct {
	status int
	body   string
	err    error // of the body
	closed bool  // the connection must not be used again
	length bool  // it has a length or a coding
}

// ask sends a request and returns its answer. It skips interim answers.
func (c *asker) ask(method, version, fields string) (g reply, err error) {
	fmt.Fprintf(c, "%s /vectors HTTP/%s\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 2\r\n%s\r\n{}", method, version, fields)
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	for err == nil && res.StatusCode < 200 && res.StatusCode != 101 {
		res, err = http.ReadResponse(c.r, &http.Request{Method: method})
	}
	if err != nil {
		return g, err
	}
	body, err := io.ReadAll(res.Body)
	_, length := res.Header["Content-Length"]
	return reply{res.StatusCode, string(body), err, res.Close, length || len(res.TransferEncoding) > 0}, nil
}

// Every answer is played whole, byte by byte, and in larger pieces. The client sends another request after each.
func TestAnswerVectors(t *testing.T) {
	st := newStage(t)
	st.proxy = exposing(t, st)
	var rows table
	for _, class := range answers {
		t.Run(class.class, func(t *testing.T) {
			for _, a := range class.vectors {
				t.Run(a.name, func(t *testing.T) {
					for _, size := range sizes(a.raw) {
						if fault := st.try(t, a, size); fault != "" {
							t.Errorf("in pieces of %d: %s", size, fault)
						}
					}
					rows.add(class.class, a.name, a.want.String(), verdict(t))
				})
			}
		})
	}
	rows.print(t, "class", "answer", "expected", "tether")
}

// An answer may end after any byte. The client receives a 502 if tether has sent nothing yet, and sees the cut otherwise.
func TestVectorsOfCutAnswers(t *testing.T) {
	st := newStage(t)
	st.proxy = exposing(t, st)
	for _, c := range []struct{ name, head, body string }{
		{"length", ok + "Content-Length: 5\r\n\r\n", "hello"},
		{"chunks", stream, "3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nX-A: b\r\n\r\n"},
		{"interim answer first", "HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 5\r\n\r\n", "hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := c.head + c.body
			for n := range text {
				a := answer{raw: text[:n], want: badGateway, then: closes}
				if n >= len(c.head) {
					a.want = cutOff(payload(c.body[:n-len(c.head)]))
				}
				if fault := st.try(t, a, n+1); fault != "" {
					t.Errorf("cut after %q: %s", text[:n], fault)
				}
			}
		})
	}
}

// payload returns the part of "hello" that clients receive of a body that was cut. The body may be in chunks.
func payload(body string) (data string) {
	for _, line := range strings.Split(body, "\r\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.HasPrefix("hello", data+line) {
			data += line
		}
	}
	return data
}

// exposing runs tether in front of a stage, with the endpoint of these tests exposed. It does not ask the stage for metrics: it would do that on
// the connections that these tests count.
func exposing(t *testing.T, st *stage) (addr string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(config, []byte(`{proxy: {expose: ["POST /vectors", "HEAD /vectors"]}, health: {metrics_path: ""}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := binary.Run(t, []string{"http://" + st.addr}, "-c", config)
	return strings.TrimPrefix(p.URL, "http://")
}

// try plays an answer in pieces of size bytes, sends another request, and says how the outcome differs from the expected one. It
// returns "" where it does not.
func (st *stage) try(t *testing.T, a answer, size int) (fault string) {
	t.Helper()
	p := &play{answer: a, size: size, had: make(chan struct{}), done: make(chan struct{})}
	st.mu.Lock()
	st.play = p
	st.mu.Unlock()

	c := newAsker(t, st.proxy)
	defer func() { c.Close() }()
	first, err := c.ask(cmp.Or(a.method, "POST"), cmp.Or(a.version, "1.1"), "X-Play: yes\r\n")
	close(p.had)
	if err != nil {
		return fmt.Sprintf("no answer: %v", err)
	}
	on := st.connection()
	if a.then == sendsMore {
		<-p.done
	}
	if st.others && a.want.cut && first.status == 502 {
		return ""
	}
	if fault := first.fault(a.want); fault != "" {
		return fault
	}
	if first.closed || first.err != nil {
		if rest, err := io.ReadAll(c.r); first.err == nil && (len(rest) > 0 || err != nil) {
			return fmt.Sprintf("%q, %v after the answer", rest, err)
		}
		c.Close()
		c = newAsker(t, st.proxy)
	}
	next, err := c.ask("POST", "1.1", "")
	switch {
	case err != nil:
		return fmt.Sprintf("the next request has no answer: %v", err)
	case next.status != 200 || next.body != "the next" || next.err != nil:
		return fmt.Sprintf("the next request got %d %q, %v", next.status, next.body, next.err)
	case a.want.kept != (st.connection() == on) && !(a.want.kept && st.others):
		return fmt.Sprintf("the connection was kept: %v, want %v", !a.want.kept, a.want.kept)
	}
	return ""
}

// connection returns the number of the connection of the last request.
func (st *stage) connection() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.last
}

// fault says how the reply differs from the expected one. It is empty where they are equal.
func (g *reply) fault(want relay) string {
	switch {
	case g.status != want.status:
		return fmt.Sprintf("answered with %d, want %d", g.status, want.status)
	case g.status == 502 && strings.Contains(g.body, "hello"):
		return "the client receives the refused answer"
	case strings.Contains(g.body, loopback):
		return "the answer contains an address"
	case g.status == 502:
		return ""
	case g.body != want.body:
		return fmt.Sprintf("the body is %q, want %q", g.body, want.body)
	case g.status == 204 && g.length:
		return "the 204 has a length"
	case want.cut && g.err == nil:
		return "the client cannot see the cut"
	case !want.cut && g.err != nil:
		return fmt.Sprintf("the body ended with %v", g.err)
	}
	return ""
}

// String describes the outcome of an answer in a few words.
func (r relay) String() string {
	text := fmt.Sprint(r.status)
	if r.cut {
		text += ", cut"
	}
	if r.kept {
		return text
	}
	return text + ", connection dropped"
}

// Each of many answers that come unasked, at any moment between two requests, is no answer to the next request.
func TestLateAnswers(t *testing.T) {
	st := newStage(t)
	st.proxy = exposing(t, st)
	for _, class := range answers {
		for _, a := range class.vectors {
			if a.then != sendsMore {
				continue
			}
			t.Run(a.name, func(t *testing.T) {
				for range 100 { // the pieces of the answer before it do not matter here
					if fault := st.try(t, a, len(a.raw)); fault != "" {
						t.Fatal(fault)
					}
				}
			})
		}
	}
}
