package sim

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// faultWire is a request with the header that asks for faults.
func faultWire(body, faults string) string {
	return wire(chatPath, body, "X-Sim-Fault: "+faults)
}

func bodyOf(answer string) string {
	_, body, _ := strings.Cut(answer, "\r\n\r\n")
	return body
}

func TestFaultsBeforeTheHead(t *testing.T) {
	s := start(t, Config{})
	for _, c := range []struct {
		fault string
		want  string // how the bytes begin; "" is none
		reset bool
	}{
		{"reset", "", true},
		{"close", "", false},
		{"bad-head", "HTTP/1.1 2x0 OK\r\n", false},
		{"slow=1ms,close", "", false},
	} {
		for _, body := range []string{chatBody, chatSSE} {
			got, err := exchange(t, s, faultWire(body, c.fault))
			if !strings.HasPrefix(got, c.want) || (c.want == "" && got != "") || isReset(err) != c.reset || (err != nil && !c.reset) {
				t.Errorf("%s: got %q, %v", c.fault, got, err)
			}
		}
	}
	await(t, s, idle)
}

func TestFaultsInAStream(t *testing.T) {
	s := start(t, Config{})
	whole := postTo(t, s, "/v1/completions", tokensSSE)
	if n := strings.Count(whole.body, "\n\n"); n != 4 { // three tokens and [DONE]
		t.Fatalf("%d events", n)
	}
	for _, c := range []struct {
		fault  string
		events int    // whole ones
		end    string // of the bytes
		reset  bool
	}{
		{"cut-between=0", 0, "\r\n\r\n", false},
		{"cut-between=2", 2, "\n\n\r\n", false},
		{"cut-between", 1, "\n\n\r\n", false},
		{"cut-between=4", 4, "data: [DONE]\n\n\r\n", false},
		{"cut-inside=0", 0, "", false},
		{"cut-inside=2", 2, "", false},
		{"cut-inside=3", 3, "e\r\ndata: [", false},
		{"cut-inside=4", 4, "data: [DONE]\n\n\r\n0\r\n", false},
		{"cut-rst=2", 2, "\n\n\r\n", true},
		{"cut-rst=0", 0, "\r\n\r\n", true},
	} {
		got, err := exchange(t, s, wire("/v1/completions", tokensSSE, "X-Sim-Fault: "+c.fault))
		body := bodyOf(got)
		if n := strings.Count(body, "\n\n\r\n"); n != c.events || strings.HasSuffix(body, "0\r\n\r\n") {
			t.Errorf("%s: %d whole events, want %d: %q", c.fault, n, c.events, body)
		}
		if !strings.HasSuffix(got, c.end) || isReset(err) != c.reset || (err != nil && !c.reset) {
			t.Errorf("%s: ends with %q, %v", c.fault, got[max(0, len(got)-30):], err)
		}
		if rest := body[strings.LastIndex("\n\n\r\n"+body, "\n\n\r\n"):]; strings.HasPrefix(c.fault, "cut-inside") && rest == "" {
			t.Errorf("%s: cut between chunks: %q", c.fault, body)
		}
	}
	await(t, s, idle)
}

func TestFaultsInABody(t *testing.T) {
	s := start(t, Config{})
	whole := postTo(t, s, "/v1/completions", tokensBody).body
	for _, c := range []struct {
		fault string
		size  int
		reset bool
	}{{"cut-between", 0, false}, {"cut-inside", len(whole) / 2, false}, {"cut-rst", len(whole) / 2, true}} {
		got, err := exchange(t, s, wire("/v1/completions", tokensBody, "X-Sim-Fault: "+c.fault))
		if !strings.Contains(got, "\r\nContent-Length: ") || !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
			t.Errorf("%s: head of %q", c.fault, got)
		}
		if n := len(bodyOf(got)); n != c.size || isReset(err) != c.reset || (err != nil && !c.reset) {
			t.Errorf("%s: %d of %d bytes, want %d, %v", c.fault, n, len(whole), c.size, err)
		}
	}
	await(t, s, idle)
}

