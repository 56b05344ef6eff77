package verdict

import (
	"testing"

	"tether/e2e/chaos/ledger"
)

func TestAnswers(t *testing.T) {
	first := func(change func(*ledger.Turn)) func(*ledger.Ledger) {
		return func(l *ledger.Ledger) { change(&l.Turns[0]) }
	}
	check(t, []change{
		{"a wrong text", first(func(t *ledger.Turn) { t.Wrong = "the text is that of another conversation" }), "answers", "another conversation"},
		{"an error without the session id", first(func(t *ledger.Turn) { t.Result, t.Wrong = ledger.Cut, "the answer has no X-Session-Id" }), "answers", "no X-Session-Id"},
		{"a deaf client that is not cut", first(func(t *ledger.Turn) {
			t.Result, t.Wrong = ledger.Left, "a client that did not read its answer was not cut"
		}), "answers", "was not cut"},
		{"no end", first(func(t *ledger.Turn) { t.Result = ledger.Overdue }), "answers", "neither an answer nor an end"},
		{"an invented answer", func(l *ledger.Ledger) { l.Attempts = l.Attempts[1:] }, "answers", "no server has answered it"},
		{"the answer of another server", first(func(t *ledger.Turn) { t.Server = "vllm-5" }), "answers", `vllm-0 has answered it, but the answer names "vllm-5"`},
		{"an answer that was lost with its server", during(event("kill", "vllm-3", 0.5, 2), func(l *ledger.Ledger) {
			l.Attempts = append(l.Attempts, ledger.Attempt{ID: "a", Server: "vllm-3", At: at(0), End: at(0.04), Status: 200})
		}), "", ""},
		{"two answers", func(l *ledger.Ledger) { l.Attempts = append(l.Attempts, attempt("a", "vllm-3", 0.2, 200)) }, "answers", "[vllm-0 vllm-3]"},
	})
}
