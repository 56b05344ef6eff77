package main

import (
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"tether/session"
	"tether/session/balance"
	"tether/session/identity"
)

// class is a kind of traffic, with its goals and its results.
type class struct {
	name string
	// same is the goal that every turn reaches the server of the turn before.
	same bool
	// even is the goal that the busiest server has at most evenLoad times the mean load over the whole time; crowd is the
	// same goal for each time.
	even, crowd bool
	configure   func(*config)
	start       func(w *world, c *class)

	later, stayed       int // turns after the first, and those on the server of the turn before
	tokens, found, kept int // of their prompts
	inFlight            float64
	overall, atOnce     float64 // load
}

// evenLoad is the limit for the busiest server, relative to the mean load.
const evenLoad = 1.25

// count adds a turn to the results.
func (c *class) count(t *talk, a answered) {
	if t.before == nil {
		return
	}
	c.later++
	if t.before == a.by {
		c.stayed++
	}
	c.tokens, c.found, c.kept = c.tokens+a.tokens, c.found+a.found, c.kept+a.kept
}

// classes returns all kinds of traffic.
func classes() []*class {
	own := func(cfg *config) { cfg.identity.Subagents = identity.Own }
	return []*class{
		{name: "plain chats", same: true, start: chats},
		{name: "agents with 20 sub-agents", same: true, start: agents},
		{name: "the same, `subagents: own`", configure: own, start: agents},
		{name: "refreshed JWTs", same: true, start: tokens},
		{name: "pictures, later by their `uuid` alone", same: true, start: pictures(byUUID)},
		{name: "pictures by presigned URLs", same: true, start: pictures(presigned)},
		{name: "1,000 chats with `X-Session-Id: undefined`", same: true, even: true, start: unfilled},
		{name: "1,000 times the same greeting, a key each", same: true, even: true, start: greetings(ownKey)},
		{name: "1,000 times the same greeting, one key", even: true, crowd: true, start: greetings(oneKey)},
		{name: "shared few-shot messages, one key", same: true, even: true, start: fewShots},
		{name: aiderRow, same: true, start: aiders},
		{name: qwenRow, same: true, start: qwens},
		{name: "RL groups of 64 equal prompts", even: true, crowd: true, start: groups},
		{name: "completions that grow", same: true, start: completions},
		{name: "completions that grow from shared few-shot examples", same: true, even: true, start: shotCompletions},
		{name: "completions of one turn behind few-shot examples, 8 at a time", even: true, start: evaluations},
		{name: "clock in the system prompt", start: clocks},
		{name: "edited first message", start: edits},
		{name: "window that drops its oldest turns", start: windows},
	}
}

// byRing is the default routing without the load of servers: the scorecard says what becomes of ids, and not how even the load is.
func byRing() session.Config {
	cfg := session.Default()
	cfg.Balance.Placement = balance.Home
	return cfg
}

// run simulates the traffic of the class in a world of its own.
func (c *class) run(seed uint64, scale int) error {
	cfg := config{identity: identity.Default(), routing: byRing()}
	if c.configure != nil {
		c.configure(&cfg)
	}
	w, err := newWorld(seed, scale, cfg)
	if err != nil {
		return err
	}
	c.start(w, c)
	if err := w.clock.Run(func(d time.Duration) { w.load.pass(w.servers, d) }); err != nil {
		return err
	}
	c.inFlight, c.overall, c.atOnce = w.load.inFlight(), w.load.overall(w.servers), w.load.atOnce(len(w.servers))
	return nil
}

// people starts the conversations of n people within a pause.
func people(w *world, c *class, n int, one func(n int) *talk) {
	for i := range n {
		t := one(i)
		t.class = c
		w.clock.After(time.Duration(w.random.Int64N(int64(pause))), func() error { return w.talk(t, nil) })
	}
}

// caller returns the head of a client with an API key.
func caller(key string) func(int) []string {
	return func(int) []string { return []string{"Authorization: Bearer sk-" + key} }
}

func oneKey(int) func(int) []string   { return caller("app") }
func ownKey(n int) func(int) []string { return caller(fmt.Sprint("user-", n)) }

