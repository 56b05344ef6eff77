package identity

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"tether/session/openings"
)

var noon = time.Unix(1_800_000_000, 0)

// replica is a tether that learns.
type replica struct {
	t     testing.TB
	id    *Identifier
	known *openings.Table
	now   time.Time
}

func newReplica(t testing.TB) *replica {
	return &replica{t: t, id: mustIdentifier(t, nil), known: openings.NewTable(), now: noon}
}

func (r *replica) identify(req request) Identity {
	r.t.Helper()
	s := req.search(r.id)
	var i Identity
	s.Identify(&i, true, r.known, r.now)
	if i.Source.Kind != FromOpening {
		r.t.Fatalf("the source is %v", i.Source)
	}
	return i
}

// speech is a conversation whose client begins with constant messages.
type speech struct {
	api, key string
	constant []string // of the user; the assistant has an answer to each
	name     string   // makes the conversation different
}

// turn is a request of the conversation, at a turn from 0.
func (c speech) turn(n int) request {
	said := slices.Clone(c.constant)
	for turn := range n + 1 {
		said = append(said, fmt.Sprintf("question %d about %s", turn, c.name))
	}
	var list []string
	for k, text := range said {
		if k > 0 {
			list = append(list, fmt.Sprintf(`{"role":"assistant","content":"answer %d, different in each turn: %d"}`, k, n))
		}
		content := string(asJSON(text))
		if (k+n)%2 == 1 { // cache hints move, and a string becomes a list of parts
			content = `[{"type":"text","text":` + content + `,"cache_control":{"type":"ephemeral"}}]`
		}
		list = append(list, `{"role":"user","content":`+content+`}`)
	}
	messages := strings.Join(list, ",")
	r := request{headers: []string{"Authorization: Bearer " + c.key}, shape: Chat}
	switch c.api {
	case "chat":
		r.body = `{"model":"m","messages":[{"role":"system","content":"S"},` + messages + `]}`
	case "messages":
		r.body = `{"model":"m","messages":[` + messages + `],"system":[{"type":"text","text":"S"}]}`
	case "responses":
		r.body, r.shape = `{"model":"m","instructions":"S","input":[`+messages+`]}`, Responses
	}
	return r
}

// elders is how many conversations keep the id of an opening that becomes wide.
const elders = 7

// An opening that many conversations share does not make one conversation of them. The first ones keep the id of the
// opening. All others have an id of their own from their first turn on, however many constant messages come before.
func TestWideOpenings(t *testing.T) {
	for _, api := range []string{"chat", "messages", "responses"} {
		for constants := 1; constants < maxUserTurns; constants++ {
			r := newReplica(t)
			c := speech{api: api, key: "k", constant: []string{"one", "two", "three", "four", "five"}[:constants]}
			ids := map[string]int{}
			for turn := range 8 {
				for n := range 20 {
					c.name = fmt.Sprint("topic ", n)
					i := r.identify(c.turn(turn))
					ids[string(i.ID())] |= 1 << n
					if !i.Shared || i.Wide != (n >= elders) {
						t.Errorf("%s, %d constants: turn %d of conversation %d: wide %v", api, constants, turn, n, i.Wide)
					}
				}
			}
			if held := slices.Sorted(maps.Values(ids)); len(held) != 14 || held[0] != 1<<elders-1 || held[13] != 1<<19 {
				t.Errorf("%s, %d constants: 20 conversations have %d ids, held by %b", api, constants, len(ids), held)
			}
			// Other callers have to learn it by themselves, and other openings are narrow.
			c.key, c.name = "other", "topic 1"
			if r.identify(c.turn(0)).Wide {
				t.Error("what one caller teaches holds for another")
			}
			if r.known.Wide() != 1 {
				t.Errorf("%d openings are wide, want 1", r.known.Wide())
			}
		}
	}
}

// A greeting that many people begin with: the second message tells their conversations apart, so each of them moves once,
// at its second turn. What is sent many times at once and never goes on stays one crowd.
func TestWideGreetings(t *testing.T) {
	r := newReplica(t)
	hi := request{body: `{"messages":[{"role":"user","content":"Hi"}]}`, shape: Chat}
	common := r.identify(hi)
	for range 100 {
		if i := r.identify(hi); i != common {
			t.Fatal("equal requests have different ids")
		}
	}
	ids := map[string]bool{}
	for turn := range 3 {
		for n := range 50 {
			text := `{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"I am %d"}` +
				strings.Repeat(`,{"role":"assistant","content":"Well"},{"role":"user","content":"Go on"}`, turn) + `]}`
			i := r.identify(request{body: fmt.Sprintf(text, n), shape: Chat})
			ids[string(i.ID())] = true
		}
	}
	if len(ids) != 1+50-elders || r.identify(hi) != common {
		t.Errorf("50 conversations have %d ids, want %d", len(ids), 1+50-elders)
	}
}

// A few questions about one document go to the server that has the document.
func TestQuestionsAboutOneDocument(t *testing.T) {
	r := newReplica(t)
	ids := map[string]bool{}
	for n := range elders {
		c := speech{api: "chat", key: "k", constant: []string{"a document"}, name: fmt.Sprint(n)}
		i := r.identify(c.turn(0))
		ids[string(i.ID())] = true
	}
	if len(ids) != 1 {
		t.Errorf("%d questions have %d ids", elders, len(ids))
	}
}

