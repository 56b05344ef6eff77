package app

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"tether/config"
	"tether/proxy"
	"tether/session/identity"
	"tether/sim"
	"tether/upstream"
	"tether/wire"
)

// canary is in everything of these requests that belongs to the client.
const canary = "canary7f3a"

// clientKey is the API key of a client.
const clientKey = "key-" + canary

// Logs, metrics and the admin API show nothing that clients send, no address of an upstream, and no key of an upstream or
// a client. That holds for requests that are served, for those that fail in any way, and where operators ask about them.
// Answers of tether's own show nothing of it either, except for the ids that they return.
func TestNothingOfClientsIsTold(t *testing.T) {
	for name, withKeys := range map[string]bool{"open": false, "with API keys": true} {
		t.Run(name, func(t *testing.T) { nothingIsTold(t, withKeys) })
	}
}

func nothingIsTold(t *testing.T, withKeys bool) {
	const key = "upstream-" + canary
	sims, urls := startSims(t, 2, sim.Config{Record: 1000, APIKey: key})
	s := startTether(t, func(c *config.Config) {
		c.Log.Level, c.Log.Access = "debug", "all"
		c.Session.Identity.Sources = append([]string{"cookie:chat"}, c.Session.Identity.Sources...)
		c.Proxy.MaxBody, c.Proxy.ExposeUpstream = 64<<10, true
		if withKeys {
			c.Auth.KeysFile = keysFile(t, "team", clientKey)
		}
		for i := range c.Upstreams {
			c.Upstreams[i].Name = fmt.Sprintf("gpu-%d", i)
			c.Upstreams[i].APIKey, c.Upstreams[i].APIKeyOverride = key, true
		}
	}, urls...)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	for _, source := range []string{"header", "cookie", "body"} {
		for _, want := range []string{"new", "pinned"} {
			if res := s.canaries(client, source, "tiny", ""); res.StatusCode != 200 || res.Header.Get("X-Tether-Affinity") != want {
				t.Errorf("id in the %s: %v, want %s", source, res, want)
			}
		}
	}
	if n := chats(sims); n != 6 {
		t.Errorf("%d requests reached the servers, want 6", n)
	}
	s.await(0, "up")
	s.await(1, "up")
	told := map[string]string{"/api/where": s.wheres(), "/api/sessions": s.sessions()}
	s.canaries(client, "header", "no-"+canary, "") // the server answers 404, and names the model
	for _, fault := range []string{
		"500", "503", "reset", "close", "bad-head", "huge-head", "cut-between", "cut-inside", "cut-rst", "early", "shutdown-text", "no-length", "1xx", "tail",
	} {
		s.canaries(client, "header", "tiny", fault)
	}
	s.refusals()
	s.sockets()
	s.leaves(client, sims)
	down := func(n int) {
		t.Helper()
		sims[n].Kill()
		s.logs.await(t, "death", func() bool { return strings.HasPrefix(s.upstreams()[n].State, "down") })
	}
	down(0)
	for _, source := range []string{"header", "cookie", "body"} {
		s.canaries(client, source, "tiny", "")
	}
	down(1)
	s.canaries(client, "header", "tiny", "") // no upstream is up
	told["/metrics"], told["/api/upstreams"] = s.text("/metrics"), s.text("/api/upstreams")
	s.stop(false)
	told["the log"] = s.logs.text()
	if withKeys && !strings.Contains(fmt.Sprint(s.logs.access.all(t)), "key:team") {
		t.Error("no line names the key of the team")
	}
	var access strings.Builder
	for _, line := range s.logs.access.all(t) {
		for _, theirs := range []string{"method", "path", "model", "request_id"} { // these are meant to be shown
			delete(line, theirs)
		}
		fmt.Fprintln(&access, line)
	}
	told["the access log"] = access.String()
	s.answersAreSilent(urls)
	for where, text := range told {
		silent(t, where, text, urls)
		if !strings.Contains(text, "gpu-1") {
			t.Errorf("%s does not name the upstreams: is the text whole?\n%s", where, text)
		}
	}
}

