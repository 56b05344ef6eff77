package proxy

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/session/identity"
	"tether/sim"
)

// A request that follows an unknown response goes by its session, and without one by the response.
func TestUnknownResponsesGoBySession(t *testing.T) {
	r := fleet(t, 4, sim.Config{})
	const follow = `{"model":"tiny","input":"x","previous_response_id":"resp_1"}`
	by := r.do("POST", "/v1/responses", follow).server()
	for n := range 10 {
		if a := r.do("POST", "/v1/responses", follow); a.server() != by {
			t.Errorf("by the response: %s, then %s", by, a.server())
		}
		id := fmt.Sprint("s-", n)
		home := r.chat("x", "X-Session-Id: "+id).server()
		if !r.pins.Delete(r.ids.Key([]byte("tiny"), []byte(id)), time.Now()) {
			t.Fatal("no pin")
		}
		if a := r.do("POST", "/v1/responses", follow, "X-Session-Id: "+id); a.server() != home {
			t.Errorf("by the session: %s, then %s", home, a.server())
		}
	}
}

// Twelve conversations whose client does not fill in their ids are twelve conversations. The server does not receive the
// placeholder either: it would take it for a session of its own.
func TestPlaceholdersAreNoSessions(t *testing.T) {
	r := fleet(t, 4, sim.Config{})
	for _, id := range []string{"undefined", "{{CHAT_ID}}", "default"} {
		sessions, servers := map[string]bool{}, map[string]bool{}
		for n := range 12 {
			for range 2 {
				a := r.chat(fmt.Sprint("question ", n), "X-Session-Id: "+id)
				sessions[a.Header.Get("X-Session-Id")], servers[a.server()] = true, true
			}
			r.do("POST", "/v1/completions", `{"model":"tiny","prompt":"x","max_tokens":1}`, "X-Session-Id: "+id)
			if !r.last().Unfilled.Has(identity.FromHeader) {
				t.Errorf("%s: the record does not say that the id is a placeholder", id)
			}
		}
		if len(sessions) != 12 || len(servers) < 3 {
			t.Errorf("%s: 12 conversations are %d sessions on %d servers", id, len(sessions), len(servers))
		}
		for _, s := range r.sims {
			for _, seen := range s.Requests() {
				if seen.Header.Get("X-Session-Id") == id {
					t.Fatalf("a server received the session id %s", id)
				}
			}
		}
	}
}

// A conversation about a picture stays on its server, if the client says the picture in another way from turn to turn.
func TestPicturesStay(t *testing.T) {
	r := fleet(t, 4, sim.Config{})
	for name, turns := range map[string][2]string{
		"uuid, then the uuid alone": {
			`{"type":"image_url","image_url":{"url":"data:image/png;base64,%d"},"uuid":"p-%[1]d"}`, `{"type":"image_url","image_url":null,"uuid":"p-%[1]d"}`,
		},
		"presigned URLs": {
			`{"type":"image_url","image_url":{"url":"https://b.example/%d.png?sig=1"}}`, `{"type":"image_url","image_url":{"url":"https://b.example/%d.png?sig=2"}}`,
		},
		"detail that appears": {
			`{"type":"image_url","image_url":{"url":"data:image/png;base64,%d"}}`, `{"type":"image_url","image_url":{"url":"data:image/png;base64,%d","detail":"auto"}}`,
		},
	} {
		const all = 20
		stayed, servers := 0, map[string]bool{}
		for n := range all {
			var by [2]string
			for turn, part := range turns {
				later := []string{"", `,{"role":"assistant","content":"A cat."},{"role":"user","content":"Which colour?"}`}[turn]
				by[turn] = r.do("POST", chatPath, fmt.Sprintf(`{"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},`+part+`]}%s]}`, n, later)).server()
			}
			if servers[by[0]] = true; by[0] == by[1] {
				stayed++
			}
		}
		t.Logf("%s: %d of %d conversations stay, on %d servers", name, stayed, all, len(servers))
		if stayed != all || len(servers) < 3 {
			t.Errorf("%s: %d of %d conversations stay, on %d servers", name, stayed, all, len(servers))
		}
	}
}