// A conversation of its own keeps the id of its opening, however it goes on: with many turns, with answers that are asked
// for again, and with a message that is edited a few times.
func TestNarrowOpenings(t *testing.T) {
	r := newReplica(t)
	c := speech{api: "chat", key: "k", name: "a topic"}
	first := r.identify(c.turn(0))
	for turn := range 40 {
		for range 3 {
			if i := r.identify(c.turn(turn)); i != first {
				t.Fatalf("another id at turn %d", turn)
			}
		}
	}
	body := `{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"question 0 about a topic"},{"role":"user","content":"edited %d"}]}`
	for n := range elders - 1 {
		if i := r.identify(request{headers: []string{"Authorization: Bearer k"}, body: fmt.Sprintf(body, n), shape: Chat}); i != first {
			t.Errorf("another id after %d edits", n+1)
		}
	}
	if r.known.Wide() != 0 {
		t.Errorf("%d openings are wide", r.known.Wide())
	}
}

// Much text is not computed again elsewhere: after it, no message tells conversations apart.
func TestLongOpeningsStayNarrow(t *testing.T) {
	for size, wide := range map[int]bool{maxCommon: true, maxCommon + 1: false, 10 * maxCommon: false} {
		r := newReplica(t)
		for n := range 10 {
			c := speech{api: "chat", constant: []string{strings.Repeat("x", size)}, name: fmt.Sprint(n)}
			if i := r.identify(c.turn(0)); i.Wide != (wide && n >= elders) {
				t.Errorf("%d bytes in common, conversation %d: wide %v", size, n, i.Wide)
			}
		}
	}
}

// Results of tools are messages of the user in Anthropic's API. The hints in them move from turn to turn.
func TestHintsInToolResults(t *testing.T) {
	r := newReplica(t)
	body := `{"messages":[{"role":"user","content":"Fix it."},{"role":"assistant","content":[{"type":"tool_use","id":"t1"}]},` +
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"result %d"%s}]%s}]},{"role":"user","content":"Go on."}]}`
	hint := `,"cache_control":{"type":"ephemeral"}`
	for n := range 10 {
		var ids []string
		for _, hints := range [][2]string{{"", ""}, {hint, ""}, {"", hint}} {
			i := r.identify(request{body: fmt.Sprintf(body, n, hints[0], hints[1]), shape: Chat})
			ids = append(ids, string(i.ID()))
		}
		if len(slices.Compact(ids)) != 1 {
			t.Errorf("conversation %d has the ids %v", n, ids)
		}
	}
}

// Replicas learn each by itself. They disagree about the few conversations that were first at one of them, and agree about
// all others.
func TestReplicasAgree(t *testing.T) {
	a, b := newReplica(t), newReplica(t)
	disagreed := map[int]bool{}
	for turn := range 6 {
		for n := range 100 {
			req := speech{api: "chat", key: "k", constant: []string{"one"}, name: fmt.Sprint(n)}.turn(turn)
			if (n+turn)%3 == 0 { // one turn in three reaches the one, all others the other
				a.identify(req)
			} else {
				b.identify(req)
			}
			if turn > 0 && a.peek(req) != b.peek(req) {
				disagreed[n] = true
			}
		}
	}
	if len(disagreed) > 2*elders {
		t.Errorf("the replicas disagree about %d of 100 conversations, want %d at most", len(disagreed), 2*elders)
	}
}

// peek returns the id that a request would have. The replica learns nothing.
func (r *replica) peek(req request) string {
	s := req.search(r.id)
	s.Trace()
	var i Identity
	s.Identify(&i, true, r.known, r.now)
	return string(i.ID())
}

// A question about a request teaches nothing.
func TestTraceTeachesNothing(t *testing.T) {
	r := newReplica(t)
	c := speech{api: "chat", constant: []string{"one"}}
	for n := range 20 {
		c.name = fmt.Sprint(n)
		r.peek(c.turn(0))
	}
	for n := range elders {
		c.name = fmt.Sprint(n)
		if r.identify(c.turn(0)).Wide {
			t.Fatal("questions made an opening wide")
		}
	}
	c.name = "another"
	before := r.peek(c.turn(0))
	if i := r.identify(c.turn(0)); !i.Wide || string(i.ID()) != before {
		t.Errorf("the id is %s, the question said %s", i.ID(), before)
	}
}

func TestLearningAllocatesNothing(t *testing.T) {
	r := newReplica(t)
	c := speech{api: "messages", key: "k", constant: []string{"one", "two"}}
	var all []request
	for n := range 20 {
		c.name = fmt.Sprint(n)
		all = append(all, c.turn(n%4))
	}
	var s Search
	var i Identity
	step := func() {
		for n := range all {
			s.Begin(r.id)
			s.Body([]byte(all[n].body), all[n].shape)
			s.Identify(&i, true, r.known, r.now)
		}
	}
	bodies := allocations(t, 10, func() {
		for n := range all {
			s.Begin(r.id)
			s.Body([]byte(all[n].body), all[n].shape)
			s.Identify(&i, true, nil, r.now)
		}
	})
	if n := allocations(t, 10, step); n != bodies {
		t.Errorf("%v allocations", n-bodies)
	}
}
