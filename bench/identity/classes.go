package main

import (
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"tether/session"
	"tether/session/identity"
)

// class is a kind of traffic, its goals, and what it came to.
type class struct {
	name string
	// same wants every turn on the server of the turn before.
	same bool
	// even wants the load on the busiest server within evenLoad of the mean over all the time, and crowd at each time too.
	even, crowd bool
	configure   func(*config)
	start       func(w *world, c *class)

	later, stayed       int // turns after the first, and those on the server of the turn before
	tokens, found, kept int // of their prompts
	inFlight            float64
	overall, atOnce     float64 // load
}

// evenLoad is the most that the busiest server of a crowd may have, of the mean.
const evenLoad = 1.25

// count counts a turn in.
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

// classes are all kinds of traffic.
func classes() []*class {
	own := func(cfg *config) { cfg.identity.Subagents = identity.Own }
	return []*class{
		{name: "plain chats", same: true, start: chats},
		{name: "agents with 20 sub-agents", same: true, start: agents},
		{name: "the same, `subagents: own`", configure: own, start: agents},
		{name: "refreshed JWTs", same: true, start: tokens},
		{name: "1,000 times the same greeting, a key each", same: true, even: true, start: greetings(ownKey)},
		{name: "1,000 times the same greeting, one key", even: true, crowd: true, start: greetings(oneKey)},
		{name: "shared few-shot messages, one key", even: true, crowd: true, start: fewShots},
		{name: "RL groups of 64 equal prompts", even: true, crowd: true, start: groups},
		{name: "clock in the system prompt", start: clocks},
		{name: "edited first message", start: edits},
		{name: "window that drops its oldest turns", start: windows},
	}
}

// run lets the class have its way in a world of its own.
func (c *class) run(seed uint64, scale int) error {
	cfg := config{identity: identity.Default(), routing: session.Default()}
	if c.configure != nil {
		c.configure(&cfg)
	}
	w, err := newWorld(seed, scale, cfg)
	if err != nil {
		return err
	}
	c.start(w, c)
	if err := w.run(); err != nil {
		return err
	}
	c.inFlight, c.overall, c.atOnce = w.load.inFlight(), w.load.overall(w.servers), w.load.atOnce(len(w.servers))
	return nil
}

// people lets n of them come within a pause, and each have a conversation.
func people(w *world, c *class, n int, one func(n int) *talk) {
	for i := range n {
		t := one(i)
		t.class = c
		w.after(time.Duration(w.random.Int64N(int64(pause))), func() error { return w.talk(t, nil) })
	}
}

// caller is the head of a client with an API key.
func caller(key string) func(int) []string {
	return func(int) []string { return []string{"Authorization: Bearer sk-" + key} }
}

func oneKey(int) func(int) []string   { return caller("app") }
func ownKey(n int) func(int) []string { return caller(fmt.Sprint("user-", n)) }

// chats are conversations over the three APIs, of one app with one key.
func chats(w *world, c *class) {
	paths := []string{"/v1/chat/completions", "/v1/messages", "/v1/responses"}
	system := w.prose(200, 300)
	people(w, c, 400, func(n int) *talk {
		return &talk{turns: w.turns(6), system: system, headers: oneKey(n), path: paths[n%len(paths)]}
	})
}

// agents are Claude Code's: one that starts sub-agents after its first turn, all under its session's id.
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

// spawn starts the sub-agents of the agent with the session's id.
func (t *talk) spawn(w *world, id string) {
	for k := range 20 {
		sub := &talk{class: t.class, turns: w.turns(4), system: t.system, path: t.path, before: t.before}
		sub.headers = func(int) []string { return []string{id, fmt.Sprint("X-Claude-Code-Agent-Id: agent-", k)} }
		w.after(w.spread(time.Second), func() error { return w.talk(sub, nil) })
	}
}

// tokens are chats of callers who have a new token at every turn.
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

// greetings are people who all say the same first.
func greetings(keys func(n int) func(int) []string) func(*world, *class) {
	return func(w *world, c *class) {
		system := w.prose(200, 300)
		people(w, c, 1000, func(n int) *talk {
			return &talk{turns: w.turns(4), system: system, headers: keys(n), first: "Hi"}
		})
	}
}

// fewShots are conversations of an app that puts examples before what people say.
func fewShots(w *world, c *class) {
	system := w.prose(100, 150)
	var examples []message
	for range 4 {
		examples = append(examples, message{"user", w.prose(20, 40)}, message{"assistant", w.prose(20, 40)})
	}
	people(w, c, 1000, func(n int) *talk {
		return &talk{turns: w.turns(4), system: system, headers: oneKey(n), history: slices.Clone(examples)}
	})
}

// groups are rollouts of reinforcement learning: 64 answers to one prompt at once, four prompts at a time.
func groups(w *world, c *class) {
	left := w.turns(100)
	for range 4 {
		w.after(w.spread(time.Second), func() error { return w.rollout(c, &left) })
	}
}

// rollout asks for a group of answers, and when it has all of them, for the next one.
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

// clocks are chats whose client writes the time at the end of the system prompt.
func clocks(w *world, c *class) {
	text := w.prose(200, 300)
	people(w, c, 200, func(n int) *talk {
		return &talk{turns: w.turns(6), system: text, headers: oneKey(n), sends: func(_ int, system string, history []message) (string, []message) {
			return fmt.Sprint(system, "\nIt is ", w.now.Round(time.Second), " past noon."), history
		}}
	})
}

// edits are chats whose users go back to their first message, change its end, and go on from there.
func edits(w *world, c *class) {
	system := w.prose(200, 300)
	people(w, c, 200, func(n int) *talk {
		t := &talk{turns: w.turns(6), system: system, headers: oneKey(n)}
		t.sends = func(turn int, system string, history []message) (string, []message) {
			if turn == t.turns/2 {
				t.history = []message{{"user", history[0].Content + " " + history[len(history)-1].Content}}
			}
			return system, t.history
		}
		return t
	})
}

// windows are chats whose client sends the last five messages alone.
func windows(w *world, c *class) {
	system := w.prose(200, 300)
	people(w, c, 200, func(n int) *talk {
		return &talk{turns: w.turns(8), system: system, headers: oneKey(n), sends: func(_ int, system string, history []message) (string, []message) {
			return system, history[max(0, len(history)-5):]
		}}
	})
}
