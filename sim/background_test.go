package sim

import (
	"strings"
	"testing"
	"time"
)

func TestBackgroundResponse(t *testing.T) {
	s := start(t, Config{})
	id := parseResponse(t, postTo(t, s, "/v1/responses", `{"input":"x","background":true}`)).ID
	await(t, s, func(l Load) bool { return l.Requests == 0 })
	if got := parseResponse(t, get200(t, s, "/v1/responses/"+id)); got.Status != "completed" || len(got.Output) != 1 {
		t.Errorf("%+v", got)
	}
	if r, err := exchange(t, s, "GET /v1/responses/"+id+"?stream=true HTTP/1.1\r\nHost: sim\r\n\r\n"); err != nil || bodyOf(r) != "" ||
		!strings.HasPrefix(r, "HTTP/1.1 200 ") {
		t.Errorf("events of a response without: %q, %v", r, err)
	}
}

func TestCancelBackgroundResponse(t *testing.T) {
	s := start(t, Config{DecodePerToken: time.Hour})
	id := parseResponse(t, postTo(t, s, "/v1/responses", `{"input":"x","background":true}`)).ID
	await(t, s, func(l Load) bool { return l.Running == 1 }) // the client has left, and the response goes on
	for _, want := range []string{"queued", "cancelled", "cancelled"} {
		if got := parseResponse(t, get200(t, s, "/v1/responses/"+id)); got.Status != want {
			t.Errorf("status %s, want %s", got.Status, want)
		}
		if want == "queued" {
			if got := parseResponse(t, postTo(t, s, "/v1/responses/"+id+"/cancel", "")); got.Status != "cancelled" {
				t.Errorf("cancel: %+v", got)
			}
		}
	}
	await(t, s, idle)
}

func TestFollowBackgroundResponse(t *testing.T) {
	s := start(t, Config{})
	whole := postTo(t, s, "/v1/responses", `{"input":"x","background":true,"stream":true,"max_output_tokens":5}`).body
	_, rest, _ := strings.Cut(whole, `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	if n := strings.Count(whole, "event: "); n != 13 {
		t.Errorf("%d events", n)
	}
	if again := get200(t, s, "/v1/responses/"+id+"?stream=true").body; again != whole {
		t.Errorf("the second reading differs:\n%s\n%s", again, whole)
	}
	rest = get200(t, s, "/v1/responses/"+id+"?stream=true&starting_after=10").body
	if !strings.HasSuffix(whole, rest) || strings.Count(rest, "event: ") != 2 {
		t.Errorf("after event 10: %s", rest)
	}
}

func TestFollowersMayLeave(t *testing.T) {
	s := start(t, Config{DecodePerToken: time.Hour})
	c := dial(t, s)
	put(t, c, wire("/v1/responses", `{"input":"x","background":true,"stream":true}`))
	await(t, s, func(l Load) bool { return l.Running == 1 && l.Requests == 2 })
	c.Close()
	await(t, s, func(l Load) bool { return l.Running == 1 && l.Requests == 1 && l.Conns == 0 })
	s.Kill() // ends the response too
	await(t, s, idle)
}
