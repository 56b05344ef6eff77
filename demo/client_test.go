package demo

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"tether/sim"
	"tether/sim/fault"
)

// patient bounds every wait of these tests; none is expected to take it.
const patient = 30 * time.Second

// direct gives a server, and a client of its own.
func direct(t *testing.T, cfg sim.Config) (*sim.Server, func(c *conversation) (reply, error)) {
	t.Helper()
	s := sim.New(cfg)
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() { client.CloseIdleConnections(); s.Stop() })
	return s, func(c *conversation) (reply, error) {
		ctx, cancel := context.WithTimeout(context.Background(), patient)
		defer cancel()
		return ask(ctx, client, s.URL()+"/v1/chat/completions", c.asks())
	}
}

func small() *Pace {
	return &Pace{Opening: 100, Question: 10, Answer: 5, Turns: 4, Conversations: 10}
}

// Each turn repeats the one before, and finds it in the cache.
func TestConversationGrows(t *testing.T) {
	p := small()
	_, ask := direct(t, sim.Config{Name: "vllm-7", PrefillPerToken: 10 * time.Microsecond})
	c := newConversation(1, p, rand.New(rand.NewPCG(1, 1)))
	if strings.Contains(string(c.asks()), "session") || c.later() {
		t.Errorf("%s", c.asks())
	}
	before := 0
	for n := range p.Turns {
		r, err := ask(c)
		if err != nil {
			t.Fatal(err)
		}
		// What the turn before left in full blocks is cached, answer included.
		if r.server != "vllm-7" || r.text == "" || r.prompt <= before || r.first <= 0 || r.cached < before/16*16 || (n == 0) != (r.cached == 0) {
			t.Errorf("turn %d: %+v after %d tokens", n, r, before)
		}
		before = r.prompt
		c.goesOn(r.text)
		if !c.later() {
			t.Error("a later turn takes itself for the first")
		}
	}
	if longest := p.longest(); longest < before || longest > 2*before {
		t.Errorf("%d tokens after %d turns, and the longest shall have %d", before, p.Turns, longest)
	}
}

func TestEqualSeedsGiveEqualConversations(t *testing.T) {
	p := small()
	one := newConversation(1, p, rand.New(rand.NewPCG(3, 4)))
	two := newConversation(1, p, rand.New(rand.NewPCG(3, 4)))
	other := newConversation(1, p, rand.New(rand.NewPCG(3, 5)))
	if string(one.asks()) != string(two.asks()) || string(one.asks()) == string(other.asks()) {
		t.Error("the seed does not decide")
	}
	for range 100 {
		if n := one.turns(); n < p.Turns || n > p.Turns+p.Turns/2 {
			t.Errorf("%d turns", n)
		}
	}
}

func TestAskTellsBrokenFromFailed(t *testing.T) {
	for _, c := range []struct {
		fault  fault.Kind
		broken bool
	}{
		{fault.CutBetween, true},
		{fault.CutInside, true},
		{fault.CutRST, true},
		{fault.Reset, false},
		{"503", false},
	} {
		s, ask := direct(t, sim.Config{})
		if err := s.Inject(fault.Fault{Kind: c.fault}); err != nil {
			t.Fatal(err)
		}
		_, err := ask(newConversation(1, small(), rand.New(rand.NewPCG(1, 1))))
		if err == nil || errors.Is(err, errBroken) != c.broken {
			t.Errorf("%s: %v", c.fault, err)
		}
	}
}

// An error event ends a stream, as tether's does when a server dies; so do an event that is no JSON and a missing end.
func TestReadStream(t *testing.T) {
	const token = `data: {"choices":[{"delta":{"content":"a"}}]}` + "\n\n"
	for stream, want := range map[string]error{
		token + "data: [DONE]\n\n":                  nil,
		token + ": a remark\n\n" + "data: [DONE]\n": nil,
		token: errBroken,
		token + `data: {"error":{"message":"gone"}}` + "\n\ndata: [DONE]\n\n": errBroken,
		token + "data: {\n\n": errBroken,
		"":                    errBroken,
	} {
		var r reply
		if err := r.read(strings.NewReader(stream), time.Now()); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", stream, err, want)
		}
	}
}