// Agents begin all of their conversations with the same messages and send no id, as Aider does. Their conversations stay on
// their servers all the same, and the servers share them.
func TestConversationsThatOpenAlike(t *testing.T) {
	for name, options := range map[string][]option{"known by their openings alone": {func(r *rig) { r.openings = nil }}, "told apart": nil} {
		r := fleet(t, 4, sim.Config{}, options...)
		const turns = 5
		var mu sync.Mutex
		stayed, load := 0, map[string]int{}
		converse := func(n int) {
			const constant = `{"role":"user","content":"Change get_factorial() to use math.factorial"},{"role":"assistant","content":"Here is the change."}`
			messages, before := constant, ""
			for turn := range turns {
				messages += fmt.Sprintf(`,{"role":"user","content":"question %d of conversation %d"}`, turn, n)
				by := r.do("POST", chatPath, `{"model":"tiny","max_tokens":1,"messages":[{"role":"system","content":"Act as an expert."},`+messages+`]}`).server()
				messages += `,{"role":"assistant","content":"Done."}`
				mu.Lock()
				if load[by]++; by == before {
					stayed++
				}
				mu.Unlock()
				before = by
			}
		}
		for n := range 10 {
			converse(n)
		}
		stayed, load = 0, map[string]int{}
		var agents sync.WaitGroup
		for n := range 24 {
			agents.Go(func() { converse(100 + n) })
		}
		agents.Wait()
		const later = 24 * (turns - 1)
		t.Logf("%s: %d of %d later turns stay; requests by server: %v", name, stayed, later, load)
		if r.openings == nil {
			continue
		}
		if stayed < later-2 {
			t.Errorf("%d of %d later turns stay, want %d", stayed, later, later-2)
		}
		for server, n := range load {
			if n > 24*turns/2 {
				t.Errorf("%s had %d of %d requests", server, n, 24*turns)
			}
		}
		if r.openings.Wide() != 1 || !r.last().Wide {
			t.Errorf("%d openings are wide, want 1", r.openings.Wide())
		}
	}
}

// Clients that write the history into the prompt of a completion stay on their servers, as text and as token ids.
func TestGrowingPromptsStay(t *testing.T) {
	text := func(prompt string) string { return fmt.Sprintf(`{"model":"tiny","max_tokens":1,"prompt":%q}`, prompt) }
	ids := func(prompt string) string {
		list := strings.ReplaceAll(fmt.Sprint([]byte(prompt)), " ", ", ")
		return `{"model":"tiny","max_tokens":1,"prompt":` + list + `}`
	}
	for _, c := range []struct {
		name, common string
		body         func(prompt string) string
		on           bool
	}{
		{"off, text", "", text, false},
		{"text", "", text, true},
		{"text behind shared examples", strings.Repeat("An example. ", 200), text, true},
		{"token ids", "", ids, true},
		{"token ids behind shared examples", strings.Repeat("An example. ", 200), ids, true},
	} {
		r := fleet(t, 4, sim.Config{}, func(r *rig) { r.identity.CompletionsOpening = c.on })
		const conversations, turns = 20, 5
		stayed, load := 0, map[string]int{}
		var prompts, before [conversations]string
		for turn := range turns {
			for n := range prompts {
				prompts[n] += fmt.Sprintf("User: question %d of conversation %d?\nAssistant:", turn, n)
				by := r.do("POST", "/v1/completions", c.body(c.common+prompts[n])).server()
				prompts[n] += fmt.Sprintf(" answer %d.\n", turn)
				if load[by]++; by == before[n] {
					stayed++
				}
				before[n] = by
			}
		}
		const later = conversations * (turns - 1)
		t.Logf("%s: %d of %d later turns stay; requests by server: %v", c.name, stayed, later, load)
		if c.on && stayed != later {
			t.Errorf("%s: %d of %d later turns stay", c.name, stayed, later)
		}
		for server, n := range load {
			if n > conversations*turns*6/10 {
				t.Errorf("%s: %s had %d of %d requests", c.name, server, n, conversations*turns)
			}
		}
	}
}

