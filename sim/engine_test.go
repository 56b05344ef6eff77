package sim

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func testEngine(cfg Config) *engine {
	return newEngine(cfg.withDefaults(), func() {})
}

func ids(n, first int) []token {
	tokens := make([]token, n)
	for i := range tokens {
		tokens[i] = token(first + i)
	}
	return tokens
}

func oneJob(prompt []token, max int) job {
	return job{prompts: [][]token{prompt}, choices: 1, max: max}
}

func mustRun(t *testing.T, e *engine, j job) (tally, []token) {
	t.Helper()
	var out []token
	got, err := e.run(t.Context(), j, func(s step) error {
		out = append(out, s.token)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, out
}

// The figures are a real vLLM's, with --block-size 32: growing prefixes of one prompt, each asked for twice.
func TestCachedTokensAreThoseOfVLLM(t *testing.T) {
	e := testEngine(Config{BlockSize: 32})
	for _, c := range []struct{ prompt, first, second int }{
		{31, 0, 0}, {32, 0, 0}, {33, 32, 32}, {64, 32, 32}, {65, 64, 64}, {96, 64, 64}, {97, 96, 96}, {100, 96, 96}, {128, 96, 96},
	} {
		first, _ := mustRun(t, e, oneJob(ids(c.prompt, 0), 1))
		second, _ := mustRun(t, e, oneJob(ids(c.prompt, 0), 1))
		if first.cached != c.first || second.cached != c.second {
			t.Errorf("%d tokens: cached %d, then %d, want %d, then %d", c.prompt, first.cached, second.cached, c.first, c.second)
		}
	}
}

// Also read off a real one: a chat of three turns.
func TestCreatedTokensAreThoseOfVLLM(t *testing.T) {
	e := testEngine(Config{BlockSize: 32})
	for _, c := range []struct{ prompt, cached, created int }{{219, 0, 192}, {251, 192, 32}, {282, 224, 32}, {30, 0, 0}} {
		first := 0
		if c.prompt == 30 {
			first = 5000
		}
		got, _ := mustRun(t, e, oneJob(ids(c.prompt, first), 1))
		if got.cached != c.cached || got.created != c.created {
			t.Errorf("%d tokens: cached %d created %d, want %d and %d", c.prompt, got.cached, got.created, c.cached, c.created)
		}
	}
}

func TestAnswersAreCached(t *testing.T) {
	e := testEngine(Config{BlockSize: 32})
	prompt := ids(60, 0)
	_, answer := mustRun(t, e, oneJob(prompt, 40))
	if len(answer) != 40 {
		t.Fatalf("%d tokens, want 40", len(answer))
	}
	whole := slices.Concat(prompt, answer)
	if got, _ := mustRun(t, e, oneJob(whole, 1)); got.cached != 96 {
		t.Errorf("cached %d of the next turn, want 96", got.cached)
	}
}

func TestSaltSeparatesCaches(t *testing.T) {
	e := testEngine(Config{})
	j := oneJob(ids(64, 0), 1)
	mustRun(t, e, j)
	j.salt = 1
	if got, _ := mustRun(t, e, j); got.cached != 0 {
		t.Errorf("cached %d under another salt, want 0", got.cached)
	}
}

func TestEqualPromptsGetEqualText(t *testing.T) {
	e := testEngine(Config{})
	_, a := mustRun(t, e, oneJob(ids(64, 0), 20))
	_, b := mustRun(t, e, oneJob(ids(64, 0), 20))
	_, c := mustRun(t, e, oneJob(ids(64, 1), 20))
	if !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Errorf("equal prompts: %v, other prompt: %v", slices.Equal(a, b), !slices.Equal(a, c))
	}
}

func TestTimeIsThatOfUncachedTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := testEngine(Config{PrefillPerToken: time.Millisecond, DecodePerToken: 10 * time.Millisecond})
		for _, want := range []time.Duration{100 * time.Millisecond, 4 * time.Millisecond} { // 96 of 100 are cached then
			begin := time.Now()
			var at []time.Duration
			_, err := e.run(t.Context(), oneJob(ids(100, 0), 3), func(step) error {
				at = append(at, time.Since(begin))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(at, []time.Duration{want, want + 10*time.Millisecond, want + 20*time.Millisecond}) {
				t.Errorf("tokens at %v, want the first at %v", at, want)
			}
		}
	})
}

func TestQueueIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := testEngine(Config{MaxSeqs: 1, PrefillPerToken: time.Millisecond})
		var order []int
		for i := range 4 {
			go func() {
				_, _ = e.run(t.Context(), oneJob(ids(100, 1000*i), 1), func(step) error {
					order = append(order, i) // one runs at a time
					return nil
				})
			}()
			synctest.Wait()
			if running, waiting := e.queue.lengths(); running != 1 || waiting != i {
				t.Errorf("after %d requests: %d run, %d wait", i+1, running, waiting)
			}
		}
		begin := time.Now()
		time.Sleep(401 * time.Millisecond)
		synctest.Wait()
		if !slices.Equal(order, []int{0, 1, 2, 3}) {
			t.Errorf("order %v after %v", order, time.Since(begin))
		}
	})
}

func TestAbortFreesThePlace(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration // of the second request's start, while the first runs until 100 ms
	}{{"queued", 50 * time.Millisecond}, {"prefill", 150 * time.Millisecond}, {"decode", 250 * time.Millisecond}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := testEngine(Config{MaxSeqs: 1, PrefillPerToken: time.Millisecond, DecodePerToken: time.Hour})
				go func() { _, _ = e.run(t.Context(), oneJob(ids(100, 0), 1), func(step) error { return nil }) }()
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), c.after)
				defer cancel()
				begin := time.Now()
				_, err := e.run(ctx, oneJob(ids(100, 1000), 2), func(step) error { return nil })
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != c.after {
					t.Errorf("%v after %v, want the end of ctx after %v", err, time.Since(begin), c.after)
				}
				time.Sleep(time.Second)
				if running, waiting := e.queue.lengths(); running != 0 || waiting != 0 {
					t.Errorf("%d run, %d wait after the abort", running, waiting)
				}
				if e.usage() != 0 {
					t.Errorf("usage %v after the abort", e.usage())
				}
			})
		})
	}
}

// A turn that comes at the moment when its request gives up must go to the next in line.
func TestTurnIsNotLost(t *testing.T) {
	q := queue{limit: 1, changed: func() {}}
	if err := q.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, second := q.take(), q.take()
	q.leave() // first's turn
	q.giveUp(first)
	select {
	case <-second:
	default:
		t.Error("the second in line has no turn")
	}
}

func TestEndOfEmitEndsTheJob(t *testing.T) {
	e := testEngine(Config{})
	gone := errors.New("gone")
	got, err := e.run(t.Context(), oneJob(ids(40, 0), 1000), func(s step) error {
		return gone
	})
	if !errors.Is(err, gone) || got.completion != 0 {
		t.Errorf("%v after %d tokens", err, got.completion)
	}
	if s := e.snapshot(); s.Aborted != 1 || s.Finished != 0 {
		t.Errorf("stats %+v", s)
	}
}
