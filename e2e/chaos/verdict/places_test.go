package verdict

import (
	"testing"

	"tether/e2e/chaos/ledger"
)

func TestPlaces(t *testing.T) {
	// then adds a turn that follows the others, at 50 s.
	then := func(server, affinity string) func(*ledger.Ledger) {
		return func(l *ledger.Ledger) {
			l.Turns = append(l.Turns, turn("z", 50, server, affinity))
			l.Attempts = append(l.Attempts, attempt("z", server, 50, 200))
		}
	}
	// left adds a turn whose client left before it saw where it was, at 45 s.
	left := func(server string, next func(*ledger.Ledger)) func(*ledger.Ledger) {
		return func(l *ledger.Ledger) {
			gone := turn("y", 45, "", "")
			gone.Result = ledger.Left
			l.Turns, l.Attempts = append(l.Turns, gone), append(l.Attempts, attempt("y", server, 45, 200))
			next(l)
		}
	}
	first := func(begun ledger.Turn, a ledger.Attempt) func(*ledger.Ledger) {
		return func(l *ledger.Ledger) {
			again := turn("q", 2, "vllm-4", "new")
			begun.Conversation, again.Conversation, begun.Server, begun.Affinity = 3, 3, "vllm-3", "new"
			l.Turns = append(l.Turns, begun, again)
			l.Attempts = append(l.Attempts, a, attempt("q", "vllm-4", 2, 200))
		}
	}
	check(t, []change{
		{"it stays", then("vllm-1", "pinned"), "", ""},
		{"it moves for nothing", then("vllm-3", "moved"), "places", "nothing has driven it from [vllm-1]"},
		{"it is forgotten", then("vllm-3", "new"), "places", "nothing has driven it from [vllm-1]"},
		{"it is pinned elsewhere", then("vllm-3", "pinned"), "places", "pinned to vllm-3"},
		{"it spills for nothing", then("vllm-3", "spilled"), "places", "nothing was wrong at [vllm-1]"},
		{"it moves from a killed server", during(event("kill", "vllm-1", 46, 48), then("vllm-3", "moved")), "", ""},
		{"it moves though another server was killed", during(event("kill", "vllm-4", 46, 48), then("vllm-3", "moved")), "places", "nothing has driven it"},
		{"it moves long after its server was killed and used again", during(event("kill", "vllm-1", 32, 34), then("vllm-3", "moved")), "places", "nothing has driven it"},
		{"it moves from a drain that is not hard", during(event("drain", "vllm-1", 46, 52), then("vllm-3", "moved")), "places", "nothing has driven it"},
		{"it moves from a hard drain", during(event("drain-hard", "vllm-1", 46, 52), then("vllm-3", "moved")), "", ""},
		{"it moves with a restart", during(event("restart", "", 46, 48), then("vllm-3", "new")), "places", "nothing has driven it"},
		{"its client has not seen the move", during(event("kill", "vllm-1", 44, 45.2), left("vllm-3", then("vllm-3", "pinned"))), "", ""},
		{"its client left, and it is elsewhere", left("vllm-1", then("vllm-3", "pinned")), "places", "pinned to vllm-3"},
		{"its first answer was an error", first(failed("p", 1, 500, "simulated status 500"), attempt("p", "vllm-3", 1, 500, "status")), "", ""},
		{"its first answer was whole", first(turn("p", 1, "", ""), attempt("p", "vllm-3", 1, 200)), "places", "new at vllm-4"},
	})
}
