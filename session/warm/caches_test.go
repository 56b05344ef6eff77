package warm

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"tether/sim/engine"
)

var start = time.Unix(1_000_000, 0)

// world is conversations over simulated engines, in a time of its own.
type world struct {
	t        *testing.T
	engines  []*engine.Engine
	fit      int64 // tokens that the caches hold together
	random   *rand.Rand
	sessions Sessions
	caches   Caches
	now      time.Time
	talks    []*talk
	began    int // conversations
	alarms   []bool
	last     Report
}

// talk is a conversation: its prompt grows with each turn.
type talk struct {
	id     uint64
	prompt []engine.Token
	next   time.Time
}

const blockSize = 16

func newWorld(t *testing.T, servers, tokensEach int) *world {
	w := &world{t: t, random: rand.New(rand.NewPCG(1, 2)), now: start, fit: int64(servers * tokensEach)}
	for range servers {
		w.engines = append(w.engines, engine.New(engine.Config{BlockSize: blockSize, CacheBlocks: tokensEach / blockSize, MaxSeqs: 64}, func() {}))
	}
	return w
}

// run lets n conversations go on for a time. A turn comes 5 to 20 s after the one before, and adds 40 to 120 tokens to a prompt of 1,500
// to 3,500; at 6,000 tokens the conversation ends, and another one begins.
func (w *world) run(n int, during time.Duration) {
	w.talks = w.talks[:min(n, len(w.talks))]
	for len(w.talks) < n {
		w.talks = append(w.talks, w.begin())
	}
	look := w.now
	for end := w.now.Add(during); w.now.Before(end); w.now = w.now.Add(100 * time.Millisecond) {
		for i, s := range w.talks {
			if !s.next.After(w.now) {
				w.turn(s)
				if len(s.prompt) > 6_000 {
					w.talks[i] = w.begin()
				}
			}
		}
		if !w.now.Before(look) {
			report, changed := w.caches.Look(w.fit, w.now)
			if w.last = report; changed {
				w.alarms = append(w.alarms, report.Overrun)
			}
			look = look.Add(time.Second)
		}
	}
}

func (w *world) begin() *talk {
	w.began++
	s := &talk{id: uint64(w.began), next: w.now.Add(time.Duration(w.random.IntN(10_000)) * time.Millisecond)}
	w.say(s, 1_500+w.random.IntN(2_000))
	return s
}

func (w *world) say(s *talk, tokens int) {
	for range tokens {
		s.prompt = append(s.prompt, engine.Token(w.random.Uint32()))
	}
}

