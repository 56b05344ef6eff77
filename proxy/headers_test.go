package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"tether/http1"
	"tether/session"
	"tether/session/identity"
	"tether/sim"
)

// forwarded sends a request with raw header lines and gives the headers that the upstream got.
func forwarded(t *testing.T, lines []string, options ...option) http.Header {
	t.Helper()
	url, heads := echo(t)
	r := newRig(t, []string{url}, options...)
	c := r.dial()
	c.send("POST /v1/completions?a=%20b HTTP/1.1\r\nHost: api.example:8080\r\nContent-Length: 14\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n" + `{"prompt":"x"}`)
	if a := c.receive(); a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return heads()[0]
}

func TestRequestHeaders(t *testing.T) {
	h := forwarded(t, []string{
		"Authorization: Bearer secret", "User-Agent: test", "X-Custom: a", "X-Custom: b", "traceparent: 00-1-2-01", "Accept-Encoding: gzip",
		"Connection: keep-alive, X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Authorization: x", "Proxy-Connection: x", "TE: trailers",
		"Trailer: X-T", "Upgrade: h2c", "HTTP2-Settings: x",
		"X-Data-Parallel-Rank: 1", "x_data_parallel_rank: 1", "X-Vllm-Priority: -5", "X-Tether-Affinity: on",
		"X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "Forwarded: for=6.6.6.6", "Via: 1.1 evil",
		"X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil", "x_forwarded_user: root", "X-Forwarded-Client-Cert-Chain-And-More: x", "X-Real-IP: 6.6.6.6",
	})
	for name, want := range map[string]string{
		"Authorization": "Bearer secret", "User-Agent": "test", "X-Custom": "a,b", "Traceparent": "00-1-2-01", "Accept-Encoding": "gzip",
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "api.example:8080", "Via": "1.1 tether",
		"Echo-Target": "/v1/completions?a=%20b", "Echo-Length": "14",
		"X-Hop": "", "Keep-Alive": "", "Proxy-Authorization": "", "Proxy-Connection": "", "Te": "", "Trailer": "", "Upgrade": "", "Http2-Settings": "",
		"X-Data-Parallel-Rank": "", "X_data_parallel_rank": "", "X-Vllm-Priority": "", "X-Tether-Affinity": "", "Forwarded": "", "Connection": "",
		"X-Forwarded-Port": "", "X-Forwarded-Prefix": "", "X_forwarded_user": "", "X-Forwarded-Client-Cert-Chain-And-More": "", "X-Real-Ip": "",
		"X-Session-Id": "", // upstreams do not get a random id
	} {
		if got := strings.Join(h.Values(name), ","); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if h.Get("Echo-Host") == "api.example:8080" || len(h.Get("X-Request-Id")) != 36 {
		t.Errorf("host %q, request id %q", h.Get("Echo-Host"), h.Get("X-Request-Id"))
	}
}

// A long name ends no conversation if only its beginning is the name of a field that does.
func TestLongNames(t *testing.T) {
	cfg := identity.Default()
	identifier, err := identity.NewIdentifier(&cfg, new(identity.Models), nil)
	if err != nil {
		t.Fatal(err)
	}
	longest := strings.Repeat("a", maxFinalName)
	for name, final := range map[string]bool{longest: true, strings.ToUpper(longest): true, longest + "a": false, longest + "aa": false} {
		fields := "Host: a\r\n" + name + ": true\r\nX-Forwarded-" + name + ": b\r\nVia: b\r\nAccept: c\r\n"
		var search identity.Search
		var in inbound
		search.Begin(identifier)
		in.read([]byte(fields), linesOf(t, fields), &search, []string{longest}, false, false)
		if want := name + ": true\r\nAccept: c\r\n"; in.final != final || string(in.lines) != want {
			t.Errorf("%d bytes: final %v, want %v; forwarded %q, want %q", len(name), in.final, final, in.lines, want)
		}
	}
}

// A request id is kept if it can stand in a log line. Otherwise the request gets a new one, and the answer has it too.
func TestRequestIDs(t *testing.T) {
	url, heads := echo(t)
	r := newRig(t, []string{url})
	for id, kept := range map[string]bool{
		"r-1":                    true,
		"!~":                     true,
		strings.Repeat("x", 128): true,
		strings.Repeat("x", 129): false,
		"":                       false,
		"a b":                    false,
		"a\tb":                   false,
		"\xc3\xa9":               false,
	} {
		a := r.do("POST", "/v1/completions", `{"prompt":"x"}`, "X-Request-Id: "+id)
		seen := heads()
		sent, told := seen[len(seen)-1].Values("X-Request-Id"), a.Header.Values("X-Request-Id")
		if !slices.Equal(sent, told) || len(told) != 1 || (told[0] == id) != kept || !kept && len(told[0]) != 36 {
			t.Errorf("%q: the upstream got %q, the client %q", id, sent, told)
		}
	}
}

func TestTrustedProxiesAreBelieved(t *testing.T) {
	h := forwarded(t, []string{
		"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 7.7.7.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: outer", "Via: 1.1 outer", "X-Request-Id: r-1",
		"X-Forwarded-User: alice", "X-Real-IP: 6.6.6.6",
	}, func(r *rig) { r.cfg.TrustedProxies = []string{"127.0.0.0/8"} })
	for name, want := range map[string]string{
		"X-Forwarded-For": "6.6.6.6, 7.7.7.7, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "outer", "Via": "1.1 outer, 1.1 tether", "X-Request-Id": "r-1",
		"X-Forwarded-User": "alice", "X-Real-Ip": "6.6.6.6",
	} {
		if got := strings.Join(h.Values(name), "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestClientBehindTrustedProxies(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct{ peer, forwardedFor, want string }{
		{"1.2.3.4", "5.6.7.8", "1.2.3.4"},
		{"10.0.0.1", "", "10.0.0.1"},
		{"10.0.0.1", "5.6.7.8", "5.6.7.8"},
		{"10.0.0.1", "9.9.9.9, 5.6.7.8", "5.6.7.8"}, // what a client claims does not count
		{"10.0.0.1", "5.6.7.8, 10.0.0.2", "5.6.7.8"},
		{"10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
		{"10.0.0.1", "nonsense", "10.0.0.1"},
		{"10.0.0.1", "::ffff:5.6.7.8", "5.6.7.8"},
	} {
		h := inbound{forwardedFor: []byte(c.forwardedFor)}
		if got := h.client(netip.MustParseAddr(c.peer), trusted); got.String() != c.want {
			t.Errorf("%s, %q: %s, want %s", c.peer, c.forwardedFor, got, c.want)
		}
	}
}

// Which side gets the session id, for each place that it may be in.
func TestSessionIDs(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.identity.Sources = append([]string{"cookie:sid"}, r.identity.Sources...) })
	last := func() string { q := r.sims[0].Requests(); return q[len(q)-1].Session }
	plain := `{"model":"tiny","prompt":"x"}`
	for _, c := range []struct {
		name, path, body string
		headers          []string
		echoed           string // "uuid8", "uuid4", "", or the id
		upstreamToo      bool
	}{
		{"header", "/v1/completions", plain, []string{"X-Session-Id: a b", "x-session-affinity: abc"}, "abc", true},
		{"own header", "/v1/completions", plain, []string{"X-Session-Id: abc"}, "abc", true},
		{"cookie", "/v1/completions", plain, []string{"Cookie: sid=secret"}, "uuid8", true},
		{"body", "/v1/completions", `{"model":"tiny","prompt":"x","session_id":"s"}`, nil, "uuid8", true},
		{"opening", chatPath, chat("x"), nil, "uuid8", true},
		{"opening of messages", "/v1/messages", chat("x"), nil, "uuid8", true},
		{"opening to be counted", "/v1/messages/count_tokens", chat("x"), nil, "uuid8", true},
		{"opening of responses", "/v1/responses", `{"model":"tiny","input":"x"}`, nil, "uuid8", true},
		{"random", "/v1/completions", plain, nil, "uuid4", false},
		{"invalid own header", "/v1/completions", plain, []string{"X-Session-Id: a b"}, "uuid4", false},
		{"no affinity, no id", "/v1/embeddings", `{"model":"tiny","input":"x"}`, nil, "", false},
		{"no affinity, an id", "/v1/embeddings", `{"model":"tiny","input":"x"}`, []string{"X-Session-Id: abc"}, "abc", true},
		{"affinity off", chatPath, chat("x"), []string{"X-Tether-Affinity: off"}, "", false},
		{"no JSON", "/v1/completions", "nonsense", nil, "", false},
		{"retrieve", "/v1/responses/resp_1", "", nil, "", false},
	} {
		method := "POST"
		if c.body == "" {
			method = "GET"
		}
		a := r.do(method, c.path, c.body, c.headers...)
		got := a.Header.Get("X-Session-Id")
		want := c.echoed
		if v, ok := strings.CutPrefix(c.echoed, "uuid"); ok && len(got) == 36 && got[14:15] == v {
			want = got
		}
		if got != want {
			t.Errorf("%s: echoed %q, want %s", c.name, got, c.echoed)
		}
		if sent := last(); (sent == got && sent != "") != c.upstreamToo {
			t.Errorf("%s: the upstream got %q, the client %q", c.name, sent, got)
		}
	}
}

func TestAffinityHeader(t *testing.T) {
	r := fleet(t, 2, sim.Config{}, func(r *rig) { r.cfg.ExposeUpstream = true })
	a := r.chat("hello")
	r.want(a, 200, "new")
	b := r.chat("hello")
	r.want(b, 200, "pinned")
	if a.Header.Get("X-Tether-Upstream") != a.server() || a.server() != b.server() {
		t.Errorf("%v", a.Header)
	}
	r.want(r.chat("hello", "X-Tether-Affinity: off"), 200, "none")
	r.want(r.do("POST", "/v1/embeddings", `{"model":"tiny","input":"x"}`), 200, "none")
	if hidden := fleet(t, 1, sim.Config{}).chat("x"); hidden.Header.Get("X-Tether-Upstream") != "" {
		t.Error("the upstream is named though that is off")
	}
}

func answerHead(t *testing.T, head string, chunked bool) string {
	t.Helper()
	return answerHeadFrom(t, "", head, chunked)
}

// answerHeadFrom is the head for a client of an answer from an upstream whose URL has a prefix.
func answerHeadFrom(t *testing.T, prefix, head string, chunked bool) string {
	t.Helper()
	var h http1.Head
	if _, err := http1.ParseHead([]byte(head), 0, &h); err != nil {
		t.Fatal(err)
	}
	own := answerFields{sessionID: []byte("s"), requestID: []byte("r"), outcome: session.Pinned, prefix: prefix}
	return string(appendAnswerHead(nil, &h, own, chunked))
}
