package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// message is a turn of a conversation.
type message struct {
	Role, Content string
	picture       picture
}

// talk is a conversation. Its client keeps the history and sends it with every turn.
type talk struct {
	class   *class
	turns   int
	system  string
	history []message // without the system text
	path    string    // "" is chat completions
	first   string    // the first message of the user, random if empty

	// headers returns the client's own fields at a turn, from 0.
	headers func(turn int) []string
	// sends returns the system text and the history that the client sends at a turn; nil changes nothing.
	sends func(turn int, system string, history []message) (string, []message)

	turn   int
	before *server // of the turn before
}

// pause is the mean time between two turns, in which people read and write.
const pause = 10 * time.Second

// talk sends the next turn, and goes on until the conversation is over. Then it calls done, if done is not nil.
func (w *world) talk(t *talk, done func() error) error {
	said := w.prose(10, 60)
	if t.turn == 0 && t.first != "" {
		said = t.first
	}
	t.history = append(t.history, message{Role: "user", Content: said})
	system, history := t.system, t.history
	if t.sends != nil {
		system, history = t.sends(t.turn, system, history)
	}
	answer := w.prose(60, 200)
	return w.ask(t.request(w, system, history), prompt(system, history), answer, t.before, func(a answered) error {
		t.class.count(t, a)
		t.history = append(t.history, message{Role: "assistant", Content: answer})
		t.before, t.turn = a.by, t.turn+1
		switch {
		case t.turn < t.turns:
			w.clock.After(w.spread(pause), func() error { return w.talk(t, done) })
		case done != nil:
			return done()
		}
		return nil
	})
}

// spread returns a random time with the mean, as between independent events.
func (w *world) spread(mean time.Duration) time.Duration {
	return time.Duration(w.random.ExpFloat64() * float64(mean))
}

// prompt returns the prompt that a server makes of a conversation.
func prompt(system string, history []message) string {
	var b strings.Builder
	for _, m := range append([]message{{Role: "system", Content: system}}, history...) {
		fmt.Fprintf(&b, "<%s>\n%s%s</>\n", m.Role, m.picture.shown, m.Content)
	}
	b.WriteString("<assistant>\n")
	return b.String()
}

// request returns a turn as it is received from a connection. What clients change between turns changes here as well.
func (t *talk) request(w *world, system string, history []message) []byte {
	body := map[string]any{
		"model": "m", "max_tokens": 256, "temperature": float64(w.random.IntN(10)) / 10, "stream": w.random.IntN(2) == 0,
	}
	path := t.path
	switch path {
	case "/v1/messages":
		body["system"], body["messages"] = system, history
	case "/v1/responses":
		body["instructions"], body["input"] = system, history
	case completionsPath:
		body["prompt"] = prompt(system, history)
	default:
		path, body["messages"] = "/v1/chat/completions", append([]message{{Role: "system", Content: system}}, history...)
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic("BUG: a conversation has no JSON: " + err.Error())
	}
	return fmt.Appendf(nil, "POST %s HTTP/1.1\nHost: tether\n%s\nContent-Type: application/json\nContent-Length: %d\n\n%s",
		path, strings.Join(t.headers(t.turn), "\n"), len(text), text)
}

var words = strings.Fields("a of the and over under which there water river house light paper stone garden winter summer " +
	"morning evening letter story window bridge harbour quiet bright narrow open early late carries follows remembers keeps")

// prose returns a random text of least to most words.
func (w *world) prose(least, most int) string {
	n := least + w.random.IntN(most-least+1)
	text := make([]string, n)
	for i := range text {
		text[i] = words[w.random.IntN(len(words))]
	}
	return strings.Join(text, " ")
}
