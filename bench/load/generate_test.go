package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQuantiles(t *testing.T) {
	q := quantiles{1, 2, 3, 10, 20, 40, 60, 100, 200}
	r := rand.New(rand.NewPCG(1, 1))
	var drawn []float64
	for range 100_000 {
		drawn = append(drawn, q.draw(r))
	}
	slices.Sort(drawn)
	for i, share := range shares {
		if got := drawn[min(len(drawn)-1, int(share*float64(len(drawn))))]; math.Abs(got/q[i]-1) > 0.05 {
			t.Errorf("%.0f %% are below %.1f, want %.0f", 100*share, got, q[i])
		}
	}
}

// The generated chats are like the conversation trace of Mooncake: 12,031 turns in 7,373 conversations, 12,035 tokens in a
// prompt, and 7,852 of them not kept from the turn before.
func TestChatsAreLikeMooncake(t *testing.T) {
	n, turns, tokens, added := 20_000, 0, 0, 0
	for _, c := range (&mix{n: n, most: &chats}).conversations(1) {
		for _, one := range c {
			turns, tokens, added = turns+1, tokens+one.prompt, added+one.prompt-one.kept
		}
	}
	for name, c := range map[string]struct{ got, want float64 }{
		"turns of a conversation": {float64(turns) / float64(n), 12_031.0 / 7373},
		"tokens of a prompt":      {float64(tokens) / float64(turns), 12_035},
		"tokens that are added":   {float64(added) / float64(turns), 7852},
	} {
		if math.Abs(c.got/c.want-1) > 0.1 {
			t.Errorf("%s: %.2f, want %.2f", name, c.got, c.want)
		}
	}
}

// Turns keep no more than there was, and stay within the limit of their kind. Equal seeds give equal conversations.
func TestConversations(t *testing.T) {
	for name, m := range map[string]*mix{
		"chats": {n: 60, most: &chats}, "agents": {n: 60, most: &agents}, "giants": {n: 60, most: &small, share: 0.5, others: &giant},
	} {
		all := m.conversations(7)
		if diff := cmp.Diff(all, m.conversations(7), compareTurns); diff != "" {
			t.Errorf("%s: equal seeds differ: %s", name, diff)
		}
		if cmp.Equal(all, m.conversations(8), compareTurns) {
			t.Errorf("%s: seeds 7 and 8 are equal", name)
		}
		limit := int(max(m.most.limit, giant.limit))
		for _, c := range all {
			last := turn{}
			for _, next := range c {
				if next.kept > last.prompt || next.prompt < next.kept+1 || next.prompt > limit || next.answer < 1 || next.at < last.at {
					t.Fatalf("%s: %+v follows %+v", name, next, last)
				}
				last = next
			}
		}
	}
}
