package talk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tether/e2e/chaos/ledger"
	"tether/sim"
)

// server starts a simulated server.
func server(t *testing.T) *sim.Server {
	t.Helper()
	s := sim.New(sim.Config{Name: "vllm-0", Record: 100})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func connect(t *testing.T, s *sim.Server) *conn {
	t.Helper()
	c := &Crowd{Addr: s.Addr(), Book: ledger.NewBook(1)}
	k, err := c.dial(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

// In every style, as one answer and as a stream, a client knows the right answer for three turns, and takes no other one for right.
func TestAnswersAreKnown(t *testing.T) {
	s := server(t)
	for i, style := range styles {
		for _, stream := range []bool{false, true} {
			k := connect(t, s)
			q := question{style: style, session: fmt.Sprint("session-", i), stream: stream, tokens: 7, choices: 1, history: history{system: "Be short."}}
			for turn := range 3 {
				q.id = fmt.Sprintf("request-%d-%v-%d", i, stream, turn)
				q.history = q.history.with("user", fmt.Sprint("question ", i, turn))
				if _, err := k.Write(q.bytes()); err != nil {
					t.Fatal(err)
				}
				a, err := q.read(k.r)
				if err != nil || a.result != ledger.Whole || a.status != 200 {
					t.Fatalf("%+v: %+v, %v", style, a, err)
				}
				if wrong := q.wrong(a); wrong != "" {
					t.Fatalf("%+v, stream %v, turn %d: %s", style, stream, turn, wrong)
				}
				foreign := q
				foreign.history = q.history.with("user", "another one")
				if foreign.wrong(a) == "" {
					t.Errorf("%+v: the answer of another conversation counts as right", style)
				}
				q.history = q.history.with("assistant", a.text)
				if style.chained {
					q.previous = a.response
				}
			}
		}
	}
	for _, seen := range s.Requests() {
		if !strings.HasPrefix(seen.Header.Get("X-Request-Id"), "request-") {
			t.Errorf("a request has the id %q", seen.Header.Get("X-Request-Id"))
		}
	}
}

func TestWrongAnswers(t *testing.T) {
	q := question{style: style{api: chat, header: "X-Session-Id"}, session: "s", id: "r", tokens: 2, choices: 1, history: history{}.with("user", "x")}
	right := answer{result: ledger.Whole, ended: true, text: q.history.answer(chat, 2), id: "chatcmpl-r"}
	if wrong := q.wrong(right); wrong != "" {
		t.Fatal(wrong)
	}
	for name, change := range map[string]func(*answer){
		"is cut":             func(a *answer) { a.text = a.text[:4] },
		"has no end":         func(a *answer) { a.ended = false },
		"has an error event": func(a *answer) { a.message = "oops" },
		"is another's":       func(a *answer) { a.id = "chatcmpl-q" },
	} {
		a := right
		change(&a)
		if q.wrong(a) == "" {
			t.Errorf("an answer that %s counts as right", name)
		}
	}
	head := http.Header{"X-Session-Id": {"s"}, "X-Tether-Affinity": {"new"}}
	if wrong := q.wrongHead(answer{head: head}); wrong != "" {
		t.Error(wrong)
	}
	for _, bad := range []http.Header{{}, {"X-Session-Id": {"s"}}, {"X-Session-Id": {"other"}, "X-Tether-Affinity": {"new"}}, {"X-Session-Id": {"s", "s"}, "X-Tether-Affinity": {"new"}}} {
		if q.wrongHead(answer{head: bad}) == "" {
			t.Errorf("the head %v counts as right", bad)
		}
	}
}

// An answer whose connection ends early is cut, also where a chunk has ended.
func TestCutAnswers(t *testing.T) {
	q := question{style: style{api: chat}, choices: 1}
	for text, want := range map[string]ledger.Result{
		"": ledger.NoAnswer,
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}":                                                             ledger.Cut,
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n":      ledger.Cut,
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nda":            ledger.Cut,
		"HTTP/1.1 503 X\r\nContent-Length: 33\r\n\r\n" + `{"error":{"message":"not today"}}`:                         ledger.Failed,
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\n": ledger.Cut,
	} {
		a, err := q.read(bufio.NewReader(strings.NewReader(text)))
		if a.result != want || (err == nil) != (want == ledger.Failed) {
			t.Errorf("%q is %s, want %s", text, a.result, want)
		}
		if want == ledger.Failed && a.message != "not today" {
			t.Errorf("the message is %q", a.message)
		}
	}
}

func TestErrorMessages(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"message":"a"}}`: "a", `{"error":"b"}`: "b", `{"type":"error","error":{"type":"x","message":"c"}}`: "c", `plain`: "plain", `{"error":7}`: "7",
	} {
		if got := errorMessage([]byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// A client that leaves is noted as such, in each manner, and so is one that does not read.
func TestManners(t *testing.T) {
	s := sim.New(sim.Config{Name: "vllm-0", DecodePerToken: 20 * time.Millisecond})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	c := &Crowd{Addr: s.Addr(), Book: ledger.NewBook(1), Plain: true}
	q := question{style: style{api: chat}, id: "x", tokens: 300, choices: 1, stream: true, history: history{}.with("user", "x")}
	for _, manner := range []string{leave, resets, halfClose} {
		turn, _, k := c.ask(t.Context(), connect(t, s), q, manner, 50*time.Millisecond)
		if took := turn.End.Sub(turn.Start); turn.Result != ledger.Left || k != nil || took < 50*time.Millisecond || took > 5*time.Second {
			t.Errorf("%s: %+v", manner, turn)
		}
	}
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if turn, _, k := c.ask(brief, connect(t, s), q, deaf, 0); turn.Result != ledger.Left || k != nil {
		t.Errorf("deaf: %+v", turn)
	}
	if err := s.Await(t.Context(), func(l sim.Load) bool { return l.Requests == 0 }); err != nil {
		t.Fatal(err)
	}
}

// A client that did not read for long finds out whether its answer was cut.
func TestDeafClientIsCut(t *testing.T) {
	q := question{style: style{api: chat}, choices: 1}
	for text, wrong := range map[string]bool{
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}":                                     false,
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}":                                     true,
		"HTTP/1.1 503 X\r\nContent-Length: 33\r\n\r\n" + `{"error":{"message":"not today"}}`: false,
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c := &Crowd{Addr: l.Addr().String(), Book: ledger.NewBook(1)}
		k, err := c.dial(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(server, text); err != nil {
			t.Fatal(err)
		}
		server.Close()
		l.Close()
		if got := q.wasCut(k); got == wrong {
			t.Errorf("%q counts as cut: %v", text, got)
		}
		k.Close()
	}
}

// A refused connection is noted, and tried again until the port listens.
func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c := &Crowd{Addr: addr, Book: ledger.NewBook(1)}
	dialed := make(chan error)
	go c.dialInto(t.Context(), dialed)
	for c.Book.Refusals() == 0 {
		time.Sleep(time.Millisecond)
	}
	if l, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := <-dialed; err != nil {
		t.Error(err)
	}
}

func (c *Crowd) dialInto(ctx context.Context, done chan<- error) {
	k, err := c.dial(ctx, false)
	if err == nil {
		k.Close()
	}
	done <- err
}

// A client sees that the server has closed an idle connection, and that an open one is open.
func TestOver(t *testing.T) {
	s := server(t)
	k := connect(t, s)
	if k.over() {
		t.Error("an open connection counts as closed")
	}
	s.Stop()
	if _, err := k.r.ReadByte(); !errors.Is(err, io.EOF) && err == nil {
		t.Fatal("the connection is open")
	}
	if !k.over() {
		t.Error("a closed connection counts as open")
	}
}

// A crowd without faults gets right answers only, and never talks twice under one id.
func TestCrowd(t *testing.T) {
	s := server(t)
	c := &Crowd{Addr: s.Addr(), Seed: 3, Pause: 20 * time.Millisecond, Book: ledger.NewBook(3), Plain: true}
	ctx, stop := context.WithCancel(t.Context())
	c.Start(ctx, 30)
	for c.Book.Turns() < 300 {
		time.Sleep(time.Millisecond)
	}
	stop()
	c.Wait()
	ids := map[string]bool{}
	for _, turn := range c.Book.Close(nil).Turns {
		if turn.Result != ledger.Whole || turn.Wrong != "" || turn.Server != "vllm-0" {
			t.Errorf("%+v", turn)
		}
		if ids[turn.ID] {
			t.Errorf("two requests are %s", turn.ID)
		}
		ids[turn.ID] = true
	}
}

// Two questions that were sent at once get their own answers.
func TestPipelined(t *testing.T) {
	s := server(t)
	c := &Crowd{Addr: s.Addr(), Seed: 1, Book: ledger.NewBook(1), Plain: true}
	v := newConversation(c, 0)
	v.conn = connect(t, s)
	v.pipelined(v.question())
	turns := c.Book.Close(nil).Turns
	if len(turns) != 2 || turns[0].Result != ledger.Whole || turns[1].Result != ledger.Whole || turns[0].Wrong+turns[1].Wrong != "" || !turns[1].Behind || v.conn == nil {
		t.Errorf("%+v", turns)
	}
}
