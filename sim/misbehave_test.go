package sim

import (
	"io"
	"strings"
	"testing"
	"time"

	"tether/sim/fault"
)

func inject(t *testing.T, s *Server, f fault.Fault) {
	t.Helper()
	if err := s.Inject(f); err != nil {
		t.Fatal(err)
	}
}

func TestFaultsBeforeTheHead(t *testing.T) {
	s := start(t, Config{})
	for _, c := range []struct {
		fault string
		want  string // the start of the received bytes; "" means that no byte is received
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
		{
			"queue-full", chatPath, 503,
			`{"error":{"message":"The engine is currently busy and cannot accept new requests. Please try again later or on a different instance.","type":"Service Unavailable","param":null,"code":503}}`,
		},
		{
			"queue-full=tokens", "/v1/messages", 503,
			`{"type":"error","error":{"type":"Service Unavailable","message":"The engine has reached its prefill token backlog limit. Please try again later or on a different instance."}}`,
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
	got, err := io.ReadAll(c) // the server sends its FIN at once
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 413 ") || !strings.HasSuffix(string(got), `"code":413}}`) {
		t.Errorf("%q, %v", got, err)
	}
	if seen := s.Requests(); len(seen) != 1 || len(seen[0].Body) != 0 {
		t.Errorf("seen %+v", seen)
	}
	s.Stop()
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

func TestInjectedFaultsApplyToTheirRequests(t *testing.T) {
	s := start(t, Config{})
	inject(t, s, fault.Fault{Kind: "503", Times: 2})
	get200(t, s, "/health") // the fault does not apply to monitoring
	get200(t, s, "/v1/models")
	for i, want := range []int{503, 503, 200} {
		if r := postTo(t, s, chatPath, chatBody); r.status != want {
			t.Errorf("request %d: %d, want %d", i, r.status, want)
		}
	}
	inject(t, s, fault.Fault{Kind: "status", Arg: "418", Path: "/v1/messages"})
	inject(t, s, fault.Fault{Kind: "status", Arg: "419", Path: "/metr*"})
	for path, want := range map[string]int{chatPath: 200, "/v1/messages": 418, "/v1/messages/count_tokens": 200} {
		if r := postTo(t, s, path, chatBody); r.status != want {
			t.Errorf("%s: %d, want %d", path, r.status, want)
		}
	}
	if r := ask(t, client(t), s.URL(), "GET", "/metrics", ""); r.status != 419 {
		t.Errorf("/metrics: %d", r.status)
	}
	s.ClearFaults()
	if r := postTo(t, s, "/v1/messages", chatBody); r.status != 200 {
		t.Errorf("after ClearFaults: %d", r.status)
	}
}

func TestHealthFaults(t *testing.T) {
	s := start(t, Config{})
	inject(t, s, fault.Fault{Kind: fault.Unhealthy})
	if r := ask(t, client(t), s.URL(), "GET", "/health", ""); r.status != 503 {
		t.Errorf("/health: %d", r.status)
	}
	if r := postTo(t, s, chatPath, chatBody); r.status != 200 {
		t.Errorf("chat: %d", r.status)
	}
	s.ClearFaults()
	inject(t, s, fault.Fault{Kind: fault.HangHealth})
	c := dial(t, s)
	put(t, c, "GET /health HTTP/1.1\r\nHost: sim\r\n\r\n")
	await(t, s, func(l Load) bool { return l.Held == 1 })
	if r := postTo(t, s, chatPath, chatBody); r.status != 200 {
		t.Errorf("chat: %d", r.status)
	}
	c.Close()
	await(t, s, idle)
}