// holdings are faults that keep a request, with what the client has got by then.
var holdings = []struct{ fault, body, begins string }{
	{"hang", chatBody, ""},
	{"hang", chatSSE, ""},
	{"stall=2", chatSSE, "HTTP/1.1 200 OK\r\n"},
	{"stall", chatBody, "HTTP/1.1 200 OK\r\n"},
}

func TestHeldRequestsEndWithTheirClient(t *testing.T) {
	for _, h := range holdings {
		for _, l := range leavings[:2] {
			s := start(t, Config{})
			c := dial(t, s)
			put(t, c, faultWire(h.body, h.fault))
			begins := make([]byte, len(h.begins))
			if _, err := io.ReadFull(c, begins); err != nil || string(begins) != h.begins {
				t.Fatalf("%s: %q, %v", h.fault, begins, err)
			}
			await(t, s, func(l Load) bool { return l.Held == 1 })
			l.leave(t, c.(*net.TCPConn))
			await(t, s, func(l Load) bool { return idle(l) && l.Conns == 0 })
		}
	}
}

func TestHeldRequestsGoOnWhenFaultsAreCleared(t *testing.T) {
	for _, h := range holdings {
		s := start(t, Config{})
		c := dial(t, s)
		put(t, c, faultWire(h.body, h.fault))
		await(t, s, func(l Load) bool { return l.Held == 1 })
		begins := make([]byte, len(h.begins))
		if _, err := io.ReadFull(c, begins); err != nil {
			t.Fatal(err)
		}
		s.ClearFaults()
		r, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(h.begins), c)), nil)
		if err != nil {
			t.Fatalf("%s: %v", h.fault, err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !strings.Contains(string(body), `"length"`) {
			t.Errorf("%s: %q, %v", h.fault, body, err)
		}
	}
}

func TestHeldRequestsEndWithTheServer(t *testing.T) {
	for _, h := range holdings {
		s := start(t, Config{})
		c := dial(t, s)
		put(t, c, faultWire(h.body, h.fault))
		await(t, s, func(l Load) bool { return l.Held == 1 })
		s.Stop() // at once: nothing may be waited for
		if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), h.begins) {
			t.Errorf("%s: %q, %v", h.fault, got, err)
		}
	}
}

func TestStatusFaults(t *testing.T) {
	s := start(t, Config{})
	for _, c := range []struct {
		fault, path string
		status      int
		body        string
	}{
		{"503", chatPath, 503, `{"error":"The model is currently scaling. Please try again later."}`},
		{"500", chatPath, 500, `{"error":{"message":"simulated status 500","type":"InternalServerError","param":null,"code":500}}`},
		{"status=429", chatPath, 429, `{"error":{"message":"simulated status 429","type":"SimulatedError","param":null,"code":429}}`},
		{"status=418", "/v1/messages", 418, `{"type":"error","error":{"type":"SimulatedError","message":"simulated status 418"}}`},
		{"status=401", chatPath, 401, `{"error":"Unauthorized"}`},
		{
			"shutdown-text", chatPath, 500,
			`{"error":{"message":"cannot schedule new futures after shutdown","type":"InternalServerError","param":null,"code":500}}`,
		},
		{"nonsense", chatPath, 400, `{"error":{"message":"sim: unknown fault \"nonsense\"","type":"BadRequestError","param":"X-Sim-Fault","code":400}}`},
	} {
		if r := postTo(t, s, c.path, chatBody, "X-Sim-Fault: "+c.fault); r.status != c.status || r.body != c.body {
			t.Errorf("%s: %d %s", c.fault, r.status, r.body)
		}
	}
	if r := postTo(t, s, chatPath, chatBody); r.status != 200 {
		t.Errorf("afterwards: %d", r.status)
	}
}

func TestEarlyAnswer(t *testing.T) {
	s := start(t, Config{Record: 1})
	c := dial(t, s)
	put(t, c, "POST "+chatPath+" HTTP/1.1\r\nHost: sim\r\nX-Sim-Fault: early=10s\r\nContent-Length: 1000000\r\n\r\nfirst bytes")
	got, err := io.ReadAll(c) // the FIN comes at once
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 413 ") || !strings.HasSuffix(string(got), `"code":413}}`) {
		t.Errorf("%q, %v", got, err)
	}
	if seen := s.Requests(); len(seen) != 1 || len(seen[0].Body) != 0 {
		t.Errorf("seen %+v", seen)
	}
	s.Stop()
}

