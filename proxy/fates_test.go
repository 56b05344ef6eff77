package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tether/session"
	"tether/session/balance"
	"tether/session/fates"
	"tether/sim"
	"tether/upstream"
)

func TestReasonOf(t *testing.T) {
	for _, c := range []struct {
		rec  Record
		want fates.Reason
	}{
		{Record{Outcome: session.Spilled, Surplus: true}, fates.Spread},
		{Record{Outcome: session.Spilled, Hot: 17}, fates.Spread},
		{Record{Outcome: session.Moved, Away: balance.Gone}, fates.Reason(balance.Gone)},
		{Record{Outcome: session.New, Away: balance.Drained}, fates.Reason(balance.Drained)},
		{Record{Outcome: session.Moved}, fates.Response},
		{Record{Outcome: session.New}, fates.Unpinned},
		{Record{Outcome: session.Pinned}, fates.Returned},
	} {
		if got := reasonOf(&exchange{rec: c.rec}); got != c.want {
			t.Errorf("%+v: %s, want %s", c.rec, got, c.want)
		}
	}
}

// dialog is a body with n turns of the user, and answers between them.
func dialog(n int) string {
	var turns []string
	for i := range n {
		if i > 0 {
			turns = append(turns, `{"role":"assistant","content":"No play."}`)
		}
		turns = append(turns, fmt.Sprintf(`{"role":"user","content":"%d %s"}`, i, strings.Repeat("All work and no play makes Jack a dull boy. ", 20)))
	}
	return `{"model":"tiny","max_tokens":3,"messages":[` + strings.Join(turns, ",") + `]}`
}

// Each prompt of a conversation has its fates, whatever happens to its servers.
func TestFates(t *testing.T) {
	const id = "X-Session-Id: s"
	r := fleet(t, 2, sim.Config{PrefillPerToken: 10 * time.Microsecond})
	turn := func(n int, headers ...string) fates.Split {
		t.Helper()
		if a := r.do("POST", chatPath, dialog(n), headers...); a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		rec := r.last()
		if s := rec.Fates; s.Hit+s.New+s.Lost != int64(rec.PromptTokens) || s.Hit != int64(rec.CachedTokens) {
			t.Fatalf("%+v of %d tokens, %d cached", s, rec.PromptTokens, rec.CachedTokens)
		}
		return rec.Fates
	}
	if s := turn(1, id); s.Lost != 0 || s.Word() != "new" {
		t.Errorf("first turn: %+v", s)
	}
	if s := turn(2, id); s.Lost != 0 || s.Hit < 300 {
		t.Errorf("second turn: %+v", s)
	}
	here := r.last().Upstream
	r.simOf(here).Forget()
	if s := turn(3, id); s.Cause != fates.Evicted || s.Lost < 200 {
		t.Errorf("after an eviction: %+v", s)
	}
	r.simOf(here).Forget()
	here.SetHealth(upstream.Down, "test")
	here.SetHealth(upstream.Up, "test")
	if s := turn(4, id); s.Cause != fates.Restarted {
		t.Errorf("after a restart: %+v", s)
	}
	here.SetHealth(upstream.Down, "test")
	if s := turn(5, id); s.Cause != fates.Moved || s.Reason.String() != "down" {
		t.Errorf("after a death: %+v", s)
	}
	if s := turn(1, id); s.Word() == "moved" || s.Lost != 0 {
		t.Errorf("a title: %+v", s)
	}
	r.pin("older", r.up(1))
	here.SetHealth(upstream.Up, "test")
	for _, one := range r.sims {
		one.Forget()
	}
	if s := turn(6, "X-Session-Id: older"); s.Cause != fates.Unknown {
		t.Errorf("a conversation of another process: %+v", s)
	}
	if s := turn(6, "X-Tether-Affinity: off"); s.Lost != 0 {
		t.Errorf("a request without a conversation: %+v", s)
	}
	_, response := r.respond(false, "")
	if _, next := r.respond(false, response); next == "" || r.last().Fates.Cause != fates.Unknown {
		t.Errorf("a chain of responses: %+v", r.last().Fates)
	}
}

// An answer that does not say how many tokens were cached has unknown fates, and one that failed has none.
func TestFatesOfSilentServers(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	for _, c := range []struct {
		usage string
		want  fates.Split
	}{
		{`{"prompt_tokens":70,"completion_tokens":3}`, fates.Split{Lost: 70, Cause: fates.Unknown}},
		{`{"prompt_tokens":70,"prompt_tokens_details":{"cached_tokens":0}}`, fates.Split{New: 70}},
		{`{"prompt_tokens":70,"prompt_tokens_details":{"cached_tokens":71}}`, fates.Split{}},
		{`null`, fates.Split{}},
	} {
		go func() {
			conn := s.next()
			conn.request()
			conn.send(ok(`{"choices":[],"usage":` + c.usage + `}`))
			conn.Close()
		}()
		r.chat("hello")
		if rec := r.last(); rec.Fates != c.want || rec.Saved != 0 {
			t.Errorf("%s: %+v, want %+v", c.usage, rec.Fates, c.want)
		}
	}
}

// A client that leaves once it has the counts of a stream, before the end of the answer, has had its turn. One that leaves before has not.
func TestFatesOfClientsThatLeave(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	const event, usage, done = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n", "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":70,\"prompt_tokens_details\":{\"cached_tokens\":32}}}\n\n", "data: [DONE]\n\n"
	for stream, want := range map[string]fates.Split{event + usage + done: {Hit: 32, New: 38}, event + usage: {Hit: 32, New: 38}, event: {}} {
		c := r.dial()
		c.send(post(chatPath, streamed("hello")))
		conn := s.next()
		conn.request()
		conn.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(stream), stream))
		for got := ""; !strings.HasSuffix(got, stream+"\r\n"); {
			b, err := c.r.ReadByte()
			if err != nil {
				t.Fatal(err)
			}
			got += string(b)
		}
		c.Close()
		rec := r.recorded(1)
		r.mu.Lock()
		r.records = nil
		r.mu.Unlock()
		if early := !strings.HasSuffix(stream, done); rec.ClientLeft() != early || rec.Fates != want {
			t.Errorf("%d bytes: %s, %+v, want %+v", len(stream), rec.Reason, rec.Fates, want)
		}
	}
}
