package health

import "tether/upstream"

// result is what one probe showed, in the word for metrics. failure.Kind.ProbeWord has the words of failed probes.
type result string

const (
	succeeded result = "succeeded"
	// failedConnection: there was no connection, or it was cut before the answer.
	failedConnection result = "failed_connection"
	// insecure: a server was there, but no TLS connection that the configuration allows.
	insecure result = "insecure"
	// wrongAnswer: an answer, but not 2xx.
	wrongAnswer result = "wrong_answer"
	// asleep: the server answers, and says that its engine sleeps or is paused.
	asleep result = "asleep"
	// timedOut: a connection, but no answer in time.
	timedOut result = "timed_out"
	// noEvidence says nothing about the upstream: its engine is busy, or tether itself is in trouble.
	noEvidence result = "no_evidence"
)

// reasons are the results for people.
var reasons = map[result]string{
	succeeded:        "probe succeeded",
	failedConnection: "probe could not connect",
	insecure:         "probe got no TLS connection: no TLS there, or a certificate that is not trusted",
	wrongAnswer:      "probe got a wrong status",
	asleep:           "it is asleep or paused",
	timedOut:         "probe timed out",
	noEvidence:       "probe said nothing",
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
// weights add up to fall take it down. The first verdict takes fewer of them. One probe that finds the server asleep takes it down,
// and one that finds it awake again brings it up.
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
	case asleep: // certain, because the server says so; so is the end of its sleep
		*t = tally{health: upstream.Down, good: rise - 1}
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
