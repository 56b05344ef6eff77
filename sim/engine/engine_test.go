package engine

import (
	"cmp"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// testEngine makes an engine. The sizes that cfg leaves out are larger than any test needs.
func testEngine(cfg Config) *Engine {
	cfg.BlockSize = cmp.Or(cfg.BlockSize, 16)
	cfg.CacheBlocks = cmp.Or(cfg.CacheBlocks, 16384)
	cfg.MaxSeqs = cmp.Or(cfg.MaxSeqs, 256)
	return New(cfg, func() {})
}

func ids(n, first int) []Token {
	tokens := make([]Token, n)
	for i := range tokens {
		tokens[i] = Token(first + i)
	}
	return tokens
}

func oneJob(prompt []Token, max int) Job {
	return Job{Prompts: [][]Token{prompt}, Choices: 1, Max: max}
}

func mustRun(t *testing.T, e *Engine, j Job) (Tally, []Token) {
	t.Helper()
	var out []Token
	got, err := e.Run(t.Context(), j, func(s Step) error {
		out = append(out, s.Token)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, out
}

// The figures are those of a real vLLM with --block-size 32, for growing prefixes of one prompt, each sent twice.
func TestCachedTokens(t *testing.T) {
	e := testEngine(Config{BlockSize: 32})
	for _, c := range []struct{ prompt, first, second int }{
		{31, 0, 0}, {32, 0, 0}, {33, 32, 32}, {64, 32, 32}, {65, 64, 64}, {96, 64, 64}, {97, 96, 96}, {100, 96, 96}, {128, 96, 96},
	} {
		first, _ := mustRun(t, e, oneJob(ids(c.prompt, 0), 1))
		second, _ := mustRun(t, e, oneJob(ids(c.prompt, 0), 1))
		if first.Cached != c.first || second.Cached != c.second {
			t.Errorf("%d tokens: cached %d, then %d, want %d, then %d", c.prompt, first.Cached, second.Cached, c.first, c.second)
		}
	}
}

// The figures are those of a real vLLM too, for a chat of three turns.
func TestCreatedTokens(t *testing.T) {
	e := testEngine(Config{BlockSize: 32})
	for _, c := range []struct{ prompt, cached, created int }{{219, 0, 192}, {251, 192, 32}, {282, 224, 32}, {30, 0, 0}} {
		first := 0
		if c.prompt == 30 {
			first = 5000
		}
		got, _ := mustRun(t, e, oneJob(ids(c.prompt, first), 1))
		if got.Cached != c.cached || got.Created != c.created {
			t.Errorf("%d tokens: cached %d created %d, want %d and %d", c.prompt, got.Cached, got.Created, c.cached, c.created)
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
	if got, _ := mustRun(t, e, oneJob(whole, 1)); got.Cached != 96 {
		t.Errorf("cached %d of the next turn, want 96", got.Cached)
	}
}

func TestSaltSeparatesCaches(t *testing.T) {
	e := testEngine(Config{})
	j := oneJob(ids(64, 0), 1)
	mustRun(t, e, j)
	j.Salt = 1
	if got, _ := mustRun(t, e, j); got.Cached != 0 {
		t.Errorf("cached %d under another salt, want 0", got.Cached)
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

func TestUncachedTokensTakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := testEngine(Config{PrefillPerToken: time.Millisecond, DecodePerToken: 10 * time.Millisecond})
		for _, want := range []time.Duration{100 * time.Millisecond, 4 * time.Millisecond} { // 96 of 100 are cached then
			begin := time.Now()
			var at []time.Duration
			_, err := e.Run(t.Context(), oneJob(ids(100, 0), 3), func(Step) error {
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

func TestErrorOfEmitEndsTheJob(t *testing.T) {
	e := testEngine(Config{})
	gone := errors.New("gone")
	got, err := e.Run(t.Context(), oneJob(ids(40, 0), 1000), func(s Step) error {
		return gone
	})
	if !errors.Is(err, gone) || got.Completion != 0 {
		t.Errorf("%v after %d tokens", err, got.Completion)
	}
	if s := e.Stats(); s.Aborted != 1 || s.Finished != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestAnswerIsThatOfAnEngine(t *testing.T) {
	prompt := Tokenize("some words to answer")
	_, out := mustRun(t, testEngine(Config{}), oneJob(prompt, 9))
	if got, want := Answer(prompt, 9), Detokenize(out); got != want || got == "" {
		t.Errorf("%q, want %q", got, want)
	}
}
