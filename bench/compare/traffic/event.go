package traffic

// EventSize is the size of a server-sent event: about that of vLLM's events, the empty line at its end included.
const EventSize = 245

// stampDigits is the number of digits of the time in an event: nanoseconds, enough for 31 years.
const stampDigits = 18

const eventBegin = `data: {"id":"chatcmpl-`

const eventRest = `","object":"chat.completion.chunk","created":1790000000,"model":"bench","choices":[{"index":0,"delta":{"content":" token"},` +
	`"logprobs":null,"finish_reason":null,"token_ids":null}],"pad":"`

const eventEnd = "\"}\n\n"

// newEvent returns an event without its time.
func newEvent() []byte {
	e := append(make([]byte, 0, EventSize), eventBegin...)
	e = append(e, "000000000000000000"...)
	e = append(e, eventRest...)
	for len(e) < EventSize-len(eventEnd) {
		e = append(e, '.')
	}
	return append(e, eventEnd...)
}

// stamp writes the time into an event.
func stamp(event []byte, now int64) {
	for i := len(eventBegin) + stampDigits - 1; i >= len(eventBegin); i-- {
		event[i] = byte('0' + now%10)
		now /= 10
	}
}

// events reads the body of a stream, which is nothing but events, and measures how long each event was on its way. Without delays, it
// reads nothing.
type events struct {
	at     int   // place in the event
	sent   int64 // its time
	count  int
	delays *[]int64
}

// take reads bytes that were received at now.
func (e *events) take(b []byte, now int64) {
	if e.delays == nil {
		return
	}
	for len(b) > 0 {
		n := min(EventSize-e.at, len(b))
		for i := max(e.at, len(eventBegin)); i < min(e.at+n, len(eventBegin)+stampDigits); i++ {
			e.sent = e.sent*10 + int64(b[i-e.at]-'0')
		}
		b = b[n:]
		if e.at += n; e.at == EventSize {
			*e.delays = append(*e.delays, now-e.sent)
			e.at, e.sent = 0, 0
			e.count++
		}
	}
}
