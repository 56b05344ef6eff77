// Package failure names the ways in which an attempt at an upstream fails. The dialer (wire) and the transport
// (upstream/transport) return a Kind as their error, proxy decides by the Kind what follows an attempt, health counts a probe by the
// Kind's word for probes, and metrics count both by these words. The package decides nothing itself.
package failure

// Kind is why an attempt failed. It implements error. Its text holds no address and nothing of a request, so that it may be
// shown and logged.
type Kind uint8

const (
	// None says that the attempt did not fail: its answer is for the client.
	None Kind = iota
	// Refused says that the host answered that no process listens there, or that the unix socket does not exist.
	Refused
	// Unreachable says that there was no connection in time, no route, or no such name.
	Unreachable
	// Insecure says that a server was there, but no TLS connection that the configuration allows: the server speaks no TLS, or
	// its certificate is not trusted.
	Insecure
	// Exhausted says that this process or host is out of descriptors, ports or memory. The upstream was not tried.
	Exhausted
	// Stale says that a connection that had served a request before died without a byte of an answer, soon after the next
	// request was written: the server had closed it meanwhile.
	Stale
	// Cut says that the connection was reset or closed before the response head was complete.
	Cut
	// BadHead says that the response head is malformed or too large.
	BadHead
	// HeadTimeout says that there was no complete response head within the limit.
	HeadTimeout
	// Busy says that the server answered 503, and may have worked on the request before.
	Busy
	// Declined says that the server answered 503 at once, so that most likely it has not begun to work on the request.
	Declined
	// Full says that the server refused the request because its queue is full. It has not begun to work on the request.
	Full
	// Leaving says that the server refused the request because it shuts down. It has not begun to work on the request.
	Leaving
	// ClientGone says that the client left before the response head was complete.
	ClientGone
)

var kinds = [...]struct{ word, probeWord, text string }{
	None:        {"answered", "succeeded", "no failure"},
	Refused:     {"refused", "failed_connection", "connection refused"},
	Unreachable: {"unreachable", "failed_connection", "no connection"},
	Insecure:    {"insecure", "insecure", "no TLS connection"},
	Exhausted:   {"exhausted", "no_evidence", "out of descriptors, ports or memory"},
	Stale:       {"stale", "failed_connection", "idle connection closed by the server"},
	Cut:         {"died", "failed_connection", "connection cut before the answer"},
	BadHead:     {"malformed", "wrong_answer", "malformed or too large response head"},
	HeadTimeout: {"timed_out", "timed_out", "no answer in time"},
	Busy:        {"busy", "wrong_answer", "answered 503"},
	Declined:    {"declined", "wrong_answer", "refused at once"},
	Full:        {"full", "wrong_answer", "refused because its queue is full"},
	Leaving:     {"leaving", "wrong_answer", "refused because it shuts down"},
	ClientGone:  {"client_left", "no_evidence", "client gone"},
}

// Error is the text for people.
func (k Kind) Error() string { return kinds[k].text }

// Word is the word for metrics of attempts. That of None is "answered".
func (k Kind) Word() string { return kinds[k].word }

// ProbeWord is the word for metrics of probes, which tell fewer kinds apart. That of None is "succeeded".
func (k Kind) ProbeWord() string { return kinds[k].probeWord }

// Count is the number of Kinds, None included: they are 0..Count-1.
const Count = len(kinds)

// Of is the Kind of err: None for nil, and Cut for an error that is no Kind.
func Of(err error) Kind {
	if err == nil {
		return None
	}
	if k, is := err.(Kind); is {
		return k
	}
	return Cut
}
