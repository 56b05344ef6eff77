package traffic

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Answer is what the upstreams answer to every POST: one JSON body of Size bytes or, with a Gap, a stream of events.
type Answer struct {
	Size int
	// Gap is the time between the events of a stream. The first event follows the head by a part of it, so that streams that begin
	// together are not in step.
	Gap time.Duration
	// Events is the number of events. 0 means that the stream does not end.
	Events int
}

// Plan is what clients do. Without Every, Once and Endless, each client asks again as soon as its request is answered.
type Plan struct {
	// Addr is the address that they connect to, HOST:PORT.
	Addr string
	// Prefix stands before the path of requests.
	Prefix string
	// SessionHeader is the field that has the session id; X-Session-Id if empty.
	SessionHeader string
	// Clients is the number of connections.
	Clients int
	// Sessions is the number of session ids, which the requests use in turn.
	Sessions int
	// Body is the size of a request's body in bytes, or of the shortest possible one.
	Body int
	// Size is the size of a response's body in bytes, for responses that end.
	Size int
	// Events is true if the responses consist of events.
	Events bool
	// Every is the time between two requests of all clients together. 0 means that each client asks again at once.
	Every time.Duration
	// Once means that each client asks once and stays connected.
	Once bool
	// Endless means that the responses do not end.
	Endless bool
	// TLS means that the connections use TLS, with any certificate.
	TLS bool
}

// Counts are what clients saw. Times are in nanoseconds.
type Counts struct {
	Requests, Events int
	// Latencies are the times from a request to the end of its response, FirstBytes to its first byte.
	Latencies, FirstBytes []int64
	// Delays are the times that events were on their way.
	Delays []int64
	// Late is the number of requests of a plan with Every that found no connection without a request, and were not sent.
	Late int
	// Failed is the number of clients that ended, and Failure why the last of them did.
	Failed  int
	Failure error
}

// Err returns an error if a client failed.
func (c *Counts) Err() error {
	if c.Failed == 0 {
		return nil
	}
	return fmt.Errorf("%d clients failed, the last one: %w", c.Failed, c.Failure)
}

// Quantile returns a quantile of times in nanoseconds, which it sorts. It is 0 without times.
func Quantile(times []int64, q float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return time.Duration(times[min(int(q*float64(len(times))), len(times)-1)])
}

var errOverdue = errors.New("the connections were not open in time")

// sessionDigits is the number of digits of a session id.
const sessionDigits = 9

// template is a request, with the place of its session id.
type template struct {
	text []byte
	at   int
}

// newTemplate returns the request of a plan: a chat with as many messages as its size needs.
func newTemplate(p Plan) template {
	const message = `{"role":"user","content":"`
	body := `{"model":"bench","messages":[{"role":"system","content":"You are a helpful assistant. Answer in short sentences."}`
	const rest = `],"temperature":0.7,"max_tokens":512,"stream":`
	end := rest + fmt.Sprint(p.Events) + `}`
	for {
		space := p.Body - len(body) - len(end) - len(message) - len(`,"}`)
		if space <= 0 {
			break
		}
		body += "," + message + words(min(space, 1500)) + `"}`
	}
	body += end
	header := p.SessionHeader
	if header == "" {
		header = "X-Session-Id"
	}
	head := "POST " + p.Prefix + "/v1/chat/completions HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench/1\r\nAccept: application/json\r\nAuthorization: Bearer none\r\n" +
		"Content-Type: application/json\r\n" + header + ": "
	text := fmt.Sprintf("%s%0*d\r\nContent-Length: %d\r\n\r\n%s", head, sessionDigits, 0, len(body), body)
	return template{[]byte(text), len(head)}
}

// with returns the request of a session. It is valid until the next call.
func (t *template) with(session int) []byte {
	for i := t.at + sessionDigits - 1; i >= t.at; i-- {
		t.text[i] = byte('0' + session%10)
		session /= 10
	}
	return t.text
}
