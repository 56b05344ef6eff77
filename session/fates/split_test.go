package fates

import (
	"testing"

	"pgregory.net/rapid"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		name string
		turn Turn
		want Split
	}{
		{"no usage", Turn{Prompt: -1, Cached: -1}, Split{}},
		{"no usage of the cache", Turn{Prompt: 900, Cached: -1, Known: true, Before: 800, Here: 800}, Split{Lost: 900, Cause: Unknown}},
		{"impossible usage", Turn{Prompt: 900, Cached: 901}, Split{}},
		{"first turn", Turn{Prompt: 900}, Split{New: 900}},
		{"first turn with a common beginning", Turn{Prompt: 900, Cached: 320}, Split{Hit: 320, New: 580}},
		{"older than the memory", Turn{Prompt: 900, Cached: 320, Older: true}, Split{Hit: 320, Lost: 580, Cause: Unknown}},
		{"older than the memory, all cached", Turn{Prompt: 900, Cached: 900, Older: true}, Split{Hit: 900}},
		{"stayed, all there", Turn{Prompt: 1000, Cached: 896, Known: true, Older: true, Before: 900, Here: 900, Block: 16}, Split{Hit: 896, New: 104, Expected: 900}},
		{"stayed, the answer is there too", Turn{Prompt: 1000, Cached: 960, Known: true, Before: 900, Here: 900, Block: 16}, Split{Hit: 960, New: 40, Expected: 900}},
		{"stayed, less than a block is missing", Turn{Prompt: 1000, Cached: 868, Known: true, Before: 900, Here: 900, Block: 16}, Split{Hit: 868, New: 132, Expected: 900}},
		{"stayed, one token more is missing", Turn{Prompt: 1000, Cached: 867, Known: true, Before: 900, Here: 900, Block: 16}, Split{Hit: 867, New: 100, Lost: 33, Cause: Evicted, Expected: 900}},
		{"stayed, the size of blocks is unknown", Turn{Prompt: 1000, Cached: 756, Known: true, Before: 900, Here: 900}, Split{Hit: 756, New: 244, Expected: 900}},
		{"stayed, evicted", Turn{Prompt: 1000, Cached: 0, Known: true, Before: 900, Here: 900}, Split{New: 100, Lost: 900, Cause: Evicted, Expected: 900}},
		{"restarted", Turn{Prompt: 1000, Cached: 0, Known: true, Before: 900, Here: 900, Restarted: true}, Split{New: 100, Lost: 900, Cause: Restarted, Expected: 900}},
		{"restarted, but all is there again", Turn{Prompt: 1000, Cached: 896, Known: true, Before: 900, Here: 900, Restarted: true}, Split{Hit: 896, New: 104, Expected: 900}},
		{"moved", Turn{Prompt: 1000, Cached: 160, Known: true, Before: 900, Reason: Spread}, Split{Hit: 160, New: 100, Lost: 740, Cause: Moved, Reason: Spread, Expected: 900}},
		{"moved to a server that was restarted", Turn{Prompt: 1000, Known: true, Before: 900, Restarted: true, Reason: 1}, Split{New: 100, Lost: 900, Cause: Moved, Reason: 1, Expected: 900}},
		{"returned, the last turn was elsewhere", Turn{Prompt: 1000, Cached: 400, Known: true, Before: 900, Here: 400, Reason: Returned}, Split{Hit: 400, New: 100, Lost: 500, Cause: Moved, Reason: Returned, Expected: 900}},
		{"returned to a server that has lost all", Turn{Prompt: 1000, Known: true, Before: 900, Here: 800, Reason: Returned}, Split{New: 100, Lost: 900, Cause: Evicted, Expected: 900}},
		{"another history", Turn{Prompt: 500, Cached: 80, Known: true, Before: 900, Here: 900}, Split{Hit: 80, New: 420}},
	} {
		if got := Of(c.turn); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// Whatever a server says, no token is lost or counted twice, and the cause is one that can be.
func TestSplitAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tokens := rapid.Int64Range(-1, 3000)
		turn := Turn{
			Prompt: tokens.Draw(t, "prompt"), Cached: tokens.Draw(t, "cached"), Known: rapid.Bool().Draw(t, "known"), Older: rapid.Bool().Draw(t, "older"),
			Before: max(0, tokens.Draw(t, "before")), Here: max(0, tokens.Draw(t, "here")), Restarted: rapid.Bool().Draw(t, "restarted"),
			Reason: Response, Block: max(0, tokens.Draw(t, "block")),
		}
		s := Of(turn)
		if s == (Split{}) {
			if turn.Prompt > 0 && turn.Cached <= turn.Prompt {
				t.Fatalf("nothing of %+v", turn)
			}
			return
		}
		sum := int64(0)
		for f := range Fate(Count) {
			if s.Of(f) < 0 {
				t.Fatalf("%+v: %+v", turn, s)
			}
			sum += s.Of(f)
		}
		if sum != turn.Prompt || s.Hit != max(0, turn.Cached) || (s.Lost > 0) != (s.Cause > New) || (s.Reason != 0) != (s.Cause == Moved) || s.Word() == "" {
			t.Fatalf("%+v: %+v, %q", turn, s, s.Word())
		}
	})
}

func TestWord(t *testing.T) {
	for want, s := range map[string]Split{
		"": {}, "hit": {Hit: 50, New: 50}, "new": {Hit: 49, New: 51}, "moved": {Hit: 900, Lost: 50, Cause: Moved}, "unknown": {Lost: 1, Cause: Unknown},
	} {
		if got := s.Word(); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
}
