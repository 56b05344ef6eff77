package proxy

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tether/auth"
	"tether/sim"
	simfault "tether/sim/fault"
	"tether/units"
	"tether/upstream/transport"
)

// keyed makes the rig require API keys: alice's, bob's, and a new one that replaces alice's.
func keyed(r *rig) { keyedWith("")(r) }

// keyedWith is keyed with limits of alice.
func keyedWith(limits string) option { return func(r *rig) { r.requireKeys(limits) } }

func (r *rig) requireKeys(limits string) {
	r.t.Helper()
	file := filepath.Join(r.t.TempDir(), "keys")
	hash := func(key string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(key))) }
	text := "alice " + hash(aliceKey) + " " + hash(aliceNewKey) + " " + limits + "\nbob " + hash(bobKey) + "\n"
	r.must(os.WriteFile(file, []byte(text), 0o600))
	var err error
	r.keys, err = auth.Open(file)
	r.must(err)
}

const (
	aliceKey    = "sk-of-alice"
	aliceNewKey = "sk-of-alice-from-now-on"
	bobKey      = "sk-of-bob"

	asAlice = "Authorization: Bearer " + aliceKey
	asBob   = "X-Api-Key: " + bobKey
)

func TestKeysAreRequired(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, keyed)
	for _, c := range []struct {
		sent   []string
		caller string
		reason string
	}{
		{[]string{asAlice}, "alice", ""},
		{[]string{"authorization: bEaReR  " + aliceKey + " "}, "alice", ""},
		{[]string{"x_api_key: " + aliceNewKey}, "alice", ""},
		{[]string{asBob}, "bob", ""},
		{[]string{asAlice, "X-Api-Key: " + aliceKey}, "alice", ""},
		{[]string{asAlice, asAlice}, "alice", ""},
		{[]string{asBob, "Authorization: Basic dGhlaXJz"}, "bob", ""},
		{[]string{asBob, "Authorization: Bearer "}, "bob", ""},
		{[]string{asAlice, "X-Api-Key: "}, "alice", ""},

		{nil, "", "no_key"},
		{[]string{"Authorization: Bearer"}, "", "no_key"},
		{[]string{"Authorization: " + aliceKey}, "", "no_key"},
		{[]string{"Authorization: Basic " + aliceKey}, "", "no_key"},
		{[]string{"Cookie: key=" + aliceKey, "Proxy-Authorization: Bearer " + aliceKey, "Api-Key: " + aliceKey}, "", "no_key"},
		{[]string{"Authorization: Bearer EMPTY"}, "", "wrong_key"},
		{[]string{"Authorization: Bearer " + strings.ToUpper(aliceKey)}, "", "wrong_key"},
		{[]string{"Authorization: Bearer " + aliceKey + "x"}, "", "wrong_key"},
		{[]string{"Authorization: Bearer alice"}, "", "wrong_key"},
		{[]string{"Authorization: Bearer " + fmt.Sprintf("%x", sha256.Sum256([]byte(aliceKey)))}, "", "wrong_key"},
		{[]string{asAlice, asBob}, "", "two_keys"},
		{[]string{asAlice, "X-Api-Key: " + aliceNewKey}, "", "two_keys"},
		{[]string{asAlice, "Authorization: Bearer other"}, "", "two_keys"},
		{[]string{"X-Api-Key: other", "X-Api-Key: " + bobKey}, "", "two_keys"},
	} {
		for _, path := range []string{chatPath, "/v1/messages"} {
			before := count(r.sims)
			a := r.do("POST", path, `{"model":"tiny","max_tokens":4,"messages":[{"role":"user","content":"hello"}]}`, c.sent...)
			rec := r.last()
			if rec.Caller != c.caller || rec.Reason != c.reason || rec.Route != path {
				t.Errorf("%s %q: %q called, %q; want %q, %q", rec.Route, c.sent, rec.Caller, rec.Reason, c.caller, c.reason)
			}
			if c.reason == "" {
				if a.StatusCode != 200 || count(r.sims) != before+1 {
					t.Errorf("%s %q: %d %s", path, c.sent, a.StatusCode, a.body)
				}
				continue
			}
			r.wantUnauthorized(a, path == "/v1/messages")
			if count(r.sims) != before {
				t.Errorf("%s %q: a server saw it", path, c.sent)
			}
		}
	}
}

