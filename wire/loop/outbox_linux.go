package loop

import (
	"slices"
	"time"
)

// outbox has what was pushed to the sockets of a loop since the last send. All of it is sent together, once the events that there were are
// handled: a peer that is woken by the first of these bytes is awake for the others, and the processor's caches keep the code of
// one kind of work at a time.
type outbox struct {
	memory  []byte    // what most of the sockets are to send
	last    *driven   // whose bytes are the last ones in memory, nil for none
	sockets []*driven // in the order of their first push; nil for one that was released since
	sent    []*driven // whose drivers are being told; nil for one that was released since
	asks    bool      // one of sockets is to send a request
	burst   burst
}

const (
	// outboxSize is the memory of an outbox: a batch of short messages.
	outboxSize = 256 << 10
	// maxDeferred is the size of the largest message that is sent with the others. A larger one costs more to copy than to send by itself.
	maxDeferred = 4 << 10
	// maxPushed bounds the sockets that are sent to together, and so how long the first of them waits for the others. Of 8, 16, 24, 32 and 64, the last two cost
	// the least.
	maxPushed = 32
)

func newOutbox() outbox { return outbox{memory: make([]byte, 0, outboxSize)} }

// push takes in b for s.
func (o *outbox) push(s *driven, b []byte) {
	fits := len(b) <= cap(o.memory)-len(o.memory)
	switch {
	case s.failed != nil: // nothing more can be sent
	case s.refused:
		s.unsent = append(s.unsent, b...)
	case len(s.unsent) > 0 && o.last == s && fits:
		from := len(o.memory) - len(s.unsent)
		o.memory = append(o.memory, b...)
		s.unsent = o.memory[from:]
	case len(s.unsent) > 0:
		s.unsent, o.last = append(slices.Clip(s.unsent), b...), nil
	case fits && len(b) <= maxDeferred:
		from := len(o.memory)
		o.memory, o.last = append(o.memory, b...), s
		s.unsent = o.memory[from:]
	case s.asks && !silent(s):
		s.failed = errUnasked
	default:
		s.unsent = b
		s.sendPushed()
	}
	if !s.pushed {
		s.pushed = true
		o.sockets = append(o.sockets, s)
	}
}

// remove forgets s, which is released.
func (o *outbox) remove(s *driven) {
	for _, list := range [...][]*driven{o.sockets, o.sent} {
		if i := slices.Index(list, s); i >= 0 {
			list[i] = nil
		}
	}
}

// send sends what was pushed, and then tells the drivers, which may push more.
func (o *outbox) send() {
	o.sendAll()
	o.memory, o.last, o.asks = o.memory[:0], nil, false
	o.sockets, o.sent = o.sent[:0], o.sockets
	now := time.Now()
	for _, s := range o.sent {
		if s != nil {
			s.tell(now)
		}
	}
	clear(o.sent)
}

// peek looks at each connection that a request is about to leave on, whether anything has arrived.
func (o *outbox) peek() {
	for _, s := range o.sockets {
		if s != nil && s.asks && !silent(s) {
			s.unasked = true
		}
	}
}

// sendAll sends what was pushed, all of it together if there is more than one socket.
func (o *outbox) sendAll() {
	for _, s := range o.sockets {
		switch {
		case s == nil || !hasToSend(s):
		case s.unasked:
			s.unsent, s.failed = nil, errUnasked
		case len(o.sockets) == 1 || !o.burst.add(s):
			s.sendPushed()
		}
	}
	o.burst.send()
}
