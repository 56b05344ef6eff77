// Package ledger holds everything that was seen in one run of chaos: what clients asked and got, what servers received and answered,
// which faults there were and when, and what tether held at the beginning and at the end.
//
// It decides nothing: package verdict judges a ledger. A ledger can be written to a file and judged again. book.go and attempts.go are tested
// in ledger_test.go.
package ledger

import (
	"encoding/json"
	"os"
	"time"
)

// Result is how a request ended for its client.
type Result string

// The results.
const (
	Whole    Result = "whole"     // an answer below 400, complete
	Failed   Result = "failed"    // an answer of 400 or above, complete
	Cut      Result = "cut"       // the connection ended visibly within the answer
	NoAnswer Result = "no answer" // the connection ended before the head of an answer
	Left     Result = "left"      // the client left, or stopped reading, on purpose
	Overdue  Result = "overdue"   // neither an answer nor an end within the client's patience
)

// Turn is one request of a client.
type Turn struct {
	// ID is the X-Request-Id, another one for each request.
	ID string
	// Conversation numbers the conversations.
	Conversation int
	// API is the kind of call: chat, completions, messages or responses.
	API    string
	Stream bool
	// Source is how the conversation names itself: "header:NAME", "field:NAME", "opening" or "response" for previous_response_id alone.
	Source string
	// Chained means that the request names a previous response, which only one server has.
	Chained bool
	// Manner is how the client behaves: plain, leave, reset, half-close, deaf or pipeline.
	Manner string
	// Reused means that the connection had served a request before.
	Reused bool
	// Behind means that the request was pipelined behind another one.
	Behind bool

	Start time.Time // the request was about to be sent
	End   time.Time // the answer or the connection ended, or the client left

	Status   int
	Affinity string // X-Tether-Affinity
	Server   string // X-Sim-Server
	Message  string // of an error
	Result   Result
	// Wrong says what is wrong with an answer that is whole. "" if it is right.
	Wrong string `json:",omitempty"`
}

// Attempt is one request as a server received it.
type Attempt struct {
	ID     string
	Server string
	Life   int // the id of the server's process
	Faults []string
	At     time.Time // the server had read the request
	End    time.Time // the request ended at the server; zero if the process ended first
	// Status is that of the answer, 0 if no head was sent.
	Status int
	// Aborted means that the client or the server left before the answer was complete.
	Aborted bool
}

// Done reports whether the server was alive when the request ended.
func (a Attempt) Done() bool { return !a.End.IsZero() }

// Event is a fault, from its beginning to the moment in which all was well again.
type Event struct {
	Kind   string
	Server string // "" for faults of tether itself
	From   time.Time
	To     time.Time
}

// Refusal is a moment in which tether's port refused a connection.
type Refusal struct{ At time.Time }

// Figure is something that tether holds: at the start and at the end, and the most that the end may have.
type Figure struct {
	Name              string
	Start, End, Limit float64
}

// Ledger is one run.
type Ledger struct {
	Seed     uint64
	Turns    []Turn
	Attempts []Attempt
	Events   []Event
	Refusals []Refusal
	Figures  []Figure
	// Broken are failures of the run itself: a process that did not start, or ended with an error.
	Broken []string
}

// Write writes the ledger to a file.
func (l *Ledger) Write(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(f).Encode(l); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// Read reads a ledger that Write wrote.
func Read(path string) (*Ledger, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l := new(Ledger)
	return l, json.NewDecoder(f).Decode(l)
}