// wantUnauthorized checks the answer to a request without a valid key.
func (r *rig) wantUnauthorized(a *answer, anthropic bool) {
	r.t.Helper()
	begin, end := `{"error":{"message":"`, `","type":"authentication_error","param":null,"code":401}}`
	if anthropic {
		begin, end = `{"type":"error","error":{"type":"authentication_error","message":"`, `"}}`
	}
	if a.StatusCode != 401 || !strings.HasPrefix(a.body, begin) || !strings.HasSuffix(a.body, end) ||
		a.Header.Get("WWW-Authenticate") != "Bearer" || a.Header.Get("Allow") != "" || a.outcome() != "none" {
		r.t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	for _, key := range []string{aliceKey, bobKey, "alice", "bob"} {
		if strings.Contains(fmt.Sprint(a.Header, a.body), key) {
			r.t.Errorf("the answer has %q in it: %v %s", key, a.Header, a.body)
		}
	}
}

// A caller without a key does not learn which paths, methods and models there are. With a key all answers are as without keys.
func TestStrangersLearnNothing(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, keyed, func(r *rig) { r.cfg.Expose = []string{"GET /version", "OPTIONS /custom"} })
	for line, want := range map[string]int{
		"GET /v1/models": 200, "GET /version": 200, "POST " + chatPath: 200,
		"OPTIONS " + chatPath: 405, "OPTIONS /version": 405,
		"GET /nothing": 404, "GET /v1//models": 404, "DELETE " + chatPath: 405, "OPTIONS /nothing": 404, "OPTIONS /custom": 404,
	} {
		method, path, _ := strings.Cut(line, " ")
		body := ""
		if method == "POST" {
			body = chat("x")
		}
		r.wantUnauthorized(r.do(method, path, body), false)
		if a := r.do(method, path, body, asAlice); a.StatusCode != want {
			t.Errorf("%s: %d, want %d", line, a.StatusCode, want)
		}
	}
}

// Browsers send preflights without credentials. A request with a body is no preflight.
func TestPreflightNeedsNoKey(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, keyed)
	before := count(r.sims)
	a := r.do("OPTIONS", chatPath, "", "Origin: http://a", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization")
	if a.StatusCode == 401 || count(r.sims) != before+1 || r.last().Caller != "" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	const origin, method = "Origin: http://a", "Access-Control-Request-Method: POST"
	r.wantUnauthorized(r.do("OPTIONS", chatPath, "{}", origin, method), false)
	for _, fields := range [][]string{nil, {origin}, {method}} {
		r.wantUnauthorized(r.do("OPTIONS", chatPath, "", fields...), false)
	}
}

// No server gets a client's credential, whatever key it gets instead.
func TestKeysReachNoServer(t *testing.T) {
	for _, m := range []transport.RequestOptions{{}, {Key: "our-key"}, {Key: "our-key", OverrideKey: true}} {
		url, heads := echo(t)
		r := newRig(t, []string{url}, keyed, withOptions(m))
		var want []string
		if m.Key != "" {
			want = []string{"Bearer our-key"}
		}
		for _, sent := range [][]string{
			{asAlice},
			{asBob},
			{"x_api_key: " + bobKey},
			{asAlice, "X-Api-Key: " + aliceKey},
			{asBob, "Authorization: Basic dGhlaXJz"},
			{asBob, "Authorization: Bearer "},
			{asAlice, "Connection: Authorization"},
		} {
			a := r.do("POST", "/v1/completions", "{}", append(sent, "X-Other: kept")...)
			seen := heads()
			h := seen[len(seen)-1]
			if a.StatusCode != 200 || !slices.Equal(h.Values("Authorization"), want) || h.Get("X-Other") != "kept" {
				t.Errorf("%+v, %q: %d, the server got %v", m, sent, a.StatusCode, h)
			}
			delete(h, "Authorization")
			if text := fmt.Sprint(h); strings.Contains(strings.ToLower(text), "api_key") || h.Get("X-Api-Key") != "" || strings.Contains(text, "sk-of") {
				t.Errorf("%+v, %q: the server got %v", m, sent, h)
			}
		}
	}
}

// Without a key the body is not waited for, not asked for and not held, and the connection ends, for the body may follow. If there is no
// body the connection goes on, and the next request may have a key.
func TestStrangersHoldNothing(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, keyed)
	for _, fields := range []string{
		"Content-Length: 60000000\r\n\r\n{",
		"Content-Length: 60000000\r\nExpect: 100-continue\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
	} {
		c := r.dial()
		c.send("POST " + chatPath + " HTTP/1.1\r\nHost: a\r\n" + fields)
		a := c.receive()
		r.wantUnauthorized(a, false)
		if !a.Close || r.proxy.BodyBytes() != 0 {
			t.Errorf("%q: close %v, %d bytes held", fields, a.Close, r.proxy.BodyBytes())
		}
		c.ended()
	}
	c := r.dial()
	c.send("GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n")
	a := c.receive()
	r.wantUnauthorized(a, false)
	c.send("GET /v1/models HTTP/1.1\r\nHost: a\r\n" + asAlice + "\r\n\r\n")
	if b := c.receive(); a.Close || b.StatusCode != 200 {
		t.Errorf("close %v, then %d", a.Close, b.StatusCode)
	}
}

