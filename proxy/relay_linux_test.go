package proxy

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The server of a stream gets fewer acknowledgements than it sends events, over each engine. Each event is sent once the client has the one before. A
// machine that stalls for 40 ms makes the kernel acknowledge each event of that stream, so several streams are tried.
func TestStreamIsNotAcknowledgedEventByEvent(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		const events, tries = 40, 5
		acks := uint32(events)
		for range tries {
			s := newScript(t)
			r := newRig(t, []string{s.url()}, func(r *rig) { r.engine = engine })
			up, stream := r.streaming(s)
			r.relayed(up, stream, 0)
			before := segmentsReceived(t, up)
			for n := range events {
				r.relayed(up, stream, n)
			}
			acks = min(acks, segmentsReceived(t, up)-before)
			up.send("0\r\n\r\n")
			if acks <= events*3/4 {
				return
			}
		}
		t.Errorf("%d acknowledgements of %d events", acks, events)
	})
}

// segmentsReceived is how many segments the kernel has received on c.
func segmentsReceived(t *testing.T, c *rawConn) uint32 {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	var infoErr error
	err = raw.Control(func(fd uintptr) { info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err != nil || infoErr != nil {
		t.Fatal(err, infoErr)
	}
	return info.Segs_in
}
