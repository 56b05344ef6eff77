package health

import "tether/upstream"

// result is what one probe showed.
type result uint8

const (
	succeeded result = iota
	// failedConnection: it could not be made, or was cut before the answer.
	failedConnection
	// insecure: there is somebody, but no TLS connection as the configuration wants it.
	insecure
	// wrongAnswer: an answer, but not 2xx.
	wrongAnswer
	// timedOut: connected, but no answer in time.
	timedOut
	// noEvidence says nothing about the upstream: a busy engine, or our own trouble.
	noEvidence
)

var reasons = [...]string{
	succeeded: "probe succeeded", failedConnection: "probe could not connect", wrongAnswer: "probe got a wrong status",
	insecure: "probe got no TLS connection: no TLS there, or a certificate that is not trusted", timedOut: "probe timed out", noEvidence: "probe said nothing",
}

// words are the results as metrics have them.
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

// tally turns the results of one upstream's probes into its health: rise successes in a row bring it up, failures
// that weigh fall bring it down, and the first verdict comes sooner.
type tally struct {
	rise, fall int

	health   upstream.Health
	good     int  // successes in a row, while down
	bad      int  // weight of the failures in a row
	timeouts bool // all of those were timeouts
}

func (t *tally) note(r result) upstream.Health {
	switch r {
	case noEvidence:
		return t.health
	case succeeded:
		t.success()
	default:
		t.failure(r)
	}
	return t.health
}

func (t *tally) success() {
	t.bad = 0
	t.good++
	if t.health == upstream.Unknown || t.good >= t.rise {
		t.health = upstream.Up
	}
}

func (t *tally) failure(r result) {
	t.good = 0
	t.timeouts = r == timedOut && (t.bad == 0 || t.timeouts)
	t.bad += r.weight()
	switch t.health {
	case upstream.Unknown:
		if r == timedOut && t.bad < firstTimeouts {
			return
		}
	case upstream.Up:
		if t.bad < t.fall {
			return
		}
	case upstream.Down:
		return // timeouts after that do not make it a matter of timeouts alone
	}
	t.health = upstream.Down
	if t.timeouts {
		t.health = upstream.TimedOut
	}
}