// Requests without a key do not count as in flight, so they keep no other request out.
func TestStrangersAreNotInFlight(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, keyed, func(r *rig) { r.cfg.MaxInFlight = 1 })
	r.must(r.sims[0].Inject(simfault.Fault{Kind: simfault.Hang}))
	c := r.dial()
	c.send(post(chatPath, chat("x"), asAlice))
	r.awaitLoad(0, func(l sim.Load) bool { return l.Held == 1 })
	r.wantUnauthorized(r.chat("x"), false)
	r.want(r.chat("x", asBob), 503, "none")
	r.sims[0].ClearFaults()
	if a := c.receive(); a.StatusCode != 200 {
		t.Error(a.StatusCode)
	}
}

// The name of the key distinguishes callers, in derived ids and for stored responses: a new key under the same name
// changes nothing for its conversations.
func TestNameOfTheKeyIsTheScope(t *testing.T) {
	r := fleet(t, 4, sim.Config{}, keyed)
	id := func(headers ...string) string { return r.chat("hello", headers...).Header.Get("X-Session-Id") }
	alice := id(asAlice)
	if got := id("X-Api-Key: " + aliceNewKey); got != alice {
		t.Errorf("with a new key %s, before %s", got, alice)
	}
	if got := id(asBob); got == alice {
		t.Error("two callers share a derived id")
	}
	r.want(r.chat("hello", asAlice), 200, "pinned")
	strange := 0
	for range 16 {
		made, response := r.respond(false, "", asAlice)
		path := "/v1/responses/" + response
		if a := r.do("GET", path, "", "X-Api-Key: "+aliceNewKey); a.StatusCode != 200 || a.server() != made.server() {
			t.Errorf("%d from %s, made by %s", a.StatusCode, a.server(), made.server())
		}
		if r.do("GET", path, "", asBob).StatusCode == 200 {
			strange++
		}
	}
	if strange > 12 {
		t.Errorf("%d of 16 responses of another caller were found", strange)
	}
}

// A captured request gets the same verdict as one that is sent.
func TestReadRequiresAKey(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, keyed, func(r *rig) { r.cfg.MaxBody = units.KiB })
	head := "POST " + chatPath + " HTTP/1.1\nHost: h\n"
	for fields, want := range map[string]int{"": 401, "Authorization: Bearer x\n": 401, asAlice + "\n": 0} {
		if got := r.proxy.Read([]byte(head+fields+"\n"+chat("hello")), time.Now(), false); got.Status != want {
			t.Errorf("%q: %+v", fields, got)
		}
	}
	if got := r.proxy.Read([]byte(head+"\n"+strings.Repeat("x", 2<<10)), time.Now(), false); got.Status != 401 {
		t.Errorf("a body that is too large: %+v", got)
	}
	key := r.proxy.Read([]byte(head+asAlice+"\n\n"+chat("hello")), time.Now(), false).Request.Key
	r.chat("hello", asAlice)
	if rec := r.last(); rec.Key != key {
		t.Errorf("read as session %v, it was %v", key, rec.Key)
	}
}

// Without configured keys credentials pass unchanged.
func TestWithoutKeysCredentialsPass(t *testing.T) {
	url, heads := echo(t)
	r := newRig(t, []string{url})
	r.want(r.do("POST", "/v1/completions", "{}", "Authorization: Bearer a", "X-Api-Key: b"), 200, "new")
	if h := heads()[0]; h.Get("Authorization") != "Bearer a" || h.Get("X-Api-Key") != "b" {
		t.Errorf("the server got %v", h)
	}
	if rec := r.last(); rec.Caller != "" {
		t.Errorf("called by %q", rec.Caller)
	}
}

