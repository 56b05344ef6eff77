package sim

import (
	"strings"
	"testing"
)

// A sleeping server answers health checks, says that it sleeps, and holds requests until it wakes up.
func TestSleep(t *testing.T) {
	s, c := start(t, Config{SleepMode: true}), client(t)
	says := func(method, path, want string) {
		t.Helper()
		if r := ask(t, c, s.URL(), method, path, ""); r.status != 200 || r.body != want {
			t.Errorf("%s: %d %s, want %s", path, r.status, r.body, want)
		}
	}
	const chat = `{"messages":[{"role":"user","content":"a prompt that is longer than a block of the cache, so that it may be found there"}]}`
	postTo(t, s, "/v1/chat/completions", chat)
	says("GET", "/is_sleeping", `{"is_sleeping":false}`)
	says("POST", "/sleep", `{"status":"sleeping","level":1}`)
	says("GET", "/is_sleeping", `{"is_sleeping":true}`)
	get200(t, s, "/health")
	answered := make(chan reply, 1)
	go func() { answered <- postTo(t, s, "/v1/chat/completions", chat) }()
	await(t, s, func(l Load) bool { return l.Requests == 1 })
	says("GET", "/is_sleeping", `{"is_sleeping":true}`)
	if len(answered) > 0 {
		t.Error("answered asleep")
	}
	says("POST", "/wake_up", `{"status":"awake","tags":null}`)
	if r := <-answered; r.status != 200 || !strings.Contains(r.body, "choices") {
		t.Errorf("answered %d %s", r.status, r.body)
	}
	if hits := s.Stats().Hits; hits != 0 {
		t.Errorf("%d tokens of the cache outlived the sleep", hits)
	}
	if r := ask(t, c, start(t, Config{}).URL(), "GET", "/is_sleeping", ""); r.status != 404 {
		t.Errorf("without the mode: %d", r.status)
	}
}
