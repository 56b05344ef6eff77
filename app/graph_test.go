package app

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tether/admin"
	"tether/config"
	"tether/session"
	"tether/sim"
	"tether/sim/fault"
)

// guided asks where each request goes, sends the request, and compares.
type guided struct {
	*running
	cfg     *config.Config
	servers map[string]string // upstream by the name of the simulator
	seen    map[string]int    // by outcome
	exact   int               // requests whose upstream was predicted
	offline int               // those predicted from the configuration alone
}

// sourced are the places of the session id in the requests of a conversation. The last one has no id.
var sourced = []string{"header", "cookie", "body", "key", "opening"}

// chatOf returns the bytes of a turn of conversation n.
func chatOf(n, turn int, extra string) []byte {
	fields, members := extra, ""
	switch sourced[n%len(sourced)] {
	case "header":
		fields += fmt.Sprintf("Session_Id: s-%d\r\n", n)
	case "cookie":
		fields += fmt.Sprintf("Cookie: a=b; sid=s-%d\r\n", n)
	case "body":
		members = fmt.Sprintf(`"session_id":"s-%d",`, n)
	case "key":
		members = fmt.Sprintf(`"prompt_cache_key":"s-%d",`, n)
	}
	body := fmt.Sprintf(`{"model":"tiny","max_tokens":1,%s"messages":[{"role":"user","content":"opening %d"},{"role":"user","content":"turn %d"}]}`, members, n, turn)
	return rawRequest("POST /v1/chat/completions", fields, body)
}