// chats starts conversations of one app with one key, over the three APIs.
func chats(w *world, c *class) {
	paths := []string{"/v1/chat/completions", "/v1/messages", "/v1/responses"}
	system := w.prose(200, 300)
	people(w, c, 400, func(n int) *talk {
		return &talk{turns: w.turns(6), system: system, headers: oneKey(n), path: paths[n%len(paths)]}
	})
}

// agents starts agents of Claude Code. Each one starts sub-agents after its first turn, all with its session id.
func agents(w *world, c *class) {
	system := w.prose(800, 1000)
	people(w, c, 40, func(n int) *talk {
		id := fmt.Sprintf("X-Claude-Code-Session-Id: %08d-5717-4562-b3fc-2c963f66afa6", n)
		family := &talk{turns: w.turns(8), system: system, path: "/v1/messages", headers: func(int) []string { return []string{id} }}
		family.sends = func(turn int, system string, history []message) (string, []message) {
			if turn == 1 {
				family.spawn(w, id)
			}
			return system, history
		}
		return family
	})
}

// spawn starts the sub-agents of an agent, with its session id.
func (t *talk) spawn(w *world, id string) {
	for k := range 20 {
		sub := &talk{class: t.class, turns: w.turns(4), system: t.system, path: t.path, before: t.before}
		sub.headers = func(int) []string { return []string{id, fmt.Sprint("X-Claude-Code-Agent-Id: agent-", k)} }
		w.clock.After(w.spread(time.Second), func() error { return w.talk(sub, nil) })
	}
}

// tokens starts chats of callers that have a new token at every turn.
func tokens(w *world, c *class) {
	system := w.prose(200, 300)
	part := base64.RawURLEncoding.EncodeToString
	people(w, c, 200, func(n int) *talk {
		return &talk{turns: w.turns(6), system: system, headers: func(turn int) []string {
			claims := fmt.Appendf(nil, `{"iss":"https://login.test","sub":"user-%d","exp":%d,"jti":"%x"}`, n, 600*turn, w.random.Uint64())
			return []string{"Authorization: Bearer " + part([]byte(`{"alg":"RS256"}`)) + "." + part(claims) + "." + part(claims[10:])}
		}}
	})
}

// unfilled starts chats of an app that sends the same placeholder as the id of each of them.
func unfilled(w *world, c *class) {
	system := w.prose(200, 300)
	people(w, c, 1000, func(int) *talk {
		return &talk{turns: w.turns(6), system: system, headers: func(int) []string {
			return []string{"Authorization: Bearer sk-app", "X-Session-Id: undefined"}
		}}
	})
}

// greetings starts chats with the same first message.
func greetings(keys func(n int) func(int) []string) func(*world, *class) {
	return func(w *world, c *class) {
		system := w.prose(200, 300)
		people(w, c, 1000, func(n int) *talk {
			return &talk{turns: w.turns(4), system: system, headers: keys(n), first: "Hi"}
		})
	}
}

// fewShots starts chats of an app that puts the same examples in front of each conversation.
func fewShots(w *world, c *class) {
	system := w.prose(100, 150)
	var examples []message
	for range 4 {
		examples = append(examples, message{Role: "user", Content: w.prose(20, 40)}, message{Role: "assistant", Content: w.prose(20, 40)})
	}
	people(w, c, 1000, func(n int) *talk {
		return &talk{turns: w.turns(4), system: system, headers: oneKey(n), history: slices.Clone(examples)}
	})
}

// The names of the rows whose clients are agents.
const (
	aiderRow = "Aider: one example before every chat"
	qwenRow  = "Qwen Code: the context of a project before every chat"
)

// aider returns agents whose client begins every conversation with the same example, as Aider does, and sends no id.
func aider(w *world) func(turns int) *talk {
	system := w.prose(600, 800)
	example := []message{{Role: "user", Content: w.prose(60, 80)}, {Role: "assistant", Content: w.prose(60, 80)}}
	return func(turns int) *talk {
		return &talk{turns: turns, system: system, headers: caller("app"), history: slices.Clone(example)}
	}
}