// A key has as many requests in flight as its owner may have, whichever of the owner's keys they carry. The rest gets a 429 in the form of
// its API, and other keys are served.
func TestKeyMaxInFlight(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, keyedWith("max_in_flight=2"))
	r.must(r.sims[0].Inject(simfault.Fault{Kind: simfault.Hang}))
	one, two := r.dial(), r.dial()
	one.send(post(chatPath, chat("x"), asAlice))
	two.send(post(chatPath, streamed("y"), "X-Api-Key: "+aliceNewKey))
	r.awaitLoad(0, func(l sim.Load) bool { return l.Held == 2 })
	for path, body := range map[string]string{
		chatPath:          `{"error":{"message":"This API key has as many requests in flight as it may have.","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}`,
		"/v1/messages":    `{"type":"error","error":{"type":"rate_limit_error","message":"This API key has as many requests in flight as it may have."}}`,
		"/cohere/v2/chat": `{"message":"This API key has as many requests in flight as it may have."}`,
	} {
		a := r.do("POST", path, chat("z"), asAlice)
		if a.StatusCode != 429 || a.Header.Get("Retry-After") != "1" || a.body != body || a.Header.Get("X-Session-Id") == "" {
			t.Errorf("%s: %d %v %s", path, a.StatusCode, a.Header, a.body)
		}
		if rec := r.last(); rec.Reason != "key_in_flight" || rec.Caller != "alice" || !rec.OverKeyLimit() {
			t.Errorf("%s: %s of %q", path, rec.Reason, rec.Caller)
		}
	}
	late := r.dial() // refused before its body arrives
	late.send("POST " + chatPath + " HTTP/1.1\r\nHost: a\r\n" + asAlice + "\r\nContent-Length: 10000000\r\n\r\n")
	if a := late.receive(); a.StatusCode != 429 || !a.Close {
		t.Errorf("before the body: %d, closes: %v", a.StatusCode, a.Close)
	}
	three := r.dial()
	three.send(post(chatPath, chat("x"), asBob))
	r.awaitLoad(0, func(l sim.Load) bool { return l.Held == 3 })
	r.sims[0].ClearFaults()
	for _, c := range []*rawConn{one, two, three} {
		if a := c.receive(); a.StatusCode != 200 {
			t.Errorf("within the limit: %d %s", a.StatusCode, a.body)
		}
	}
	r.await(0, "requests in flight", func() int { return int(r.proxy.InFlight()) })
	r.want(r.chat("z", asAlice), 200, "new")
}

// However many requests a key sends at once, no more than its limit reach the servers.
func TestKeyLimitIsNeverPassed(t *testing.T) {
	const limit, many = 4, 40
	r := fleet(t, 2, sim.Config{}, keyedWith(fmt.Sprint("max_in_flight=", limit)))
	for _, s := range r.sims {
		r.must(s.Inject(simfault.Fault{Kind: simfault.Hang}))
	}
	statuses := make(chan int, many)
	for n := range many {
		go func() {
			a, err := r.try("POST", chatPath, chat(fmt.Sprint(n)), asAlice)
			if err != nil {
				t.Error(err)
				a = &answer{Response: &http.Response{}}
			}
			statuses <- a.StatusCode
		}()
	}
	for range many - limit { // those are refused, while the others are held
		if s := <-statuses; s != 429 {
			t.Errorf("status %d, want 429", s)
		}
	}
	if held := r.sims[0].Load().Held + r.sims[1].Load().Held; held > limit {
		t.Errorf("%d requests at the servers, want at most %d", held, limit)
	}
	for _, s := range r.sims {
		s.ClearFaults()
	}
	for range limit {
		if s := <-statuses; s != 200 {
			t.Errorf("status %d, want 200", s)
		}
	}
}

// A key begins as many requests in a minute as it may, and Retry-After says when the next one may begin.
func TestKeyRate(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, keyedWith("requests_per_minute=4"))
	for n := range 4 {
		if a := r.chat(fmt.Sprint(n), asAlice); a.StatusCode != 200 {
			t.Fatalf("request %d: %d %s", n+1, a.StatusCode, a.body)
		}
	}
	r.recorded(4)
	for _, path := range []string{chatPath, "/v1/messages"} {
		a := r.do("POST", path, chat("z"), asAlice)
		if after, _ := strconv.Atoi(a.Header.Get("Retry-After")); a.StatusCode != 429 || after < 10 || after > 15 || !strings.Contains(a.body, `"type":"rate_limit_error"`) {
			t.Errorf("%s: %d, Retry-After %q, %s", path, a.StatusCode, a.Header.Get("Retry-After"), a.body)
		}
		if rec := r.last(); rec.Reason != "key_rate" {
			t.Errorf("reason %s", rec.Reason)
		}
	}
	if a := r.do("GET", "/health", "", asAlice); a.StatusCode != 200 {
		t.Errorf("a load balancer's question: %d", a.StatusCode)
	}
	r.want(r.chat("z", asBob), 200, "new")
	if n := count(r.sims); n != 5 {
		t.Errorf("%d requests reached the server, want 5", n)
	}
}
