package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tether/http1"
	"tether/session/identity"
	"tether/sim"
	simfault "tether/sim/fault"
	"tether/traceparent"
	"tether/upstream"
	"tether/upstream/transport"
)

// withOptions gives all upstreams these request options.
func withOptions(m transport.RequestOptions) option {
	return func(r *rig) { r.spec = func(s *upstream.Spec) { s.RequestOptions = m } }
}

// Trace headers reach the server byte for byte, whatever tether reads of them: spelling, white space,
// order, and a list in several fields.
func TestTraceContextIsUntouched(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	const trace = "TraceParent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n" +
		"tracestate:  rojo=00f067aa0ba902b7,congo=t61rcWkgMzE \r\n" +
		"Tracestate: a=1\r\n" +
		"baggage:userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false;meta\r\n" +
		"BAGGAGE: \"quoted, and odd\"\r\n"
	c := r.dial()
	c.send("GET /v1/responses/resp_1 HTTP/1.1\r\nHost: a\r\n" + trace + "\r\n")
	up := s.next()
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		line, err := up.r.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %q", err, head.String())
		}
		head.WriteString(line)
	}
	if !strings.Contains(head.String(), "\r\n"+trace) {
		t.Errorf("the server got\n%s\nwant in it\n%s", head.String(), trace)
	}
	up.send(ok("{}"))
	c.receive()
	if got := string(r.recorded(1).TraceID); got != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("the record has the trace %q", got)
	}
}

func TestHostHeader(t *testing.T) {
	url, heads := echo(t)
	for keep, want := range map[bool]string{false: strings.TrimPrefix(url, "http://"), true: "api.example:8443"} {
		r := newRig(t, []string{url}, withOptions(transport.RequestOptions{PreserveHost: keep}))
		c := r.dial()
		c.send("POST /v1/completions HTTP/1.1\r\nHost: api.example:8443\r\nContent-Length: 2\r\n\r\n{}")
		c.receive()
		seen := heads()
		if h := seen[len(seen)-1]; h.Get("Echo-Host") != want || h.Get("X-Forwarded-Host") != "api.example:8443" {
			t.Errorf("kept: %v: Host %q, X-Forwarded-Host %q; want %q", keep, h.Get("Echo-Host"), h.Get("X-Forwarded-Host"), want)
		}
	}
}

// If the target is a whole URL, its authority is the one Host that a server sees. An empty path is /.
func TestHostOfATarget(t *testing.T) {
	url, heads := echo(t)
	r := newRig(t, []string{url}, withOptions(transport.RequestOptions{PreserveHost: true}), func(r *rig) { r.cfg.Expose = []string{"GET /"} })
	for _, target := range []string{"http://API.example:80", "http://api.example:80/", "http://api.example:80?a=b"} {
		c := r.dial()
		c.send("GET " + target + " HTTP/1.1\r\nHost: api.example\r\n\r\n")
		if a := c.receive(); a.StatusCode != 200 {
			t.Errorf("%s: %d %s", target, a.StatusCode, a.body)
			continue
		}
		seen := heads()
		if h := seen[len(seen)-1]; h.Get("Echo-Host") != "api.example:80" || h.Get("X-Forwarded-Host") != "api.example:80" {
			t.Errorf("%s: Host %q, X-Forwarded-Host %q", target, h.Get("Echo-Host"), h.Get("X-Forwarded-Host"))
		}
	}
}

