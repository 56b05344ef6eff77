package main

import (
	"bytes"
	"flag"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tether/session/identity"
)

var update = flag.Bool("update", false, "update the scorecard in docs/CLIENTS.md")

// The goals are also met in a shorter simulation, with any seed.
func TestGoals(t *testing.T) {
	for seed := range uint64(3) {
		var out, missed bytes.Buffer
		if code := run(seed, 2, &out, &missed); code != 0 {
			t.Errorf("seed %d: %d\n%s%s", seed, code, &missed, &out)
		}
	}
}

// Equal seeds give equal scorecards.
func TestSeeds(t *testing.T) {
	var cards []string
	for _, seed := range []uint64{1, 1, 2} {
		var out bytes.Buffer
		run(seed, 1, &out, &out)
		cards = append(cards, out.String())
	}
	if cards[0] != cards[1] || cards[0] == cards[2] {
		t.Errorf("seeds 1, 1 and 2:\n%s\n%s\n%s", cards[0], cards[1], cards[2])
	}
}

// Agents that begin all of their conversations alike stay on their servers like others, and so does the load. The first ten
// conversations teach it.
func TestAiders(t *testing.T) {
	for _, narrow := range []bool{true, false} {
		c := new(class)
		w, err := newWorld(1, 10, config{identity: identity.Default(), routing: byRing(), narrow: narrow})
		if err != nil {
			t.Fatal(err)
		}
		one := aider(w)
		for _, n := range []int{10, 24} {
			*c, w.load = class{}, load{}
			for _, s := range w.servers {
				s.busy = 0
			}
			people(w, c, n, func(int) *talk { return one(5) })
			if err := w.clock.Run(func(d time.Duration) { w.load.pass(w.servers, d) }); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("narrow %v: %d of %d later turns stay, cached share %.2f, the busiest of %d servers has %.2f times the mean load",
			narrow, c.stayed, c.later, float64(c.found)/float64(c.tokens), upstreams, w.load.overall(w.servers))
		if !narrow && (c.later != 96 || c.stayed < 94) {
			t.Errorf("%d of %d later turns stay, want 94 of 96", c.stayed, c.later)
		}
	}
}

// Without its rule, a kind of traffic misses its goals.
func TestGoalsCanBeMissed(t *testing.T) {
	for _, c := range []struct {
		rule   string
		breaks func(*config)
		missed []string
	}{
		{"no opening", func(cfg *config) { cfg.identity.Sources = []string{"header:X-Session-Id"} }, []string{
			"plain chats", "agents with 20 sub-agents", "refreshed JWTs", "1,000 times the same greeting, a key each",
		}},
		{"no crowds", func(cfg *config) { cfg.routing.OpeningMaxInFlight = 10_000 }, []string{
			"1,000 times the same greeting, one key", "RL groups of 64 equal prompts",
		}},
		{"no openings of completions", func(cfg *config) { cfg.identity.CompletionsOpening = false }, []string{
			"completions that grow", "completions that grow from shared few-shot examples",
		}},
		{"narrow openings", func(cfg *config) { cfg.narrow = true }, []string{
			"shared few-shot messages, one key", aiderRow, qwenRow,
		}},
		{"one caller", func(cfg *config) { cfg.identity.Scope = "none" }, []string{"1,000 times the same greeting, a key each"}},
		{"tokens as they are", func(cfg *config) { cfg.identity.Scope = "header:Authorization" }, []string{"refreshed JWTs"}},
	} {
		for _, class := range classes() {
			if class.configure != nil || !slices.Contains(c.missed, class.name) {
				continue
			}
			class.configure = c.breaks
			if err := class.run(1, 1); err != nil {
				t.Fatal(err)
			}
			if len(class.missed()) == 0 {
				t.Errorf("%s: %s misses no goal", c.rule, class.name)
			}
		}
	}
}

func TestBlocks(t *testing.T) {
	const block = blockTokens * tokenBytes
	var text string
	for n := range 5 {
		text += strings.Repeat(strconv.Itoa(n), block)
	}
	seen := blocks{}
	seen.add(chainOf(text))
	for prompt, want := range map[string]int{
		text: 5, text + "x": 5, text[:block]: 1, text[:block-1]: 0, text[:block] + "x" + text[block+1:]: 1, "x" + text[1:]: 0, text[block:]: 0, "": 0,
	} {
		if got := seen.match(chainOf(prompt)); got != want {
			t.Errorf("%d blocks of %q were seen, want %d", got, prompt, want)
		}
	}
	if n := count("12345"); n != 2 {
		t.Errorf("5 bytes are %d tokens", n)
	}
}

// docs/CLIENTS.md has the scorecard of the default flags. go test ./bench/identity -run Documentation -update writes it.
func TestDocumentation(t *testing.T) {
	const file = "../../docs/CLIENTS.md"
	var card, missed bytes.Buffer
	if run(1, 10, &card, &missed) != 0 {
		t.Error(&missed)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := strings.Cut(card.String(), "\n")
	before, rest, found := strings.Cut(string(text), header+"\n")
	if !found {
		t.Fatalf("%s has no table that begins with %s", file, header)
	}
	_, after, _ := strings.Cut(rest, "\n\n")
	want := before + card.String() + "\n" + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s does not have the scorecard: update it with -update\n%s", file, &card)
	}
}