func aiders(w *world, c *class) {
	one := aider(w)
	people(w, c, 400, func(int) *talk { return one(w.turns(6)) })
}

// qwens starts agents whose client begins every conversation with the context of its project and day, as Qwen Code does,
// and sends no id. There are 20 projects.
func qwens(w *world, c *class) {
	system := w.prose(600, 800)
	var contexts [20][]message
	for n := range contexts {
		contexts[n] = []message{{Role: "user", Content: w.prose(200, 300)}, {Role: "assistant", Content: "Got it. Thanks for the context!"}}
	}
	people(w, c, 400, func(n int) *talk {
		return &talk{turns: w.turns(6), system: system, headers: oneKey(n), history: slices.Clone(contexts[n%len(contexts)])}
	})
}

const completionsPath = "/v1/completions"

// completions starts chats whose client writes the prompt itself, in front of it one system text for all.
func completions(w *world, c *class) {
	system := w.prose(200, 300)
	people(w, c, 400, func(int) *talk {
		return &talk{turns: w.turns(6), system: system, headers: caller("app"), path: completionsPath}
	})
}

// shotCompletions starts conversations whose prompts begin with the same examples.
func shotCompletions(w *world, c *class) {
	examples := w.prose(500, 600)
	people(w, c, 1000, func(int) *talk {
		return &talk{turns: w.turns(4), system: examples, headers: caller("app"), path: completionsPath}
	})
}

// evaluations sends questions behind the same examples, eight at a time, as tools do that evaluate models.
func evaluations(w *world, c *class) {
	examples, left := w.prose(500, 600), 3000
	var next func() error
	next = func() error {
		if left--; left < 0 {
			return nil
		}
		return w.talk(&talk{class: c, turns: 1, system: examples, headers: caller("app"), path: completionsPath}, next)
	}
	for range 8 {
		w.clock.After(w.spread(time.Second), next)
	}
}

// groups starts rollouts of reinforcement learning: 64 concurrent requests for one prompt, four prompts at a time.
func groups(w *world, c *class) {
	left := w.turns(100)
	for range 4 {
		w.clock.After(w.spread(time.Second), func() error { return w.rollout(c, &left) })
	}
}

// rollout requests a group of answers, and after the last one the next group.
func (w *world) rollout(c *class, left *int) error {
	if *left == 0 {
		return nil
	}
	*left--
	prompt, waiting := w.prose(200, 400), 64
	for n := range waiting {
		one := &talk{class: c, turns: 1, headers: oneKey(n), first: prompt}
		err := w.talk(one, func() error {
			if waiting--; waiting > 0 {
				return nil
			}
			return w.rollout(c, left)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// clocks starts chats whose client writes the time at the end of the system prompt.
func clocks(w *world, c *class) {
	text := w.prose(200, 300)
	people(w, c, 200, func(n int) *talk {
		return &talk{turns: w.turns(6), system: text, headers: oneKey(n), sends: func(_ int, system string, history []message) (string, []message) {
			return fmt.Sprint(system, "\nIt is ", w.clock.Now().Round(time.Second), " past noon."), history
		}}
	})
}

// edits starts chats whose users change the end of their first message half-way, and go on from there.
func edits(w *world, c *class) {
	system := w.prose(200, 300)
	people(w, c, 200, func(n int) *talk {
		t := &talk{turns: w.turns(6), system: system, headers: oneKey(n)}
		t.sends = func(turn int, system string, history []message) (string, []message) {
			if turn == t.turns/2 {
				t.history = []message{{Role: "user", Content: history[0].Content + " " + history[len(history)-1].Content}}
			}
			return system, t.history
		}
		return t
	})
}

// windows starts chats whose client sends the last five messages only.
func windows(w *world, c *class) {
	system := w.prose(200, 300)
	people(w, c, 200, func(n int) *talk {
		return &talk{turns: w.turns(8), system: system, headers: oneKey(n), sends: func(_ int, system string, history []message) (string, []message) {
			return system, history[max(0, len(history)-5):]
		}}
	})
}