func (w *world) turn(s *talk) {
	place := s.id % uint64(len(w.engines))
	tally, err := w.engines[place].Run(context.Background(), engine.Job{Prompts: [][]engine.Token{s.prompt}, Choices: 1}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.sessions.Note(&w.caches, Turn{
		Session: s.id, Place: uint32(place), Prompt: int64(tally.Prompt), Cached: int64(tally.Cached), Began: w.now, Ended: w.now.Add(50 * time.Millisecond),
	})
	w.say(s, 40+w.random.IntN(80))
	s.next = w.now.Add(5*time.Second + time.Duration(w.random.IntN(15_000))*time.Millisecond)
}

// wants checks the alarms so far.
func (w *world) wants(when string, alarms ...bool) {
	w.t.Helper()
	w.t.Logf("%s: %d tokens warm within %v, %d fit, shortfall %.3f", when, w.last.Warm, w.last.Within, w.last.Fit, w.last.Shortfall)
	if len(w.alarms) != len(alarms) {
		w.t.Fatalf("%s: alarms %v, want %v", when, w.alarms, alarms)
	}
	for i, on := range alarms {
		if w.alarms[i] != on {
			w.t.Fatalf("%s: alarms %v, want %v", when, w.alarms, alarms)
		}
	}
}

// With room for all conversations there is no alarm, however long they go on, and what is expected is found. With twice as many
// conversations as fit the alarm begins within two minutes, once. It ends, once, when the conversations become fewer again.
func TestOverrunCaches(t *testing.T) {
	const servers, each = 4, 50_000
	w := newWorld(t, servers, each)
	w.run(30, 10*time.Minute) // about half of what fits
	w.wants("half full")
	if w.last.Shortfall > 0.01 || w.last.Warm > w.fit*8/10 {
		t.Errorf("%+v", w.last)
	}
	w.run(150, 2*time.Minute)
	w.wants("overrun", true)
	if w.last.Warm < w.fit {
		t.Errorf("%+v: overrun, and all fits", w.last)
	}
	w.run(150, 5*time.Minute)
	w.wants("still overrun", true)
	w.run(30, 4*time.Minute)
	w.wants("relieved", true, false)
	w.run(30, 5*time.Minute)
	w.wants("still relieved", true, false)
}

// Without turns an alarm ends by itself.
func TestAlarmEndsWithoutTurns(t *testing.T) {
	w := newWorld(t, 1, 15_000)
	w.run(40, 3*time.Minute)
	w.wants("overrun", true)
	w.run(0, 5*time.Minute)
	w.wants("empty", true, false)
	if w.last.Shortfall != 0 {
		t.Errorf("%+v: a shortfall of no turns", w.last)
	}
	w.run(0, 20*time.Minute)
	if w.last.Warm != 0 {
		t.Errorf("%d tokens warm 20 minutes after the last turn", w.last.Warm)
	}
}

// turns is n turns of 10,000 tokens in each of 20 conversations. change changes each before it is noted.
func turns(c *Caches, n int, change func(turn int, t *Turn)) (expected int64, stayed int) {
	var s Sessions
	for turn := range n {
		for id := range uint64(20) {
			at := start.Add(time.Duration(turn)*5*time.Second + time.Duration(id)*100*time.Millisecond)
			t := Turn{Session: id + 1, Place: 7, Prompt: 10_000, Cached: 0, Began: at, Ended: at.Add(time.Second)}
			change(turn, &t)
			b := s.Note(c, t)
			if expected += b.Expected; b.Stayed {
				stayed++
			}
		}
	}
	return expected, stayed
}

// Only what servers were sure to have counts as lost.
func TestWhatIsNoLoss(t *testing.T) {
	for name, c := range map[string]struct {
		change func(turn int, t *Turn)
		want   bool
	}{
		"lost":                            {func(int, *Turn) {}, true},
		"a tenth is lost":                 {func(_ int, t *Turn) { t.Cached = 9_000 }, false},
		"a fifth is lost":                 {func(_ int, t *Turn) { t.Cached = 8_000 }, true},
		"moved each time":                 {func(turn int, t *Turn) { t.Place = uint32(turn) }, false},
		"mostly new text":                 {func(turn int, t *Turn) { t.Prompt = 1_000 << turn }, false},
		"shorter than before":             {func(turn int, t *Turn) { t.Prompt = 100_000 - int64(turn)*1_000 }, false},
		"short":                           {func(turn int, t *Turn) { t.Prompt = 500 }, false},
		"the end of a block":              {func(turn int, t *Turn) { t.Prompt = 1_000; t.Cached = 880 }, false},
		"unknown what was cached":         {func(_ int, t *Turn) { t.Cached = -1 }, false},
		"two turns at once":               {func(turn int, t *Turn) { t.Ended = t.Ended.Add(10 * time.Second) }, false},
		"a server that claims too much":   {func(_ int, t *Turn) { t.Cached = 1 << 40 }, false},
		"no conversation":                 {func(_ int, t *Turn) { t.Session = 0 }, false},
		"an impossible length of prompts": {func(_ int, t *Turn) { t.Prompt = 1 << 40 }, false},
	} {
		var caches Caches
		const n = 6
		turns(&caches, n, c.change)
		if r, changed := caches.Look(0, start.Add(n*5*time.Second)); r.Overrun != c.want || changed != c.want {
			t.Errorf("%s: %+v, want an alarm: %v", name, r, c.want)
		}
	}
}

// What is expected is the last prompt, if the conversation stayed and is warm, and never more than the present one.
func TestExpected(t *testing.T) {
	var c Caches
	expected, stayed := turns(&c, 3, func(turn int, t *Turn) { t.Prompt = int64(1000 * (turn + 1)) })
	if want := int64(20 * (1000 + 2000)); expected != want || stayed != 40 {
		t.Errorf("%d tokens of %d turns, want %d of 40", expected, stayed, want)
	}
	if expected, stayed = turns(&c, 2, func(turn int, t *Turn) { t.Prompt = int64(1000 * (2 - turn)) }); expected != 20*1000 || stayed != 20 {
		t.Errorf("%d tokens of %d turns, want those of the shorter prompt", expected, stayed)
	}
	if expected, stayed = turns(&c, 2, func(turn int, t *Turn) { t.Place = uint32(turn) }); expected != 0 || stayed != 0 {
		t.Errorf("%d tokens of %d turns that moved", expected, stayed)
	}
	cold := func(turn int, t *Turn) {
		t.Began, t.Ended = t.Began.Add(time.Duration(turn)*time.Hour), t.Ended.Add(time.Duration(turn)*time.Hour)
	}
	if expected, stayed = turns(&c, 2, cold); expected != 0 || stayed != 0 {
		t.Errorf("%d tokens of %d turns an hour later", expected, stayed)
	}
}

// A client goes on once it has the last event of a stream, a moment before the answer has ended. A turn that begins earlier is concurrent.
func TestTurnsThatOverlap(t *testing.T) {
	for before, want := range map[time.Duration]bool{time.Millisecond: true, early: true, early + time.Millisecond: false, time.Minute: false} {
		var s Sessions
		var c Caches
		s.Note(&c, Turn{Session: 1, Prompt: 1000, Cached: -1, Began: start, Ended: start.Add(time.Hour)})
		began := start.Add(time.Hour - before)
		stayed := s.Note(&c, Turn{Session: 1, Prompt: 2000, Cached: -1, Began: began, Ended: began.Add(2 * time.Minute)}).Stayed
		if stayed != want {
			t.Errorf("%v before the end: follows %v, want %v", before, stayed, want)
		}
	}
}
