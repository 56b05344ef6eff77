package health

import (
	"tether/failure"
	"tether/upstream"
)

// result is what one probe showed.
type result uint8

const (
	succeeded result = iota
	// failedConnection: there was no connection, or it was cut before the answer.
	failedConnection
	// insecure: a server was there, but no TLS connection that the configuration allows.
	insecure
	// wrongAnswer: an answer, but not 2xx.
	wrongAnswer
	// timedOut: a connection, but no answer in time.
	timedOut
	// noEvidence says nothing about the upstream: its engine is busy, or tether itself is in trouble.
	noEvidence
)

// resultOf is what a probe showed that failed.
var resultOf = [failure.Count]result{
	failure.Refused: failedConnection, failure.Unreachable: failedConnection, failure.Stale: failedConnection, failure.Cut: failedConnection,
	failure.Insecure: insecure, failure.BadHead: wrongAnswer, failure.Busy: wrongAnswer, failure.Leaving: wrongAnswer,
	failure.HeadTimeout: timedOut, failure.Exhausted: noEvidence, failure.ClientGone: noEvidence,
}

// reasons are the results for people.
var reasons = [...]string{
	succeeded: "probe succeeded", failedConnection: "probe could not connect", wrongAnswer: "probe got a wrong status",
	insecure: "probe got no TLS connection: no TLS there, or a certificate that is not trusted", timedOut: "probe timed out", noEvidence: "probe said nothing",
}

// words are the results for metrics.
var words = [...]string{
	succeeded: "succeeded", failedConnection: "failed_connection", insecure: "insecure", wrongAnswer: "wrong_answer", timedOut: "timed_out",
	noEvidence: "no_evidence",
}

// weight is how much a failure counts towards fall.
func (r result) weight() int {
	if r == failedConnection || r == insecure {
		return 2
	}
	return 1
}

// firstTimeouts is how many timeouts make the first verdict: one may be a slow start.
const firstTimeouts = 2

// tally turns the results of a server's probes into its health: rise successes in a row bring it up, failures in a row whose
// weights add up to fall take it down. The first verdict comes sooner.
type tally struct {
	health   upstream.Health
	good     int  // successes in a row, while down
	bad      int  // weight of the failures in a row
	timeouts bool // all of these failures were timeouts
}

// note counts a result and returns the health by the present rise and fall.
func (t *tally) note(r result, rise, fall int) upstream.Health {
	switch r {
	case noEvidence:
		return t.health
	case succeeded:
		t.success(rise)
	default:
		t.failure(r, fall)
	}
	return t.health
}

func (t *tally) success(rise int) {
	t.bad = 0
	t.good++
	if t.health == upstream.Unknown || t.good >= rise {
		t.health = upstream.Up
	}
}

func (t *tally) failure(r result, fall int) {
	t.good = 0
	t.timeouts = r == timedOut && (t.bad == 0 || t.timeouts)
	t.bad += r.weight()
	switch t.health {
	case upstream.Unknown:
		if r == timedOut && t.bad < firstTimeouts {
			return
		}
	case upstream.Up:
		if t.bad < fall {
			return
		}
	case upstream.Down:
		return // timeouts that follow do not turn it into TimedOut
	}
	t.health = upstream.Down
	if t.timeouts {
		t.health = upstream.TimedOut
	}
}