// Questions behind one set of examples, one after another as tools ask them that evaluate models, do not collapse on one
// server.
func TestFewShotPromptsAreSpread(t *testing.T) {
	for _, on := range []bool{false, true} {
		r := fleet(t, 4, sim.Config{}, func(r *rig) { r.identity.CompletionsOpening = on })
		load := map[string]int{}
		examples := strings.Repeat("Q: What is 1 + 1? A: 2\n", 50)
		for n := range 200 {
			load[r.do("POST", "/v1/completions", fmt.Sprintf(`{"model":"tiny","max_tokens":1,"prompt":%q}`, examples+fmt.Sprintf("Q: What is %d + %d? A:", n, n*n))).server()]++
		}
		t.Logf("completions_opening %v: requests by server: %v", on, load)
		for server, n := range load {
			if n > 80 {
				t.Errorf("%s had %d of 200 requests", server, n)
			}
		}
	}
}

// Malformed bodies are for the server to judge: they reach it byte for byte, with an id if they have one.
func TestBadBodiesAreForwarded(t *testing.T) {
	r := fleet(t, 2, sim.Config{})
	huge := strings.Repeat("x", 1<<20)
	deep := strings.Repeat("[", 100_000)
	for name, c := range map[string]struct{ body, source string }{
		"no JSON":             {"hello", "none"},
		"half an object":      {chat("hello")[:40], "none"},
		"no UTF-8":            {chat("hello")[:20] + "\xff" + chat("hello")[20:], "opening"},
		"lists 100,000 deep":  {`{"messages":` + deep + `,"session_id":"b"}`, "none"},
		"and to the end":      {`{"messages":` + deep + strings.Repeat("]", 100_000) + `,"session_id":"b"}`, "body:session_id"},
		"one name twice":      {`{"session_id":"a","messages":[{"role":"user","content":"hello"}],"session_id":"b"}`, "body:session_id"},
		"a huge string":       {chat(huge), "opening"},
		"an id of 1 MB":       {`{"session_id":"` + huge + `","messages":[{"role":"user","content":"hello"}]}`, "opening"},
		"only a name of 1 MB": {`{"` + huge + `":1}`, "random"},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.do("POST", chatPath, c.body)
			rec := r.last()
			if got := rec.IDSource(); got != c.source || (a.Header.Get("X-Session-Id") == "") != (c.source == "none") {
				t.Errorf("the id is %q, from %s, want %s", a.Header.Get("X-Session-Id"), got, c.source)
			}
			seen := r.simOf(rec.Upstream).Requests()
			if got := string(seen[len(seen)-1].Body); got != c.body {
				t.Errorf("the server got %d other bytes, %d were sent", len(got), len(c.body))
			}
			if rec.Status != a.StatusCode || a.StatusCode >= 500 {
				t.Errorf("status %d", a.StatusCode)
			}
		})
	}
}

// A second turn and a request that names a stored response follow an answer. Examples before the first question, as far as tether knows
// them, and requests without a conversation do not.
func TestFollowUps(t *testing.T) {
	p, _ := reader(t)
	const first, second = `{"role":"user","content":"Q"}`, `{"role":"user","content":"Q"},{"role":"assistant","content":"A"},{"role":"user","content":"B"}`
	for raw, want := range map[string]bool{
		post(chatPath, `{"messages":[`+first+`]}`):                                 false,
		post(chatPath, `{"messages":[`+second+`]}`):                                true,
		post("/v1/messages", `{"messages":[`+second+`]}`):                          true,
		post("/v1/responses", `{"input":[`+second+`]}`):                            true,
		post("/v1/responses", `{"input":"B","previous_response_id":"resp_1"}`):     true,
		post("/v1/responses", `{"input":"B"}`):                                     false,
		post("/v1/responses/resp_1/cancel", ""):                                    false,
		post("/v1/completions", `{"prompt":"Q, and A, and B"}`):                    false,
		post("/v1/embeddings", `{"input":"x","messages":[`+second+`]}`):            false,
		post(chatPath, `{"previous_response_id":"resp_1","messages":[`+first+`]}`): false,
	} {
		if r := p.Read([]byte(raw), time.Now(), false); r.Status != 0 || r.Request.FollowUp != want {
			t.Errorf("%q: status %d, a follow-up: %v, want %v", raw, r.Status, r.Request.FollowUp, want)
		}
	}
}