// A client of HTTP/1.0 may name no host (RFC 9112 3.2). The server then gets its own.
func TestNoHost(t *testing.T) {
	url, heads := echo(t)
	for _, preserve := range []bool{false, true} {
		r := newRig(t, []string{url}, withOptions(transport.RequestOptions{PreserveHost: preserve}))
		c := r.dial()
		c.send("POST /v1/completions HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
		if a := c.receive(); a.StatusCode != 200 {
			t.Fatalf("preserved: %v: status %d", preserve, a.StatusCode)
		}
		seen := heads()
		h := seen[len(seen)-1]
		if h.Get("Echo-Host") != strings.TrimPrefix(url, "http://") || h.Values("X-Forwarded-Host") != nil {
			t.Errorf("preserved: %v: Host %q, X-Forwarded-Host %q; want the server's own, and none", preserve, h.Get("Echo-Host"), h.Values("X-Forwarded-Host"))
		}
	}
}

// A client's credentials stand unless the upstream's key overrides them, and the key goes where there is no Authorization.
func TestAPIKeys(t *testing.T) {
	const ours = "Bearer our-key"
	for _, m := range []transport.RequestOptions{{}, {Key: "our-key"}, {Key: "our-key", OverrideKey: true}} {
		url, heads := echo(t)
		r := newRig(t, []string{url}, withOptions(m))
		for _, c := range []struct {
			name   string
			sent   []string
			bearer []string // what the server gets as Authorization, without a key of its own
			xKey   []string // and as X-Api-Key
		}{
			{"nothing", nil, nil, nil},
			{"Authorization", []string{"Authorization: Bearer theirs"}, []string{"Bearer theirs"}, nil},
			{"in lower case", []string{"authorization: Bearer theirs"}, []string{"Bearer theirs"}, nil},
			{"not Bearer", []string{"Authorization: Basic dGhlaXJz"}, []string{"Basic dGhlaXJz"}, nil},
			{"a placeholder", []string{"Authorization: Bearer EMPTY"}, []string{"Bearer EMPTY"}, nil},
			{"an empty one", []string{"Authorization: "}, []string{""}, nil},
			{"two", []string{"Authorization: Bearer a", "Authorization: Bearer b"}, []string{"Bearer a", "Bearer b"}, nil},
			{"X-Api-Key", []string{"X-Api-Key: theirs"}, nil, []string{"theirs"}},
			{"both", []string{"x-api-key: theirs", "Authorization: Bearer theirs"}, []string{"Bearer theirs"}, []string{"theirs"}},
			{"with an underscore", []string{"x_api_key: theirs"}, nil, nil},
			{"Proxy-Authorization", []string{"Proxy-Authorization: Basic eA=="}, nil, nil},
		} {
			a := r.do("POST", "/v1/completions", "{}", c.sent...)
			if a.StatusCode != 200 || strings.Contains(fmt.Sprint(a.Header, a.body), "our-key") {
				t.Errorf("%+v, %s: %d %v %s", m, c.name, a.StatusCode, a.Header, a.body)
			}
			bearer, xKey := c.bearer, c.xKey
			switch {
			case m.OverrideKey:
				bearer, xKey = []string{ours}, nil
			case m.Key != "" && strings.Join(bearer, "") == "":
				bearer = []string{ours}
			}
			seen := heads()
			h := seen[len(seen)-1]
			if fmt.Sprintf("%q", h.Values("Authorization")) != fmt.Sprintf("%q", bearer) || fmt.Sprintf("%q", h.Values("X-Api-Key")) != fmt.Sprintf("%q", xKey) {
				t.Errorf("override %v, %s: Authorization %q, X-Api-Key %q; want %q, %q", m.OverrideKey, c.name, h.Values("Authorization"), h.Values("X-Api-Key"), bearer, xKey)
			}
			if odd := h["X_api_key"]; (odd != nil) != (c.name == "with an underscore" && !m.OverrideKey) {
				t.Errorf("override %v, %s: x_api_key %q", m.OverrideKey, c.name, odd)
			}
		}
	}
}

// Each server gets its own key, and not the key of a server that was tried before.
func TestAPIKeysAreOfOneServer(t *testing.T) {
	r := fleet(t, 3, sim.Config{}, func(r *rig) {
		r.spec = func(s *upstream.Spec) {
			if s.Slot > 0 {
				s.Key = transport.APIKey(s.Name + "-key")
			}
		}
	})
	for first := range 3 {
		r.sims[first].ClearFaults()
		if err := r.sims[first].Inject(simfault.Fault{Kind: simfault.Status, Arg: "503"}); err != nil {
			t.Fatal(err)
		}
		for n := range 10 {
			id := fmt.Sprintf("s-%d-%d", first, n)
			r.pin(id, r.up(first))
			r.want(r.chat("x", "X-Session-Id: "+id), 200, "spilled")
		}
		r.sims[first].ClearFaults()
	}
	for i, s := range r.sims {
		want := http.Header{}
		if i > 0 {
			want.Set("Authorization", fmt.Sprintf("Bearer vllm-%d-key", i))
		}
		requests := s.Requests()
		if len(requests) < 10 {
			t.Errorf("vllm-%d had %d requests", i, len(requests))
		}
		for _, seen := range requests {
			if got := seen.Header.Get("Authorization"); got != want.Get("Authorization") {
				t.Fatalf("vllm-%d got %q", i, got)
			}
		}
	}
}

// Callers are distinguished by what they sent, not by the key that is sent for all of them.
func TestAPIKeysAreNoScope(t *testing.T) {
	r := fleet(t, 1, sim.Config{APIKey: "our-key"}, withOptions(transport.RequestOptions{Key: "our-key", OverrideKey: true}))
	alice, bob := r.chat("hello", "Authorization: Bearer alice"), r.chat("hello", "Authorization: Bearer bob")
	r.want(alice, 200, "new")
	r.want(bob, 200, "new")
	r.want(r.chat("hello", "Authorization: Bearer alice"), 200, "pinned")
	if a, b := alice.Header.Get("X-Session-Id"), bob.Header.Get("X-Session-Id"); a == b {
		t.Errorf("both callers have the derived id %s", a)
	}
}

// The head for a server with all request options is written without an allocation.
func TestHeadsAllocateNothing(t *testing.T) {
	registry := upstream.NewRegistry(nil)
	_, err := registry.Apply([]upstream.Spec{{Name: "a", Ranks: 12, RequestOptions: transport.RequestOptions{PreserveHost: true, Key: "our-key", OverrideKey: true}}})
	if err != nil {
		t.Fatal(err)
	}
	u := registry.Table().Members[11].Upstream
	q := request{head: head{method: []byte("POST"), target: []byte("/v1/completions")}, framing: new(http1.Guard), endpoint: endpoints["POST /v1/completions"]}
	q.in = &inbound{host: []byte("api.example"), lines: []byte("Authorization: Bearer theirs\r\nX-Api-Key: theirs\r\nAccept: */*\r\n")}
	o := outbound{request: &q, client: new(client), session: new(identity.Identity), span: new(traceparent.Span)}
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { dst = o.append(dst[:0], u) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	want := "POST /v1/completions HTTP/1.1\r\nHost: api.example\r\nAccept: */*\r\nAuthorization: Bearer our-key\r\nX-data-parallel-rank: 11\r\nX-Forwarded-For: "
	if !strings.HasPrefix(string(dst), want) {
		t.Errorf("%s", dst)
	}
}

// A request that is traced gets its server the span of the attempt, in place of the client's. Others pass the client's field on.
func TestTraceparent(t *testing.T) {
	const sampled, unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	for name, source := range map[string]*traceparent.Source{"off": nil, "by the clients": {}, "all": {Share: 1}} {
		r := fleet(t, 1, sim.Config{}, func(r *rig) { r.traces = source })
		for _, field := range []string{"", sampled, unsampled} {
			var headers []string
			if field != "" {
				headers = []string{"TraceParent: " + field}
			}
			r.chat("hello", headers...)
			rec := r.last()
			seen := r.sims[0].Requests()
			got := seen[len(seen)-1].Header["Traceparent"]
			traced := source != nil && (field == sampled || field == "" && source.Share == 1)
			want := []string{field}
			if traced {
				want = []string{string(rec.Trace.Append(nil, 0))}
			}
			if field == "" && !traced {
				want = nil
			}
			if rec.Trace.Sampled != traced || !slices.Equal(got, want) {
				t.Errorf("%s, %q: %v, want %v; %+v", name, field, got, want, rec.Trace)
			}
			if id := string(rec.TraceID); field != "" && id != field[3:35] || traced && id != want[0][3:35] {
				t.Errorf("%s, %q: trace %q in the record", name, field, id)
			}
			if len(rec.Tries) != 1 || rec.Tries[0].Began.Before(rec.Started) || rec.Tries[0].Ended.Before(rec.Tries[0].Began) || rec.Tries[0].Ended.After(rec.Started.Add(rec.Duration)) {
				t.Errorf("%+v, %v for %v", rec.Tries, rec.Started, rec.Duration)
			}
		}
	}
}

// Each attempt has a span of its own.
func TestTraceparentOfRetries(t *testing.T) {
	r := fleet(t, 2, sim.Config{}, func(r *rig) { r.traces = &traceparent.Source{Share: 1} })
	r.chat("hello", "X-Session-Id: s")
	here := r.last().Upstream
	r.must(r.simOf(here).Inject(simfault.Fault{Kind: "503"}))
	r.chat("hello", "X-Session-Id: s")
	rec := r.last()
	if len(rec.Tries) != 2 {
		t.Fatalf("%+v", rec.Tries)
	}
	for n, try := range rec.Tries {
		seen := r.simOf(try.Upstream).Requests()
		if got, want := seen[len(seen)-1].Header.Get("Traceparent"), string(rec.Trace.Append(nil, n)); got != want {
			t.Errorf("attempt %d: %s, want %s", n, got, want)
		}
	}
}
