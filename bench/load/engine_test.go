package main

import (
	"slices"
	"testing"
	"time"
)

// plain computes 1,000 tokens a second, in chunks of 100, so that a full chunk takes 100 ms. A step with answers alone takes
// 10 ms.
var plain = hardware{rate: 1000, chunk: 100, leastStep: 10 * time.Millisecond, capacity: 100 * blockTokens}

// arrival is a request that arrives at an engine.
type arrival struct {
	at   time.Duration
	turn turn
	from int // name of the first block
}

// drive runs an engine until it has nothing to do. It returns when the first and the last token of each request were there.
func drive(e *engine, arrivals ...arrival) (first, last []time.Duration) {
	first, last = make([]time.Duration, len(arrivals)), make([]time.Duration, len(arrivals))
	var now, end time.Duration
	busy := false // until end
	for next := 0; busy || next < len(arrivals); {
		if next < len(arrivals) && (!busy || arrivals[next].at <= end) {
			a := arrivals[next]
			now = max(now, a.at)
			e.add(&request{turn: &a.turn, n: next, blocks: prompt(a.from, blocksOf(a.turn.prompt))}, now)
			if next++; !busy {
				_, busy = e.plan(now)
			}
			end = e.end()
			continue
		}
		now = end
		begun, done := e.finish()
		for _, r := range begun {
			first[r.n] = now
		}
		for _, r := range done {
			last[r.n] = now
		}
		end, busy = e.plan(now)
	}
	return first, last
}

func ms(all ...int) (times []time.Duration) {
	for _, n := range all {
		times = append(times, time.Duration(n)*time.Millisecond)
	}
	return times
}

// A frozen engine ends its step, and goes on when it is thawed.
func TestFrozen(t *testing.T) {
	e := newEngine(plain)
	e.add(&request{turn: &turn{prompt: 350, answer: 5}, blocks: prompt(1, 1)}, 0)
	if end, ok := e.plan(0); !ok || end != ms(300)[0] {
		t.Fatalf("the steps end at %v", end)
	}
	e.frozen = true
	if !e.cut(ms(110)[0]) || e.end() != ms(200)[0] || e.cut(ms(110)[0]) {
		t.Errorf("the second step ends at %v", e.end())
	}
	e.finish()
	if _, ok := e.plan(ms(200)[0]); ok || e.waiting[0].uncomputed != 150 {
		t.Errorf("a frozen engine works, or has not computed 200 tokens: %d are left", e.waiting[0].uncomputed)
	}
	e.frozen = false
	if end, ok := e.plan(ms(900)[0]); !ok || end != ms(1000)[0] {
		t.Errorf("the next step ends at %v", end)
	}
}

// A crash loses all requests and the cache.
func TestCrash(t *testing.T) {
	e := newEngine(plain)
	for n := range 3 {
		e.add(&request{turn: &turn{prompt: 60, answer: 50}, n: n, blocks: prompt(10*n, 1)}, 0)
	}
	e.plan(0)
	e.finish()
	lost := e.crash()
	if len(lost) != 3 || lost[0].n != 0 || lost[1].n != 1 || e.cache.match(prompt(0, 1)) != 0 {
		t.Errorf("%d requests are lost: %+v", len(lost), lost)
	}
	if _, ok := e.plan(0); ok {
		t.Error("the engine has something to do")
	}
}

func TestTimes(t *testing.T) {
	small := plain
	small.capacity = 2 * blockTokens
	slower := plain
	slower.perAnswer = time.Millisecond
	for _, c := range []struct {
		name        string
		hardware    hardware
		arrivals    []arrival
		first, last []time.Duration
	}{
		{
			"a prompt is computed in chunks, then the answer is written", plain,
			[]arrival{{0, turn{prompt: 250, answer: 11}, 1}},
			ms(250), ms(350),
		},
		{
			"a short prompt takes a whole step", plain,
			[]arrival{{0, turn{prompt: 5, answer: 1}, 1}},
			ms(10), ms(10),
		},
		{
			"first come, first served", plain,
			[]arrival{{0, turn{prompt: 200, answer: 1}, 1}, {0, turn{prompt: 100, answer: 1}, 2}},
			ms(200, 300), ms(200, 300),
		},
		{
			"the end of a prompt and the beginning of the next share a step", plain,
			[]arrival{{0, turn{prompt: 50, answer: 1}, 1}, {0, turn{prompt: 20, answer: 1}, 2}, {1, turn{prompt: 60, answer: 1}, 3}},
			ms(50, 130, 130), ms(50, 130, 130),
		},
		{
			"a cached prefix is not computed again", plain,
			[]arrival{{0, turn{prompt: 100, answer: 1}, 1}, {ms(200)[0], turn{prompt: 130, kept: 100, answer: 1}, 1}},
			ms(100, 230), ms(100, 230),
		},
		{
			"the last token of a prompt is always computed", plain,
			[]arrival{{0, turn{prompt: 100, answer: 1}, 1}, {ms(200)[0], turn{prompt: 100, kept: 100, answer: 1}, 1}},
			ms(100, 210), ms(100, 210),
		},
		{
			"a prompt joins the answers at the next step, and slows them down", plain,
			[]arrival{{0, turn{prompt: 100, answer: 11}, 1}, {ms(115)[0], turn{prompt: 99, answer: 1}, 2}},
			ms(100, 219), ms(289, 219),
		},
		{
			"answers slow each other down", slower,
			[]arrival{{0, turn{prompt: 50, answer: 11}, 1}, {0, turn{prompt: 50, answer: 11}, 2}},
			ms(50, 101), ms(101+9*12, 101+9*12+11),
		},
		{
			"a prompt waits for memory", small,
			[]arrival{{0, turn{prompt: 100, answer: 11}, 1}, {0, turn{prompt: 100, answer: 1}, 2}},
			ms(100, 300), ms(200, 300),
		},
	} {
		first, last := drive(newEngine(c.hardware), c.arrivals...)
		if !slices.Equal(first, c.first) || !slices.Equal(last, c.last) {
			t.Errorf("%s: first tokens %v, want %v; last tokens %v, want %v", c.name, first, c.first, last, c.last)
		}
	}
}