func rawRequest(call, fields, body string) []byte {
	if body != "" {
		fields += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	return []byte(call + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + fields + "\r\n" + body)
}

func (g *guided) where(path string, body []byte) admin.Where {
	g.t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Post("http://"+g.admin+path, "", bytes.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	var w admin.Where
	if err := json.NewDecoder(res.Body).Decode(&w); err != nil || res.StatusCode != 200 {
		g.t.Fatalf("%d, %v", res.StatusCode, err)
	}
	return w
}

// send sends the bytes and returns the answer's header fields.
func (g *guided) send(raw []byte) (http.Header, error) {
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := c.Write(raw); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	if res.StatusCode == http.StatusSwitchingProtocols { // the request is in flight until the connection ends
		_ = c.(*net.TCPConn).CloseWrite()
		_, err = io.Copy(io.Discard, c)
	}
	return res.Header, err
}

// check asks about the request and then sends it.
func (g *guided) check(raw []byte) {
	g.t.Helper()
	w := g.where("/api/where/request", raw)
	local, err := Guide(g.cfg, 4<<30)
	if err != nil {
		g.t.Fatal(err)
	}
	alone := local.Request(raw)
	head, err := g.send(raw)
	if err != nil {
		g.t.Fatal(err)
	}
	server, outcome := g.servers[head.Get("X-Sim-Server")], head.Get("X-Tether-Affinity")
	g.seen[outcome]++
	if len(w.Places) == 0 {
		if server != "" {
			g.t.Errorf("%.40q went to %s, though the guide said nowhere", raw, server)
		}
		return
	}
	p := w.Places[0]
	if p.Outcome != outcome {
		g.t.Errorf("%.40q was %s, predicted as %s: %+v", raw, outcome, p.Outcome, p)
	}
	verdict := "taken"
	if p.Upstream == "" {
		verdict = "candidate"
	} else {
		g.exact++
	}
	i := slices.IndexFunc(p.Walk, func(s admin.Step) bool { return s.Upstream == server })
	if i < 0 || p.Walk[i].Verdict != verdict || p.Upstream != "" && p.Upstream != server {
		g.t.Errorf("%.40q went to %s: %+v", raw, server, p)
	}
	// The configuration alone predicts homes, sources and hashes too.
	a := alone.Places[0]
	if a.Home != p.Home || a.Session != p.Session || a.Source != p.Source || fmt.Sprint(alone.Request) != fmt.Sprint(w.Request) {
		g.t.Errorf("%.40q: from the configuration %+v, from the API %+v", raw, a, p)
	}
	if p.Pin == "" && p.Upstream == p.Home && p.Upstream != "" {
		g.offline++
		if a.Upstream != server {
			g.t.Errorf("%.40q: the configuration predicts %s, %s got it", raw, a.Upstream, server)
		}
	}
	g.checkID(head.Get("X-Session-Id"), server, &p)
}

// checkID asks where the session is, by the id in the answer.
func (g *guided) checkID(id, server string, before *admin.Place) {
	g.t.Helper()
	if before.Session == "" || before.Outcome == "spilled" {
		return
	}
	question, _ := json.Marshal(map[string]string{"id": id})
	w := g.where("/api/where", question)
	if len(w.Places) != 1 || w.Places[0].Session != before.Session || w.Places[0].Pin != server || w.Places[0].Home != before.Home {
		g.t.Errorf("after %+v by its id: %+v", before, w.Places)
	}
}

// The guide predicts what the simulators then see: for every outcome and source from the API, and from the configuration
// alone where no pin decides.
func TestWhereAgrees(t *testing.T) {
	total := map[string]int{}
	for _, mode := range []session.Return{session.Stay, session.Home} {
		t.Run(string(mode), func(t *testing.T) {
			sims, urls := startSims(t, 4, sim.Config{})
			g := &guided{servers: map[string]string{}, seen: total}
			g.running = startTether(t, func(c *config.Config) {
				c.Session.Routing.Return, c.Session.Routing.OpeningMaxInFlight = mode, 1
				c.Session.Identity.Sources = slices.Insert(c.Session.Identity.Sources, 3, "cookie:sid")
				g.cfg = c
			}, urls...)
			for i, u := range urls {
				g.servers[fmt.Sprintf("vllm-%d", i)] = strings.TrimPrefix(u, "http://")
				g.await(i, "up")
			}
			g.conversations(sims)
			t.Logf("%v, %d predicted exactly, %d of them by the configuration too", total, g.exact, g.offline)
		})
	}
	sum := 0
	for _, outcome := range []string{"new", "pinned", "moved", "spilled", "none"} {
		sum += total[outcome]
		if total[outcome] < 4 {
			t.Errorf("%d requests were %s", total[outcome], outcome)
		}
	}
	if sum < 200 {
		t.Errorf("%d requests, want 200", sum)
	}
}

// socketOf returns the handshake of a WebSocket of conversation n.
func socketOf(n int) []byte {
	fields, query := "", "?model=tiny"
	switch sourced[n%len(sourced)] {
	case "header":
		fields = fmt.Sprintf("Session_Id: s-%d\r\n", n)
	case "cookie":
		fields = fmt.Sprintf("Cookie: a=b; sid=s-%d\r\n", n)
	case "body":
		query += fmt.Sprintf("&session_id=s-%d", n)
	case "key":
		query += fmt.Sprintf("&prompt_cache_key=s-%d", n)
	}
	return []byte("GET /v1/realtime" + query + " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + fields + "\r\n")
}

func (g *guided) conversations(sims []*sim.Server) {
	for n := range 25 {
		g.check(chatOf(n, 0, ""))
	}
	for n := range 20 {
		g.check(chatOf(n, 1, ""))
	}
	for n := range 10 { // the same conversations by WebSocket, and others
		g.check(socketOf(n))
		g.check(socketOf(100 + n))
	}
	g.check(rawRequest("GET /v1/realtime?session_id=s-1", "", ""))
	// Without affinity.
	for n := range 3 {
		g.check(chatOf(n, 2, "X-Tether-Affinity: off\r\n"))
		g.check(rawRequest("POST /tokenize", "", `{"model":"tiny","prompt":"hi"}`))
		g.check(rawRequest("GET /v1/responses/resp_unknown"+fmt.Sprint(n), "", ""))
	}
	g.check(rawRequest("GET /v1/models", "", ""))
	g.check(rawRequest("POST /v1/completions", "", `{"model":"tiny","prompt":"hi","max_tokens":1}`))
	g.crowd(sims)
	// An operator drains a server, and undrains it.
	g.operate("vllm-1", "drain?hard=true")
	for n := range 20 {
		g.check(chatOf(n, 3, ""))
	}
	g.operate("vllm-1", "undrain")
	for n := range 5 {
		g.check(chatOf(n, 4, ""))
	}
	// A server dies.
	sims[2].Kill()
	g.await(2, "down")
	for n := range 35 {
		g.check(chatOf(n, 5, ""))
	}
}

// crowd sends requests under an id that has its maximum of requests in flight.
func (g *guided) crowd(sims []*sim.Server) {
	key := slices.Index(sourced, "key")
	for _, s := range sims {
		if err := s.Inject(fault.Fault{Kind: fault.Hang, Times: 1}); err != nil {
			g.t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := g.send(chatOf(key, 6, ""))
		done <- err
	}()
	held := -1
	for deadline := time.Now().Add(patience); held < 0; time.Sleep(time.Millisecond) {
		held = slices.IndexFunc(sims, func(s *sim.Server) bool { return s.Load().Held == 1 })
		if time.Now().After(deadline) {
			g.t.Fatal("the request does not hang")
		}
	}
	for i, s := range sims {
		if i != held {
			s.ClearFaults()
		}
	}
	for turn := range 4 {
		g.check(chatOf(key, 7+turn, ""))
	}
	sims[held].ClearFaults()
	if err := <-done; err != nil {
		g.t.Error(err)
	}
}

func (g *guided) operate(server, command string) {
	g.t.Helper()
	res, err := http.Post("http://"+g.admin+"/api/upstreams/"+g.servers[server]+"/"+command, "", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		g.t.Fatal(res.Status)
	}
}
