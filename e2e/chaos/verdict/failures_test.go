package verdict

import (
	"testing"

	"tether/e2e/chaos/ledger"
)

// resetBy is an attempt whose server reset it.
func resetBy(server string, start float64) ledger.Attempt {
	return ledger.Attempt{ID: "x", Server: server, At: at(start), End: at(start + 0.01), Faults: []string{"reset"}}
}

func refusedBy(server string, start float64) ledger.Attempt {
	return ledger.Attempt{ID: "x", Server: server, At: at(start), End: at(start + 0.01), Status: 503, Faults: []string{"queue-full"}}
}

func TestFailures(t *testing.T) {
	dead := failed("x", 10, 502, messageDied)
	chained := func(t ledger.Turn) ledger.Turn { t.Chained = true; return t }
	full := failed("x", 10, 503, "The engine is currently busy and cannot accept new requests.")
	check(t, []change{
		{"two servers died", add(dead, resetBy("vllm-3", 10), resetBy("vllm-4", 10.1)), "", ""},
		{"one server died", add(dead, resetBy("vllm-3", 10)), "failures", "died over this request"},
		{"the only server died", add(chained(dead), resetBy("vllm-3", 10)), "", ""},
		{"one died, one was killed before it had read the request", during(event("kill", "vllm-4", 9, 12), add(dead, resetBy("vllm-3", 10))), "", ""},
		{"no server was struck", add(failed("x", 10, 502, messageNone)), "failures", "No model server answered"},
		{"three were struck", during(event("kill", "vllm-5", 9, 12), during(event("kill", "vllm-4", 9, 12), during(event("freeze", "vllm-3", 9, 12), add(failed("x", 10, 502, messageNone))))), "", ""},
		{"a malformed head", add(failed("x", 10, 502, messageBad), attempt("x", "vllm-3", 10, 0, "bad-head")), "", ""},
		{"an invented malformed head", add(failed("x", 10, 502, messageBad), attempt("x", "vllm-3", 10, 200)), "failures", "malformed"},
		{"a hanging server", during(event("hang", "vllm-3", 9, 30), add(failed("x", 10, 504, messageTimeout), attempt("x", "vllm-3", 10, 0, "hang"))), "", ""},
		{"a server that did not hang", add(failed("x", 10, 504, messageTimeout), attempt("x", "vllm-3", 10, 0)), "failures", "504"},
		{"no descriptors", during(event("descriptors", "", 9, 12), add(failed("x", 10, 503, messageExhausted))), "", ""},
		{"enough descriptors", add(failed("x", 10, 503, messageExhausted)), "failures", "Out of connections"},
		{"the server's own 500", add(failed("x", 10, 500, "simulated status 500"), attempt("x", "vllm-3", 10, 500, "status")), "", ""},
		{"an invented 500", add(failed("x", 10, 500, "Internal error."), attempt("x", "vllm-3", 10, 200)), "failures", "Internal error"},
		{"all were full", add(full, refusedBy("vllm-3", 10), refusedBy("vllm-4", 10.1), refusedBy("vllm-5", 10.2)), "", ""},
		{"two were full", add(full, refusedBy("vllm-3", 10), refusedBy("vllm-4", 10.1)), "failures", "currently busy"},
		{"one died, the next was full", add(full, resetBy("vllm-3", 10), refusedBy("vllm-4", 10.1)), "", ""},
		{"the only one was full", add(chained(full), refusedBy("vllm-3", 10)), "", ""},
		{"a 400 for nothing", add(failed("x", 10, 400, "The request is not valid HTTP/1.1.")), "failures", "not valid"},
	})
}

// A stored response may be lost with its server alone.
func TestLostResponses(t *testing.T) {
	asked := turn("w", 5, "vllm-3", "new")
	lost := failed("x", 10, 404, "Response with id 'resp_1' not found.")
	lost.Chained = true
	make := func(l *ledger.Ledger) {
		add(asked, attempt("w", "vllm-3", 5, 200))(l)
		add(lost, attempt("x", "vllm-4", 10, 404))(l)
	}
	check(t, []change{
		{"its server was killed", during(event("kill", "vllm-3", 7, 8), make), "", ""},
		{"its server is not in the list", during(event("remove", "vllm-3", 9, 12), make), "", ""},
		{"its server is down", during(event("flap", "vllm-3", 9, 12), make), "failures", "not found"},
		{"its server was killed before it", during(event("kill", "vllm-3", 1, 3), make), "failures", "not found"},
		{"another server was killed", during(event("kill", "vllm-4", 7, 8), make), "failures", "not found"},
	})
}

// A request about a stored response waits for its server alone.
func TestWaitingResponses(t *testing.T) {
	asked := turn("w", 5, "vllm-3", "new")
	waits := failed("x", 10, 503, messageWaits)
	waits.Chained = true
	make := func(l *ledger.Ledger) {
		add(asked, attempt("w", "vllm-3", 5, 200))(l)
		add(waits)(l)
	}
	check(t, []change{
		{"its server is down", during(event("flap", "vllm-3", 9, 12), make), "", ""},
		{"its server was killed", during(event("kill", "vllm-3", 7, 8), make), "", ""},
		{"its server is up", make, "failures", "is down"},
		{"its server was up long ago", during(event("flap", "vllm-3", 1, 4), make), "failures", "is down"},
		{"another server is down", during(event("flap", "vllm-4", 9, 12), make), "failures", "is down"},
	})
}

func TestCuts(t *testing.T) {
	cut := turn("x", 10, "vllm-3", "new")
	cut.Result = ledger.Cut
	check(t, []change{
		{"by a fault", add(cut, attempt("x", "vllm-3", 10, 200, "cut-inside")), "", ""},
		{"by a death", during(event("kill", "vllm-3", 10.2, 12), add(cut, ledger.Attempt{ID: "x", Server: "vllm-3", At: at(10), Status: 200})), "", ""},
		{"by tether", add(cut, attempt("x", "vllm-3", 10, 200)), "failures", "cut after"},
		{"without a server", add(cut), "failures", "cut after"},
	})
}

func TestNoAnswers(t *testing.T) {
	none := turn("x", 10, "", "")
	none.Result, none.Reused = ledger.NoAnswer, true
	fresh, behind := none, none
	fresh.Reused, behind.Behind = false, true
	check(t, []change{
		{"an idle connection is closed at a restart", during(event("restart", "", 9, 11), add(none)), "", ""},
		{"a fresh connection is closed at a restart", during(event("restart", "", 9, 11), add(fresh)), "failures", "no answer"},
		{"an idle connection is closed for nothing", add(none), "failures", "no answer"},
		{"a server had the request", during(event("restart", "", 9, 11), add(none, attempt("x", "vllm-3", 10, 200))), "failures", "no answer"},
		{"the answer before it was cut", add(behind), "", ""},
		{"no descriptors", during(event("descriptors", "", 9, 11), add(fresh)), "", ""},
		{"refused at a restart", during(event("restart", "", 9, 11), func(l *ledger.Ledger) { l.Refusals = []ledger.Refusal{{At: at(10)}} }), "", ""},
		{"refused for nothing", func(l *ledger.Ledger) { l.Refusals = []ledger.Refusal{{At: at(10)}} }, "failures", "refused"},
		{"refused at a hand-over", during(event("handover", "", 9, 11), func(l *ledger.Ledger) { l.Refusals = []ledger.Refusal{{At: at(10)}} }), "failures", "refused"},
	})
}
