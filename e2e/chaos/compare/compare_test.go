package compare

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tether/e2e/chaos/ledger"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func turn(id string, conversation int, from, to float64, server string, result ledger.Result) ledger.Turn {
	return ledger.Turn{ID: id, Conversation: conversation, Start: at(from), End: at(to), Server: server, Result: result}
}

func TestFigures(t *testing.T) {
	wrong := turn("g", 4, 1, 2, "vllm-0", ledger.Whole)
	wrong.Wrong = "the text is short"
	l := &ledger.Ledger{
		Turns: []ledger.Turn{
			turn("a", 1, 0, 1, "vllm-0", ledger.Whole),
			turn("b", 1, 3, 4, "vllm-1", ledger.Whole),    // vllm-0 was killed
			turn("c", 1, 20, 21, "vllm-0", ledger.Whole),  // nothing happened to vllm-1
			turn("d", 2, 0, 7, "vllm-0", ledger.NoAnswer), // and late
			turn("e", 2, 8, 9, "", ledger.Failed),
			turn("f", 3, 0, 1, "vllm-0", ledger.Cut),
			wrong,
			turn("h", 5, 0, 1, "", ledger.Left),
			turn("i", 5, 2, 3, "", ledger.Left), // its server had ended before
		},
		Attempts: []ledger.Attempt{{ID: "h", At: at(0.1), End: at(1.5)}, {ID: "i", At: at(2.1), End: at(2.5)}},
		Events:   []ledger.Event{{Kind: "kill", Server: "vllm-0", From: at(2), To: at(5)}},
	}
	want := Figures{Requests: 9, Lost: 2, Cut: 1, Unseen: 1, Late: 1, Moved: 1, Left: 1, Wasted: 500 * time.Millisecond}
	if d := cmp.Diff(want, Of(l)); d != "" {
		t.Error(d)
	}
}

func TestTable(t *testing.T) {
	got := Table([]Row{{"kill", "tether", Figures{Requests: 100, Lost: 1, Left: 4, Wasted: 40 * time.Millisecond}}, {"kill", "HAProxy", Figures{}}})
	for _, want := range []string{"| kill     | tether  | 100      | 1    |", "10 ms x 4", "| -           |"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
