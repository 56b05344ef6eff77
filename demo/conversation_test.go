package demo

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tether/sim"
)

// Each turn repeats the turn before, and finds it in the cache.
func TestConversationGrows(t *testing.T) {
	p := small()
	_, ask := direct(t, sim.Config{Name: "vllm-7", PrefillPerToken: 10 * time.Microsecond})
	c := newConversation(1, p, rand.New(rand.NewPCG(1, 1)))
	if strings.Contains(string(c.request()), "session") || c.isLater() {
		t.Errorf("%s", c.request())
	}
	before := 0
	for n := range p.Turns {
		r, err := ask(c)
		if err != nil {
			t.Fatal(err)
		}
		// The full blocks of the turn before are cached, its answer included.
		if r.server != "vllm-7" || r.text == "" || r.prompt <= before || r.ttft <= 0 || r.cached < before/16*16 || (n == 0) != (r.cached == 0) {
			t.Errorf("turn %d: %+v after %d tokens", n, r, before)
		}
		before = r.prompt
		c.answered(r.text)
		if !c.isLater() {
			t.Error("a later turn counts as the first")
		}
	}
	if longest := p.longest(); longest < before || longest > 2*before {
		t.Errorf("%d tokens after %d turns, and longest returns %d", before, p.Turns, longest)
	}
}

func TestConversationsFollowTheirSeed(t *testing.T) {
	p := small()
	one := newConversation(1, p, rand.New(rand.NewPCG(3, 4)))
	two := newConversation(1, p, rand.New(rand.NewPCG(3, 4)))
	other := newConversation(1, p, rand.New(rand.NewPCG(3, 5)))
	if string(one.request()) != string(two.request()) || string(one.request()) == string(other.request()) {
		t.Error("equal seeds give different conversations, or different seeds equal ones")
	}
	for range 100 {
		if n := one.length(); n < p.Turns || n > p.Turns+p.Turns/2 {
			t.Errorf("%d turns", n)
		}
	}
}

// Only the demo's own conversations count. Their opening tells them from others.
func TestNumberOf(t *testing.T) {
	p := FastPace()
	ours := newConversation(17, &p, rand.New(rand.NewPCG(1, 1)))
	for range 3 {
		if n, ok := numberOf(ours.request()); !ok || n != 17 {
			t.Errorf("%d, %v", n, ok)
		}
		ours.answered("Conversation 4: an answer that looks like an opening")
	}
	k := newTracker(1)
	for _, body := range []string{
		``, `{}`, `{"messages":[]}`, `{"messages":[{"role":"user","content":"Hello"}]}`, `{"messages":"Conversation 1: "}`,
		`{"messages":[{"content":"Conversation x: "}]}`, `{"messages":[{"content":"Conversation 12"}]}`,
	} {
		k.hook(0)(sim.Seen{Body: []byte(body)})
	}
	if got := k.sessions()[0]; got != 0 {
		t.Errorf("%d of them were counted as ours", got)
	}
}
