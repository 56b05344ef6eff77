package proxy

import (
	"testing"

	"tether/wire/wiretest"
)

// The server of a stream gets fewer acknowledgements than it sends events. Each event is sent once the client has the one before.
func TestStreamIsNotAcknowledgedEventByEvent(t *testing.T) {
	const events = 40
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	up, stream := r.streaming(s)
	r.relayed(up, stream, 0)
	before := wiretest.TCPInfo(t, up.TCPConn).Segs_in
	for n := range events {
		r.relayed(up, stream, n)
	}
	if acks := wiretest.TCPInfo(t, up.TCPConn).Segs_in - before; acks > events*3/4 {
		t.Errorf("%d acknowledgements of %d events", acks, events)
	}
	up.send("0\r\n\r\n")
}
