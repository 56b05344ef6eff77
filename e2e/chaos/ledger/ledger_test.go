package ledger

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func at(seconds int) time.Time { return time.Unix(int64(seconds), 0).UTC() }

// A ledger that was written is read as it was.
func TestWriteAndRead(t *testing.T) {
	l := &Ledger{
		Seed: 7, Turns: []Turn{{ID: "a", Result: Whole, Start: at(1), End: at(2)}}, Attempts: []Attempt{{ID: "a", At: at(1)}},
		Events: []Event{{Kind: "kill", Server: "vllm-0", From: at(1), To: at(3)}}, Refusals: []Refusal{{at(4)}},
		Figures: []Figure{{Name: "in flight", Limit: 1}}, Broken: []string{"x"},
	}
	path := filepath.Join(t.TempDir(), "ledger")
	if err := l.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(l, got); d != "" {
		t.Error(d)
	}
}

// The two lines of an attempt are one attempt, those of a killed process have no end, and the order is that of the receipts.
func TestAttempts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "attempts")
	n, err := NewNoter(path)
	if err != nil {
		t.Fatal(err)
	}
	late, killed := Attempt{ID: "late", Life: 1, At: at(5)}, Attempt{ID: "killed", Life: 1, At: at(3), Faults: []string{"slow"}}
	again := Attempt{ID: "late", Life: 2, At: at(6)}
	n.Note(late)
	n.Note(killed)
	late.End, late.Status = at(8), 200
	n.Note(again)
	n.Note(late)
	got, err := ReadAttempts(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]Attempt{killed, late, again}, got); d != "" {
		t.Error(d)
	}
	if got[0].Done() || !got[1].Done() {
		t.Error("only the attempt with an end is done")
	}
	if _, err := readAttempts(strings.NewReader("{}\nhalf")); err == nil {
		t.Error("a half-written line is no error")
	}
}

// All parts of a book are in its ledger.
func TestBook(t *testing.T) {
	b := NewBook(3)
	b.Turn(Turn{ID: "a"})
	b.Event(Event{Kind: "kill"})
	b.Refusal(Refusal{at(1)})
	b.Figure(Figure{Name: "f"})
	b.Broken("x")
	if b.Turns() != 1 {
		t.Error("the turn is not counted")
	}
	want := &Ledger{
		Seed: 3, Turns: []Turn{{ID: "a"}}, Attempts: []Attempt{{ID: "a"}}, Events: []Event{{Kind: "kill"}}, Refusals: []Refusal{{at(1)}},
		Figures: []Figure{{Name: "f"}}, Broken: []string{"x"},
	}
	if d := cmp.Diff(want, b.Close([]Attempt{{ID: "a"}})); d != "" {
		t.Error(d)
	}
}
