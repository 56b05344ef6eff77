package verdict

import (
	"testing"

	"tether/e2e/chaos/ledger"
)

func TestLeavers(t *testing.T) {
	gone := turn("x", 10, "", "")
	gone.Result, gone.Manner = ledger.Left, "leave"
	work := func(seconds float64) ledger.Attempt {
		return ledger.Attempt{ID: "x", Server: "vllm-3", At: at(10), End: at(10.5 + seconds), Status: 200, Aborted: true}
	}
	check(t, []change{
		{"at once", add(gone, work(0.05)), "", ""},
		{"before it left", add(gone, work(-0.2)), "", ""},
		{"the server works on", add(gone, work(6)), "leavers", "vllm-3 worked for 6s"},
		{"the server is stopped", during(event("freeze", "vllm-3", 9, 15), add(gone, work(6))), "", ""},
		{"the server was killed", add(gone, ledger.Attempt{ID: "x", Server: "vllm-3", At: at(10)}), "", ""},
	})
}
