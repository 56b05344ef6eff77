package ledger

import "sync"

// Book is a ledger that many goroutines write.
type Book struct {
	mu sync.Mutex
	l  Ledger // guarded by mu
}

// NewBook makes the book of a run.
func NewBook(seed uint64) *Book { return &Book{l: Ledger{Seed: seed}} }

// Turn adds a turn.
func (b *Book) Turn(t Turn) { b.add(func(l *Ledger) { l.Turns = append(l.Turns, t) }) }

// Event adds an event.
func (b *Book) Event(e Event) { b.add(func(l *Ledger) { l.Events = append(l.Events, e) }) }

// Refusal adds a refusal.
func (b *Book) Refusal(r Refusal) { b.add(func(l *Ledger) { l.Refusals = append(l.Refusals, r) }) }

// Figure adds a figure.
func (b *Book) Figure(f Figure) { b.add(func(l *Ledger) { l.Figures = append(l.Figures, f) }) }

// Broken adds a failure of the run itself.
func (b *Book) Broken(text string) { b.add(func(l *Ledger) { l.Broken = append(l.Broken, text) }) }

// Turns returns the number of turns so far.
func (b *Book) Turns() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.l.Turns)
}

// Refusals returns the number of refusals so far.
func (b *Book) Refusals() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.l.Refusals)
}

// Close returns the ledger with the attempts that servers noted. The book must not be used after that.
func (b *Book) Close(attempts []Attempt) *Ledger {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.l.Attempts = attempts
	return &b.l
}

func (b *Book) add(change func(*Ledger)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.l)
}
