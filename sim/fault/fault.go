// Package fault says which faults a simulated server applies to which request: their kinds, the header that asks for them,
// the set of injected ones, and the API that fills the set.
//
// Package sim applies them: it owns the connections and the answers.
package fault

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kind names what goes wrong.
type Kind string

// The kinds of faults. N is the number of events of a stream after which the fault applies. Each kind says what it does to an
// answer that is no stream.
const (
	// Hang reads the request and answers nothing until the client leaves, the server ends, or the faults are cleared. In the
	// last case the server answers then.
	Hang Kind = "hang"
	// HangHealth is Hang for /health and /ping alone.
	HangHealth Kind = "hang-health"
	// Reset reads the request and resets the connection before the head of an answer.
	Reset Kind = "reset"
	// Close reads the request and closes the connection cleanly before the head of an answer.
	Close Kind = "close"
	// Status answers with the status ARG, 200..599, and an error in the path's form. "500" and "503" are short forms.
	Status Kind = "status"
	// Slow waits for the duration ARG before the head.
	Slow Kind = "slow"
	// CutBetween closes the connection after N events, between two chunks; without a stream after the head. Default 1.
	CutBetween Kind = "cut-between"
	// CutInside closes the connection in the middle of the chunk after N events; without a stream in the middle of the body,
	// whose Content-Length promised all of it. Default 1.
	CutInside Kind = "cut-inside"
	// CutRST is CutBetween with a reset; without a stream it resets in the middle of the body. Default 1.
	CutRST Kind = "cut-rst"
	// Stall sends nothing more after N events, and keeps the connection open until the client leaves, the server ends, or the
	// faults are cleared; without a stream it stops in the middle of the body. Default 1.
	Stall Kind = "stall"
	// BadHead answers with a malformed status line, and closes.
	BadHead Kind = "bad-head"
	// HugeHead adds ARG KiB of header lines to the answer. Default 64.
	HugeHead Kind = "huge-head"
	// Early answers 413 before it reads the body, sends a FIN, and closes after the duration ARG. The close resets a client
	// that is still sending. Default 1s.
	Early Kind = "early"
	// Kill is a prompt that kills the engine: the server dies as by Server.Kill.
	Kill Kind = "kill"
	// Unhealthy answers /health and /ping with 503, and changes no other answer.
	Unhealthy Kind = "unhealthy"
	// ShutdownText gives the answers of a draining vLLM, without draining.
	ShutdownText Kind = "shutdown-text"
	// QueueFull refuses inference as vLLM's admission control does: ARG is the limit that is reached, "requests" or "tokens".
	// Default requests.
	QueueFull Kind = "queue-full"
	// NoLength leaves out Content-Length and chunks: the end of the connection is the end of the answer.
	NoLength Kind = "no-length"
	// Interim sends N interim answers (103) before the answer. Default 1.
	Interim Kind = "1xx"
	// Tail sends bytes that belong to no answer after the end of the answer, on a connection that stays open.
	Tail Kind = "tail"
)

// Active is a fault that applies to a request, with its argument read.
type Active struct {
	Kind    Kind
	N       int             // events, answers, KiB or a status, by kind
	Delay   time.Duration   // of Slow and Early
	Tokens  bool            // of QueueFull: the limit of tokens
	Cleared <-chan struct{} // closed when the faults are cleared
}

// parse reads the header X-Sim-Fault: "NAME[=ARG], ...".
func parse(header string) ([]Active, error) {
	var faults []Active
	for item := range strings.SplitSeq(header, ",") {
		name, arg, _ := strings.Cut(strings.TrimSpace(item), "=")
		f, err := resolve(Kind(name), arg)
		if err != nil {
			return nil, err
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// resolve reads the argument of a kind.
func resolve(kind Kind, arg string) (f Active, err error) {
	f.Kind = kind
	switch kind {
	case Hang, HangHealth, Reset, Close, BadHead, Kill, Unhealthy, ShutdownText, NoLength, Tail:
		if arg != "" {
			err = fmt.Errorf("fault %s takes no argument, got %q", kind, arg)
		}
	case QueueFull:
		if f.Tokens = arg == "tokens"; !f.Tokens && arg != "" && arg != "requests" {
			err = fmt.Errorf("fault %s: argument %q, want requests or tokens", kind, arg)
		}
	case "500", "503":
		return resolve(Status, string(kind))
	case Status:
		f.N, err = number(kind, arg, -1, 200, 599)
	case CutBetween, CutInside, CutRST, Stall, Interim:
		f.N, err = number(kind, arg, 1, 0, 1<<30)
	case HugeHead:
		f.N, err = number(kind, arg, 64, 1, 1<<20)
	case Slow:
		f.Delay, err = duration(kind, arg, -1)
	case Early:
		f.Delay, err = duration(kind, arg, time.Second)
	default:
		err = fmt.Errorf("unknown fault %q", kind)
	}
	return f, err
}

// number reads a number of least..most. A negative fallback means that the argument is required.
func number(kind Kind, arg string, fallback, least, most int) (int, error) {
	if arg == "" && fallback >= 0 {
		return fallback, nil
	}
	n, err := strconv.Atoi(arg)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("fault %s: argument %q, want %d..%d", kind, arg, least, most)
	}
	return n, nil
}

// duration reads a duration. A negative fallback means that the argument is required.
func duration(kind Kind, arg string, fallback time.Duration) (time.Duration, error) {
	if arg == "" && fallback >= 0 {
		return fallback, nil
	}
	d, err := time.ParseDuration(arg)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("fault %s: argument %q, want a duration such as 250ms", kind, arg)
	}
	return d, nil
}
