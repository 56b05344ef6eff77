package warm

import (
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The warm tokens are those of a plain map of conversations, whatever their turns are.
func TestWarmTokens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Sessions
		var c Caches
		type turn struct {
			tokens int64
			at     time.Time
		}
		model := map[uint64]turn{}
		now := start
		for range rapid.IntRange(0, 100).Draw(t, "turns") {
			now = now.Add(time.Duration(rapid.Int64Range(0, 60_000).Draw(t, "ms later")) * time.Millisecond)
			id, tokens := rapid.Uint64Range(1, 12).Draw(t, "session"), rapid.Int64Range(1, 100_000).Draw(t, "tokens")
			s.Note(&c, Turn{Session: id, Prompt: tokens, Cached: -1, Began: now, Ended: now})
			model[id] = turn{tokens, now}
		}
		r, _ := c.Look(0, now)
		var least, most int64 // a slot is 5 s wide
		for _, u := range model {
			if age := now.Sub(u.at); age <= r.Within {
				least += u.tokens
			}
			if age := now.Sub(u.at); age <= r.Within+slotMs*time.Millisecond {
				most += u.tokens
			}
		}
		if r.Warm < least || r.Warm > most {
			t.Fatalf("%d tokens warm within %v, want %d..%d", r.Warm, r.Within, least, most)
		}
	})
}

// Memory is bounded: more conversations than entries displace those that were not used for longest.
func TestSessionsAreBounded(t *testing.T) {
	var s Sessions
	var c Caches
	n := uint64(2 * len(s.sets) * ways)
	for id := uint64(1); id <= n; id++ {
		at := start.Add(time.Duration(id) * time.Microsecond * 1000)
		s.Note(&c, Turn{Session: id, Prompt: 1_000, Cached: -1, Began: at, Ended: at})
	}
	later := start.Add(time.Duration(n) * time.Millisecond)
	known := 0
	for id := n; id > n/2; id-- {
		if s.Note(&c, Turn{Session: id, Prompt: 1_000, Cached: -1, Began: later, Ended: later}).Stayed {
			known++
		}
	}
	if known != len(s.sets)*ways {
		t.Errorf("%d of the last %d conversations are known", known, len(s.sets)*ways)
	}
}

// The last turns at two servers are remembered, with the processes that had them.
func TestBefore(t *testing.T) {
	var s Sessions
	var c Caches
	at := start
	for n, turn := range []struct {
		place, process uint32
		prompt         int64
		opens          bool
		early          time.Duration // before the last turn has ended
		want           Before
	}{
		{1, 5, 1_000, true, 0, Before{}},
		{1, 5, 1_100, false, 0, Before{Prompt: 1_000, Here: 1_000, Process: 5, Stayed: true, Expected: 1_000}},
		{1, 6, 1_200, false, 0, Before{Prompt: 1_100, Here: 1_100, Process: 5, Stayed: true, Expected: 1_100}},
		{2, 9, 1_300, false, 0, Before{Prompt: 1_200}},
		{1, 6, 1_400, false, 0, Before{Prompt: 1_300, Here: 1_200, Process: 6}},
		{2, 9, 1_500, false, 0, Before{Prompt: 1_400, Here: 1_300, Process: 9}},
		{3, 4, 1_600, false, 0, Before{Prompt: 1_500}},
		{1, 6, 1_700, false, 0, Before{Prompt: 1_600}}, // of three servers, two are remembered
		{1, 6, 300, true, 0, Before{Prompt: 1_700, Here: 1_700, Process: 6, Stayed: true, Expected: 300}},
		{1, 6, 1_800, false, 0, Before{Prompt: 1_700, Here: 1_700, Process: 6, Stayed: true, Expected: 300}}, // the title that was asked for is no turn
		{1, 6, 1_900, false, 500 * time.Millisecond, Before{Prompt: 1_800, Here: 1_800, Process: 6, Overlaps: true}},
		{1, 6, 2_000, false, 50 * time.Millisecond, Before{Prompt: 1_900, Here: 1_900, Process: 6, Stayed: true, Expected: 1_900}},
	} {
		began := at.Add(time.Second - turn.early)
		if turn.early > 0 {
			began = at.Add(-turn.early)
		}
		at = began.Add(time.Second)
		got := s.Note(&c, Turn{Session: 7, Place: turn.place, Process: turn.process, Opens: turn.opens, Prompt: turn.prompt, Cached: -1, Began: began, Ended: at})
		if got != turn.want {
			t.Errorf("turn %d: %+v, want %+v", n, got, turn.want)
		}
	}
}

// Turns of many conversations at once are all counted.
func TestTurnsAtOnce(t *testing.T) {
	var s Sessions
	var c Caches
	var all sync.WaitGroup
	const workers, each = 8, 200
	for w := range uint64(workers) {
		all.Go(func() {
			for id := range uint64(each) {
				for range 3 {
					s.Note(&c, Turn{Session: w<<32 + id + 1, Prompt: 1_000, Cached: 900, Began: start, Ended: start})
				}
				c.Look(1, start)
			}
		})
	}
	all.Wait()
	if r, _ := c.Look(1, start); r.Warm != workers*each*1_000 {
		t.Errorf("%d tokens warm, want %d", r.Warm, workers*each*1_000)
	}
}

func TestNoteAllocatesNothing(t *testing.T) {
	s, c := new(Sessions), new(Caches)
	at := start
	if n := testing.AllocsPerRun(100, func() {
		at = at.Add(7 * time.Second)
		s.Note(c, Turn{Session: 1, Prompt: 10_000, Cached: 9_000, Began: at, Ended: at.Add(time.Second)})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNote(b *testing.B) {
	s, c := new(Sessions), new(Caches)
	at, id := start, uint64(0)
	for b.Loop() {
		at, id = at.Add(time.Millisecond), (id+1)%10_000
		s.Note(c, Turn{Session: id*0x9e3779b97f4a7c15 + 1, Prompt: 10_000, Cached: 9_000, Began: at, Ended: at.Add(time.Second)})
	}
}
