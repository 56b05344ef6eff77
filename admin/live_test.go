package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"tether/status"
	"tether/upstream"
)

// follow opens a stream of the status page. lines reads it.
func (o *operated) follow(header ...string) (res *http.Response, lines *bufio.Reader) {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), "GET", "http://"+o.addr+"/api/live", nil)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if res, err = client.Do(r); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { res.Body.Close() })
	return res, bufio.NewReader(res.Body)
}

// event reads an event of a stream into v, and returns its name.
func event(t *testing.T, lines *bufio.Reader, v any) string {
	t.Helper()
	var parts [3]string
	for i := range parts {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		parts[i] = strings.TrimSuffix(line, "\n")
	}
	name, isEvent := strings.CutPrefix(parts[0], "event: ")
	data, isData := strings.CutPrefix(parts[1], "data: ")
	if !isEvent || !isData || parts[2] != "" {
		t.Fatalf("%.300q", parts)
	}
	if err := json.Unmarshal([]byte(data), v); err != nil {
		t.Fatal(err)
	}
	return name
}

// A page gets the past, and then the present as it changes. The stream ends with the listener.
func TestLive(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0", "vllm-1")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.status.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	res, lines := o.follow()
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	var past status.History
	if name := event(t, lines, &past); name != "past" || len(past.Upstreams) != 2 {
		t.Errorf("%s %+v", name, past)
	}
	o.registry.Table().Members[1].SetHealth(upstream.Down, "probe could not connect")
	for {
		var now status.Snapshot
		if name := event(t, lines, &now); name != "now" || now.Pages != 1 {
			t.Fatalf("%s %+v", name, now)
		}
		if now.Upstreams[1].State == "down" && now.Upstreams[1].Reason == "probe could not connect" {
			break
		}
	}
	o.server.Leave()
	if _, err := io.Copy(io.Discard, lines); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
}

// The number of open pages is limited, and a page that is closed makes room.
func TestTooManyPages(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0")
	var first *http.Response
	for i := range status.MaxPages {
		res, lines := o.follow()
		var past status.History
		event(t, lines, &past)
		if i == 0 {
			first = res
		}
	}
	o.wantError(o.ask("GET", "/api/live"), 503)
	first.Body.Close()
	for o.status.Pages() == status.MaxPages {
		// the server notices that the client has left
	}
	if res, _ := o.follow(); res.StatusCode != 200 {
		t.Errorf("%d after a page was closed", res.StatusCode)
	}
}

// GET /api/status answers with the present and the past.
func TestStatus(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0")
	r := o.ask("GET", "/api/status")
	var s status.Status
	if err := json.Unmarshal([]byte(r.body), &s); err != nil || r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %v", r.StatusCode, r.Header, err)
	}
	if len(s.Now.Upstreams) != 1 || s.Now.Upstreams[0].Name != "vllm-0" || s.Past.Upstreams["vllm-0"].Requests == nil {
		t.Errorf("%+v", s)
	}
	if strings.Contains(r.body, "10.9.8.7") {
		t.Errorf("the answer has an address: %s", r.body)
	}
}

// A page of another site gets no stream and no status, whatever its browser sends. The files of the page are no secret.
func TestPagesOfOtherSites(t *testing.T) {
	for _, token := range []string{"", "secret"} {
		o := operate(t, loopbackOnly, token, "vllm-0")
		right := "Authorization: Bearer secret"
		for _, path := range []string{"/api/live", "/api/status", "/api/upstreams", "/api/sessions/x", "/debug/pprof/"} {
			for _, theirs := range [][]string{
				{"Sec-Fetch-Site: cross-site"},
				{"Sec-Fetch-Site: same-site"},
				{"Origin: https://evil.example"},
				{"Origin: null"},
				{"Origin: http://127.0.0.1:1"},
				{"Sec-Fetch-Site: cross-site", "Origin: http://" + o.addr},
			} {
				o.wantError(o.ask("GET", path, append(theirs, right)...), 403)
			}
		}
		for _, ours := range [][]string{{}, {"Sec-Fetch-Site: same-origin"}, {"Sec-Fetch-Site: none"}, {"Origin: http://" + o.addr}} {
			if r := o.ask("GET", "/api/status", append(ours, right)...); r.StatusCode != 200 {
				t.Errorf("%v: %d %s", ours, r.StatusCode, r.body)
			}
		}
		if r := o.ask("GET", "/"); r.StatusCode != 200 || !strings.Contains(r.body, "<title>tether</title>") {
			t.Errorf("%d %.100s", r.StatusCode, r.body)
		}
	}
	o := operate(t, loopbackOnly, "secret", "vllm-0")
	for _, path := range []string{"/api/live", "/api/status"} {
		o.wantError(o.ask("GET", path), 401)
		o.wantError(o.ask("GET", path, "Authorization: Bearer wrong"), 401)
	}
	for _, path := range []string{"/page/nothing.js", "/page/", "/page"} {
		o.wantError(o.ask("GET", path), 404)
	}
}