// A panic in a request is logged without the request.
func TestNothingOfClientsIsToldByAPanic(t *testing.T) {
	logs := newLogbook()
	cfg := identity.Default()
	identifier, err := identity.NewIdentifier(&cfg, &identity.Models{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	close(ready)
	p, err := proxy.New(proxy.Settings{Config: proxy.Default(), Identifier: identifier}, proxy.Deps{ // without a router
		Registry: upstream.NewRegistry(nil), Verdicts: ready, MemoryLimit: 4 << 30, Log: logs.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	watch, err := wire.NewWatch()
	if err != nil {
		t.Fatal(err)
	}
	l, err := wire.Listen("127.0.0.1:0", wire.ListenConfig{}, watch)
	if err != nil {
		t.Fatal(err)
	}
	parts := newSteps()
	parts.start("watch", watch.Run)
	parts.start("listener", serve(p, l, nil))
	s := &running{t: t, addr: l.Addr().String()}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	if res := s.canaries(client, "header", "tiny", ""); res.StatusCode != 500 {
		t.Errorf("%v, want a panic", res)
	}
	p.Shutdown(t.Context())
	if err := parts.stop(t.Context()); err != nil {
		t.Error(err)
	}
	if text := logs.text(); !strings.Contains(text, "panic in a request") {
		t.Errorf("no panic in the log: %s", text)
	}
	silent(t, "the log", logs.text(), nil)
	s.answersAreSilent(nil)
}

// answersAreSilent checks the answers of tether's own, which must not hold a stack either.
func (s *running) answersAreSilent(urls []string) {
	s.t.Helper()
	text := s.answers.String()
	silent(s.t, "an answer", text, urls)
	if strings.Contains(text, "goroutine ") || strings.Contains(text, ".go:") {
		s.t.Errorf("a stack in an answer:\n%s", text)
	}
	if !strings.Contains(text, `"error"`) {
		s.t.Error("tether gave no error of its own")
	}
}

func silent(t testing.TB, where, text string, urls []string) {
	t.Helper()
	secrets := []string{canary, hashOf(clientKey)}
	for _, u := range urls {
		_, address, _ := strings.Cut(u, "//")
		_, port, _ := strings.Cut(address, ":")
		secrets = append(secrets, address, ":"+port)
	}
	for _, secret := range secrets {
		if strings.Contains(strings.ToLower(text), secret) {
			t.Errorf("%s shows %s:\n%s", where, secret, text)
		}
	}
}

// text returns the whole log with fields and stacks.
func (b *logbook) text() string {
	var text strings.Builder
	for _, e := range b.All() {
		fmt.Fprintln(&text, e.LoggerName, e.Message, e.ContextMap(), e.Stack, e.Caller)
	}
	return text.String()
}

// canaries sends a request full of canaries, reads the answer, and returns its head.
func (s *running) canaries(client *http.Client, source, model, fault string) *http.Response {
	s.t.Helper()
	res, err := client.Do(s.canary(source, model, fault))
	if err != nil {
		s.t.Fatalf("%s: %v", fault, err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body) // the answer may be cut
	s.answered(res, body)
	return res
}

// answered keeps an answer of tether's own, without the ids that it returns.
func (s *running) answered(res *http.Response, body []byte) {
	if res.Header.Get("X-Sim-Server") != "" {
		return
	}
	head := res.Header.Clone()
	head.Del("X-Session-Id")
	head.Del("X-Request-Id")
	fmt.Fprintln(&s.answers, res.Status, head, string(body))
}

// canary makes a request full of canaries, with the session id in the header, the cookie or the body.
func (s *running) canary(source, model, fault string) *http.Request {
	s.t.Helper()
	id := ""
	if source == "body" {
		id = `"session_id":"body-` + canary + `",`
	}
	body := fmt.Sprintf(`{%s"model":%q,"max_tokens":4,"stream":%v,"user":%q,"messages":[{"role":"user","content":"prompt %s"}]}`, id, model, fault != "", canary, canary)
	req, err := http.NewRequest("POST", "http://"+s.addr+"/v1/chat/completions?query="+canary, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "Authorization": {"Bearer " + clientKey}, "X-Api-Key": {clientKey},
		"User-Agent": {canary}, "X-Request-Id": {"request-" + canary}, "X-Forwarded-For": {canary}, "Referer": {"http://" + canary},
	}
	switch source {
	case "header":
		req.Header.Set("X-Session-Id", "header-"+canary)
	case "cookie":
		req.Header.Set("Cookie", "other=1; chat=cookie-"+canary)
	}
	if fault != "" {
		req.Header.Set("X-Sim-Fault", fault)
	}
	return req
}

// refused returns requests that tether refuses by itself.
func refused() []string {
	const host = "Host: " + canary + "\r\nConnection: close\r\n"
	return []string{
		"GET /v1/" + canary + "?" + canary + " HTTP/1.1\r\n" + host + "\r\n",
		canary + " /v1/models HTTP/1.1\r\n" + host + "\r\n",
		"DELETE /v1/chat/completions HTTP/1.1\r\n" + host + "\r\n",
		"GET /v1/../" + canary + " HTTP/1.1\r\n" + host + "\r\n",
		"GET /v1/realtime?session_id=" + canary + "&model=" + canary + " HTTP/1.1\r\n" + host + "\r\n",
		"GET /v1/realtime?session_id=" + canary + " HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + canary + "\r\n\r\n",
		"GET /v1/models HTTP/1.1\r\n" + host + canary + "\r\n\r\n",
		"GET /v1/models HTTP/3." + canary + "\r\n" + host + "\r\n",
		"GET /v1/models HTTP/1.1\r\n" + host + "X-Long: " + canary + strings.Repeat("x", 20<<10) + "\r\n\r\n",
		"POST /v1/chat/completions HTTP/1.1\r\n" + host + "Expect: " + canary + "\r\nContent-Length: 9\r\n\r\n",
		"POST /v1/chat/completions HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + canary + "\r\n",
		"POST /v1/chat/completions HTTP/1.1\r\n" + host + "Content-Length: 99999999\r\n\r\n" + canary,
		"POST /v1/chat/completions HTTP/1.1\r\n" + host + "Authorization: Bearer another-" + canary + "\r\nContent-Length: 2\r\n\r\n{}",
		"POST /v1/chat/completions HTTP/1.1\r\n" + host + "Authorization: Bearer " + clientKey + "\r\nX-Api-Key: " + canary + "\r\nContent-Length: 2\r\n\r\n{}",
		"POST /v1/messages HTTP/1.1\r\n" + host + "X-Api-Key: " + clientKey + "\r\nContent-Length: 99999999\r\n\r\n{}",
		"POST /v1/chat/completions HTTP/1.1\r\n" + host + "X-Session-Id: a " + canary + "\r\nX-Session-Id: b\r\nContent-Length: 12\r\n\r\n{" + canary + "}",
	}
}

// refusals sends the requests that tether refuses.
func (s *running) refusals() {
	s.t.Helper()
	for _, request := range refused() {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			s.t.Fatal(err)
		}
		_, _ = io.WriteString(c, request) // the refusal may arrive before the end of the request
		answer, _ := io.ReadAll(c)        // a reset may follow
		c.Close()
		if res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil); err == nil {
			body, _ := io.ReadAll(res.Body)
			s.answered(res, body)
		}
		if !strings.HasPrefix(string(answer), "HTTP/1.1 4") && !strings.HasPrefix(string(answer), "HTTP/1.1 5") {
			s.t.Errorf("%.60q: %.60q, want a refusal", request, answer)
		}
	}
}

// wheres returns all answers of the admin API about where sessions and requests go, to questions full of canaries.
func (s *running) wheres() string {
	s.t.Helper()
	var told strings.Builder
	ask := func(want int, path, body string) { told.WriteString(s.operator(want, "POST", path, body)) }
	for _, source := range []string{"header", "cookie", "body"} {
		id := source + "-" + canary
		ask(200, "/api/where", `{"id":"`+id+`"}`)
		ask(200, "/api/where", `{"id":"unknown-`+id+`","model":"tiny"}`)
		ask(400, "/api/where", `{"id":"`+id+`","`+canary+`":1}`)
		ask(400, "/api/where", `{"id":"a `+canary+`"}`)
		ask(400, "/api/where", `{"id":`+canary)
	}
	for _, source := range []string{"header", "cookie", "body", "opening"} {
		var request strings.Builder
		if err := s.canary(source, "tiny", "").Write(&request); err != nil {
			s.t.Fatal(err)
		}
		ask(200, "/api/where/request", request.String())
	}
	for _, request := range refused() {
		ask(200, "/api/where/request", request)
	}
	return told.String()
}

// sessions returns all answers of the admin API about sessions, which it looks up, moves and deletes.
func (s *running) sessions() string {
	s.t.Helper()
	var told strings.Builder
	for _, source := range []string{"header", "cookie", "body"} {
		path := "/api/sessions/" + source + "-" + canary
		for _, c := range []struct {
			method, path string
			want         int
		}{
			{"GET", path, 200},
			{"GET", path + "?model=" + canary, 404},
			{"GET", path + "%20", 400},
			{"PUT", path, 405},
			{"POST", path + "/move?to=gpu-0", 200},
			{"POST", path + "/move?to=gpu-1", 200},
			{"POST", path + "/move?to=" + canary, 404},
			{"DELETE", path, 200},
			{"DELETE", path, 404},
			{"GET", path + "/" + canary, 404},
		} {
			told.WriteString(s.operator(c.want, c.method, c.path, ""))
		}
	}
	return told.String()
}

// operator asks the admin listener and returns head and body of the answer.
func (s *running) operator(want int, method, path, body string) string {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.admin+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		s.t.Errorf("%s %s %.60q: %d %s, %v, want %d", method, path, body, res.StatusCode, text, err, want)
	}
	return fmt.Sprintf("%v %s\n", res.Header, text)
}

// sockets opens WebSockets that end in several ways.
func (s *running) sockets() {
	s.t.Helper()
	for i, fields := range []string{"", "X-Session-Id: header-" + canary + "\r\n", "Cookie: chat=cookie-" + canary + "\r\n", "X-Sim-Fault: cut-rst\r\n", "X-Sim-Fault: 500\r\n"} {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(c, "GET /v1/realtime?session_id=query-%s&model=%[1]s&%[1]s=%[1]s HTTP/1.1\r\nHost: %[1]s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Authorization: Bearer key-%[1]s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: %[1]s\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n%[1]s", canary, fields)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		reset := strings.Contains(fields, "cut-rst") && err == nil && res.StatusCode == 502 // the reset may overtake the 101
		if want := []int{101, 101, 101, 101, 500}[i]; err != nil || res.StatusCode != want && !reset {
			s.t.Errorf("a WebSocket got %+v, %v, want %d", res, err, want)
		}
		c.Close()
	}
}

// leaves has a client leave while a server computes its answer.
func (s *running) leaves(client *http.Client, sims []*sim.Server) {
	s.t.Helper()
	n := 0
	if s.canaries(client, "header", "tiny", "").Header.Get("X-Sim-Server") == "vllm-1" {
		n = 1
	}
	held := func(n int) func(sim.Load) bool { return func(l sim.Load) bool { return l.Held == n } }
	ctx, leave := context.WithCancel(s.t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := client.Do(s.canary("header", "tiny", "hang").WithContext(ctx))
		left <- err
	}()
	if err := sims[n].Await(ctx, held(1)); err != nil {
		s.t.Fatal(err)
	}
	leave()
	if err := <-left; err == nil {
		s.t.Error("a request was answered without an answer of the server")
	}
	if err := sims[n].Await(s.t.Context(), held(0)); err != nil {
		s.t.Fatal(err)
	}
}

// chats counts the chats that the servers received.
func chats(sims []*sim.Server) (n int) {
	for _, one := range sims {
		for _, seen := range one.Requests() {
			if seen.Path == "/v1/chat/completions" {
				n++
			}
		}
	}
	return n
}
