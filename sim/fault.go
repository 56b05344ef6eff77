package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// FaultKind names what goes wrong.
type FaultKind string

// The kinds of faults. Where N is written it counts events of a stream; for answers that are no streams see each kind.
const (
	// FaultHang reads the request and answers nothing until the client leaves, the server ends or ClearFaults is called;
	// in the last case it answers then.
	FaultHang FaultKind = "hang"
	// FaultHangHealth is FaultHang for /health and /ping alone.
	FaultHangHealth FaultKind = "hang-health"
	// FaultReset reads the request and resets the connection before the head of an answer.
	FaultReset FaultKind = "reset"
	// FaultClose reads the request and closes the connection cleanly before the head of an answer.
	FaultClose FaultKind = "close"
	// FaultStatus answers with the status ARG, 200..599, and an error in the path's form. "500" and "503" are short forms.
	FaultStatus FaultKind = "status"
	// FaultSlow waits for the duration ARG before the head.
	FaultSlow FaultKind = "slow"
	// FaultCutBetween closes the connection after N events, between two chunks; without a stream after the head. Default 1.
	FaultCutBetween FaultKind = "cut-between"
	// FaultCutInside closes the connection in the middle of the chunk after N events; without a stream in the middle of the
	// body, behind a Content-Length that promised all of it. Default 1.
	FaultCutInside FaultKind = "cut-inside"
	// FaultCutRST is FaultCutBetween with a reset; without a stream it resets in the middle of the body. Default 1.
	FaultCutRST FaultKind = "cut-rst"
	// FaultStall sends nothing more after N events, and keeps the connection open until the client leaves, the server ends
	// or ClearFaults is called; without a stream it stops in the middle of the body. Default 1.
	FaultStall FaultKind = "stall"
	// FaultBadHead answers with a malformed status line, and closes.
	FaultBadHead FaultKind = "bad-head"
	// FaultHugeHead adds ARG KiB of header lines to the answer. Default 64.
	FaultHugeHead FaultKind = "huge-head"
	// FaultEarly answers 413 before it reads the body, sends a FIN, and closes after the duration ARG, which resets a
	// client that is still sending. Default 1s.
	FaultEarly FaultKind = "early"
	// FaultKill is a prompt that kills the engine: Kill, from within the request.
	FaultKill FaultKind = "kill"
	// FaultUnhealthy answers /health and /ping with 503.
	FaultUnhealthy FaultKind = "unhealthy"
	// FaultShutdownText gives the answers of a draining vLLM, without draining.
	FaultShutdownText FaultKind = "shutdown-text"
	// FaultNoLength leaves out Content-Length and chunks: the answer ends where the connection does.
	FaultNoLength FaultKind = "no-length"
	// FaultInterim sends N interim answers (103) before the answer. Default 1.
	FaultInterim FaultKind = "1xx"
	// FaultTail sends bytes that belong to nothing after the end of the answer, on a connection that stays open.
	FaultTail FaultKind = "tail"
)

// Fault is a fault that a server applies to requests by itself.
type Fault struct {
	Kind FaultKind `json:"kind"`
	// Arg is the kind's argument, as in "slow=ARG". Empty: the kind's default.
	Arg string `json:"arg,omitempty"`
	// Path is the decoded path of the requests that are meant. A "*" at its end means all that begin so. Empty: every path
	// but those of monitoring (/health, /ping, /load, /metrics, /version, /v1/models); hang-health and unhealthy mean
	// /health and /ping whatever it says.
	Path string `json:"path,omitempty"`
	// Times is how many requests are meant, the next ones. 0: all, until ClearFaults.
	Times int `json:"times,omitempty"`
}

// fault is a fault with its argument read.
type fault struct {
	kind    FaultKind
	n       int
	d       time.Duration
	cleared <-chan struct{} // closed by ClearFaults
}

// parseFaults reads the header X-Sim-Fault: "NAME[=ARG], ...".
func parseFaults(header string) ([]fault, error) {
	var faults []fault
	for item := range strings.SplitSeq(header, ",") {
		name, arg, _ := strings.Cut(strings.TrimSpace(item), "=")
		f, err := resolve(FaultKind(name), arg)
		if err != nil {
			return nil, err
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// resolve reads the argument of a kind.
func resolve(kind FaultKind, arg string) (f fault, err error) {
	f.kind = kind
	switch kind {
	case FaultHang, FaultHangHealth, FaultReset, FaultClose, FaultBadHead, FaultKill, FaultUnhealthy, FaultShutdownText,
		FaultNoLength, FaultTail:
		if arg != "" {
			err = fmt.Errorf("fault %s takes no argument, got %q", kind, arg)
		}
	case "500", "503":
		return resolve(FaultStatus, string(kind))
	case FaultStatus:
		f.n, err = number(kind, arg, -1, 200, 599)
	case FaultCutBetween, FaultCutInside, FaultCutRST, FaultStall, FaultInterim:
		f.n, err = number(kind, arg, 1, 0, 1<<30)
	case FaultHugeHead:
		f.n, err = number(kind, arg, 64, 1, 1<<20)
	case FaultSlow:
		f.d, err = duration(kind, arg, -1)
	case FaultEarly:
		f.d, err = duration(kind, arg, time.Second)
	default:
		err = fmt.Errorf("unknown fault %q", kind)
	}
	return f, err
}

func number(kind FaultKind, arg string, without, least, most int) (int, error) {
	if arg == "" && without >= 0 {
		return without, nil
	}
	n, err := strconv.Atoi(arg)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("fault %s: argument %q, want %d..%d", kind, arg, least, most)
	}
	return n, nil
}

func duration(kind FaultKind, arg string, without time.Duration) (time.Duration, error) {
	if arg == "" && without >= 0 {
		return without, nil
	}
	d, err := time.ParseDuration(arg)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("fault %s: argument %q, want a duration such as 250ms", kind, arg)
	}
	return d, nil
}
