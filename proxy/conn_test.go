package proxy

import (
	"fmt"
	"strings"
	"testing"

	"tether/sim"
	"tether/units"
)

// A refusal reaches also a client that goes on sending: it can send all, and then reads why it was in vain.
func TestRefusalsReachWhoGoesOnSending(t *testing.T) {
	const more = 4 << 20
	refused := make(chan int, 2)
	r := fleet(t, 1, sim.Config{}, func(r *rig) {
		r.cfg.MaxBody, r.cfg.MaxHeader = units.MiB, 4*units.KiB
		r.onRefuse = func(status int, _ string) { refused <- status }
	})
	head := "POST " + chatPath + " HTTP/1.1\r\nHost: a\r\n"
	for want, begin := range map[int]string{
		413: head + fmt.Sprintf("Content-Length: %d\r\n\r\n", more),
		431: head + "X-Large: " + strings.Repeat("x", 5000),
	} {
		c := r.dial()
		c.send(begin)
		if want == 413 {
			refused <- r.recorded(1).Status // there is a request
		}
		if got := <-refused; got != want {
			t.Fatalf("refused with %d, want %d", got, want)
		}
		part := strings.Repeat("x", 64<<10)
		for range more / len(part) {
			c.send(part)
		}
		if a := c.receive(); a.StatusCode != want || !a.Close || a.err != nil {
			t.Errorf("%d, close %v, %v", a.StatusCode, a.Close, a.err)
		}
	}
}
