package verdict

import (
	"testing"

	"tether/e2e/chaos/ledger"
)

// The answer to a turn whose first server failed it.
func TestAttempts(t *testing.T) {
	ok := turn("x", 10, "vllm-4", "spilled")
	ok.Affinity = "new"
	chained := ok
	chained.Chained = true
	second := attempt("x", "vllm-4", 10, 200)
	at3 := func(status int, seconds float64, faults ...string) ledger.Attempt {
		return ledger.Attempt{ID: "x", Server: "vllm-3", At: at(10), End: at(10 + seconds), Status: status, Faults: faults}
	}
	resetBy := func(server string, start float64) ledger.Attempt {
		return ledger.Attempt{ID: "x", Server: server, At: at(start), End: at(start + 0.01), Faults: []string{"reset"}}
	}
	check(t, []change{
		{"after a reset", add(ok, at3(0, 0.01, "reset"), second), "", ""},
		{"after a refusal", add(ok, at3(503, 0.01, "queue-full"), second), "", ""},
		{"after a late refusal of a full queue", add(ok, at3(503, 0.04, "slow", "queue-full"), second), "", ""},
		{"after a shutdown answer", add(ok, at3(500, 0.01), second), "", ""},
		{"after a 503", add(ok, at3(503, 0.01, "status"), second), "", ""},
		{"after a death", add(ok, ledger.Attempt{ID: "x", Server: "vllm-3", At: at(10)}, second), "", ""},
		{"a replay, then one further server", add(ok, resetBy("vllm-3", 9.98), resetBy("vllm-3", 9.99), second), "", ""},
		{"after an answer", add(ok, at3(200, 0.01), second), "attempts", "had begun to answer (200)"},
		{"after an own 500", add(ok, at3(500, 0.01, "status"), second), "attempts", "had begun to answer (500)"},
		{"after a malformed head", add(ok, at3(0, 0.01, "bad-head"), second), "attempts", "had begun to answer"},
		{"after a cut answer", add(ok, at3(200, 0.01, "cut-inside"), second), "attempts", "had begun to answer"},
		{"after a half-written answer of a killed server", add(ok, ledger.Attempt{ID: "x", Server: "vllm-3", At: at(10), Status: 200}, second), "attempts", "had begun to answer"},
		{"while another server has it", add(ok, at3(0, 0.4), second), "attempts", "while vllm-3 had it"},
		{"a chained request after a refusal", add(chained, at3(503, 0.01, "queue-full"), second), "attempts", "only one server has its response"},
		{"a third server after two deaths", add(ok, resetBy("vllm-3", 9.9), resetBy("vllm-5", 9.95), second), "attempts", "a further server after two"},
		{"a third server after a death and a late 503", add(ok, resetBy("vllm-3", 9.5), ledger.Attempt{ID: "x", Server: "vllm-5", At: at(9.6), End: at(9.9), Status: 503}, second), "attempts", "a further server after two"},
		{"four servers", add(ok, resetBy("vllm-3", 9.9), resetBy("vllm-3", 9.91), at3(503, 0.01), second), "attempts", "4 servers"},
	})
}