func TestHugeHead(t *testing.T) {
	s := start(t, Config{})
	got, err := exchange(t, s, wire(chatPath, chatBody, "X-Sim-Fault: huge-head=100", "Connection: close"))
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	if err != nil || len(head) < 100<<10 || len(head) > 101<<10 || !strings.Contains(body, "chat.completion") {
		t.Errorf("head of %d bytes, body %q, %v", len(head), body, err)
	}
}

func TestNoLength(t *testing.T) {
	s := start(t, Config{})
	for _, body := range []string{chatBody, chatSSE} {
		got, err := exchange(t, s, faultWire(body, "no-length"))
		head, rest, _ := strings.Cut(got, "\r\n\r\n")
		if err != nil || strings.Contains(head, "Content-Length") || strings.Contains(head, "Transfer-Encoding") ||
			!strings.Contains(head, "\r\nConnection: close") || !strings.HasPrefix(strings.TrimPrefix(rest, "data: "), `{"id"`) {
			t.Errorf("%q, %v", got, err)
		}
	}
	got, err := exchange(t, s, faultWire(chatBody, "no-length,cut-rst"))
	if !isReset(err) || bodyOf(got) == "" {
		t.Errorf("with a reset: %q, %v", got, err)
	}
}

func TestInterimAnswers(t *testing.T) {
	s := start(t, Config{})
	for fault, n := range map[string]int{"1xx": 1, "1xx=3": 3} {
		got, err := exchange(t, s, wire(chatPath, chatBody, "X-Sim-Fault: "+fault, "Connection: close"))
		if err != nil || strings.Count(got, "HTTP/1.1 103 Early Hints\r\n") != n || strings.Count(got, "HTTP/1.1 200 OK\r\n") != 1 {
			t.Errorf("%s: %q, %v", fault, got, err)
		}
	}
}

func TestTail(t *testing.T) {
	s := start(t, Config{})
	for _, body := range []string{chatBody, chatSSE} {
		c := dial(t, s)
		put(t, c, faultWire(body, "tail"))
		r := bufio.NewReader(c)
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(err)
		}
		if line, err := r.ReadString('\n'); err != nil || line != "bytes that belong to no answer\r\n" {
			t.Errorf("%q, %v", line, err)
		}
		put(t, c, wire(chatPath, chatBody)) // the connection goes on
		if answer, err = http.ReadResponse(r, nil); err != nil || answer.StatusCode != 200 {
			t.Errorf("next answer: %v", err)
		}
	}
}

func TestSlow(t *testing.T) {
	s := start(t, Config{})
	begin := time.Now()
	if r := postTo(t, s, chatPath, chatBody, "X-Sim-Fault: slow=50ms"); r.status != 200 || time.Since(begin) < 50*time.Millisecond {
		t.Errorf("%d after %v", r.status, time.Since(begin))
	}
	c := dial(t, s)
	put(t, c, faultWire(chatBody, "slow=1h"))
	await(t, s, func(l Load) bool { return l.Requests == 1 })
	c.Close()
	await(t, s, idle)
}

func TestKillerPrompt(t *testing.T) {
	s := start(t, Config{DecodePerToken: time.Hour})
	other := dial(t, s)
	put(t, other, wire(chatPath, chatSSE))
	await(t, s, func(l Load) bool { return l.Running == 1 })
	if got, err := exchange(t, s, faultWire(chatBody, "kill")); !isReset(err) || got != "" {
		t.Errorf("killer: %q, %v", got, err)
	}
	if _, err := io.ReadAll(other); !isReset(err) {
		t.Errorf("other request: %v, want a reset", err)
	}
	await(t, s, func(l Load) bool { return idle(l) && l.Conns == 0 })
	if _, err := send(t, client(t), s.URL(), "GET", "/health", ""); err == nil {
		t.Error("the port answers after the kill")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	get200(t, s, "/health")
}
