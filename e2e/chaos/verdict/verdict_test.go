package verdict

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tether/e2e/chaos/ledger"
)

// noon is the beginning of the ledgers of these tests.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// turn is a whole turn of conversation 1 that takes half a second.
func turn(id string, start float64, server, affinity string) ledger.Turn {
	return ledger.Turn{
		ID: id, Conversation: 1, API: "chat", Source: "opening", Manner: "plain", Start: at(start), End: at(start + 0.5),
		Status: 200, Server: server, Affinity: affinity, Result: ledger.Whole,
	}
}

// failed is a turn that got an error.
func failed(id string, start float64, status int, message string) ledger.Turn {
	t := turn(id, start, "", "none")
	t.Status, t.Message, t.Result = status, message, ledger.Failed
	return t
}

// attempt is an attempt that took 0.4 s.
func attempt(id, server string, start float64, status int, faults ...string) ledger.Attempt {
	return ledger.Attempt{ID: id, Server: server, Life: 1, At: at(start + 0.05), End: at(start + 0.45), Status: status, Faults: faults}
}

func event(kind, server string, from, to float64) ledger.Event {
	return ledger.Event{Kind: kind, Server: server, From: at(from), To: at(to)}
}

// good is a ledger without a violation: a conversation stays, moves when its server is killed, spills when its new one refuses, and returns.
func good() *ledger.Ledger {
	late := attempt("c", "vllm-1", 20, 200)
	return &ledger.Ledger{
		Turns: []ledger.Turn{
			turn("a", 0, "vllm-0", "new"), turn("b", 5, "vllm-0", "pinned"), turn("c", 20, "vllm-1", "moved"),
			turn("d", 30, "vllm-2", "spilled"), turn("e", 40, "vllm-1", "pinned"),
		},
		Attempts: []ledger.Attempt{
			attempt("a", "vllm-0", 0, 200), attempt("b", "vllm-0", 5, 200), late,
			{ID: "d", Server: "vllm-1", At: at(30.01), End: at(30.02), Status: 503, Faults: []string{"queue-full"}},
			attempt("d", "vllm-2", 30, 200), attempt("e", "vllm-1", 40, 200),
		},
		Events:  []ledger.Event{event("kill", "vllm-0", 18, 21), event("queue-full", "vllm-1", 29, 31)},
		Figures: []ledger.Figure{{Name: "goroutines", Start: 40, End: 40, Limit: 40}},
	}
}

func TestGood(t *testing.T) {
	for _, v := range Judge(good()) {
		t.Error(v)
	}
}

// change is a way to break a rule.
type change struct {
	name string
	make func(*ledger.Ledger)
	rule string // "" if nothing is broken
	text string // part of what the verdict says
}

// check judges a ledger after a change.
func check(t *testing.T, all []change) {
	t.Helper()
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			l := good()
			c.make(l)
			found := Judge(l)
			if c.rule == "" {
				for _, v := range found {
					t.Error(v)
				}
				return
			}
			if !slices.ContainsFunc(found, func(v Violation) bool { return v.Rule == c.rule && strings.Contains(v.String(), c.text) }) {
				t.Errorf("found %v, want %s: %s", found, c.rule, c.text)
			}
		})
	}
}

// add adds a turn with its attempts.
func add(t ledger.Turn, attempts ...ledger.Attempt) func(*ledger.Ledger) {
	return func(l *ledger.Ledger) {
		t.Conversation = 2
		l.Turns, l.Attempts = append(l.Turns, t), append(l.Attempts, attempts...)
	}
}

// during adds an event to what another change makes.
func during(e ledger.Event, make func(*ledger.Ledger)) func(*ledger.Ledger) {
	return func(l *ledger.Ledger) {
		make(l)
		l.Events = append(l.Events, e)
	}
}

func TestRuleNames(t *testing.T) {
	v := Violation{"answers", "c1-2", "wrong"}
	if v.String() != "answers: c1-2: wrong" {
		t.Error(v)
	}
}
