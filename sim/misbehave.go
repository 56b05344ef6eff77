package sim

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"tether/sim/fault"
)

// early answers before the body was read, when a fault says so. The body stays unread: the client finds the answer and
// then its sending refused.
func (a *answer) early() bool {
	f, ok := a.fault(fault.Early)
	if !ok {
		return false
	}
	a.seen = newSeen(a.r)
	a.srv.seen.add(a.seen)
	a.status = http.StatusRequestEntityTooLarge
	c := a.takeOver()
	if c == nil {
		return true
	}
	body := problem{status: a.status, kind: "RequestEntityTooLarge", message: "Request body too large."}.body(a)
	writeHead(c, "413 Request Entity Too Large", "Content-Length: "+strconv.Itoa(len(body)), "Connection: close")
	_, _ = c.Write(body)
	_ = c.CloseWrite()
	select {
	case <-time.After(f.Delay):
	case <-a.life.leave:
	}
	_ = c.Close()
	return true
}

// writeHead writes a head by hand, for answers that net/http would not send.
func writeHead(w io.Writer, status string, lines ...string) {
	fmt.Fprintf(w, "HTTP/1.1 %s\r\nServer: uvicorn\r\nContent-Type: application/json\r\n", status)
	for _, l := range lines {
		fmt.Fprintf(w, "%s\r\n", l)
	}
	_, _ = io.WriteString(w, "\r\n")
}

// misbehave applies the faults that come before the answer, and says whether one of them took its place.
func (a *answer) misbehave() bool {
	if a.slow() || a.breakConnection() || a.hang() {
		return true
	}
	a.interim()
	return a.refuse()
}

func (a *answer) slow() bool {
	f, ok := a.fault(fault.Slow)
	if !ok {
		return false
	}
	select {
	case <-time.After(f.Delay):
		return false
	case <-a.r.Context().Done():
		a.abandon(a.r.Context().Err())
		return true
	}
}

// breakConnection ends the connection before a head.
func (a *answer) breakConnection() bool {
	f, ok := a.fault(fault.Kill, fault.Reset, fault.Close, fault.BadHead)
	if !ok {
		return false
	}
	if f.Kind == fault.Kill {
		a.life.die()
		return true
	}
	c := a.takeOver()
	if c == nil {
		return true
	}
	if f.Kind == fault.Reset {
		c.reset()
		return true
	}
	if f.Kind == fault.BadHead {
		writeHead(c, "2x0 OK", "Content-Length: 2")
		_, _ = io.WriteString(c, "{}")
	}
	_ = c.Close()
	return true
}

func (a *answer) hang() bool {
	f, ok := a.fault(fault.Hang, fault.HangHealth)
	return ok && a.hold(f) != nil
}

// interim sends interim answers. net/http puts the header fields of the moment in each.
func (a *answer) interim() {
	f, ok := a.fault(fault.Interim)
	if !ok {
		return
	}
	a.w.Header().Set("Link", "</sim>; rel=preload")
	for range f.N {
		a.w.WriteHeader(http.StatusEarlyHints)
	}
	a.w.Header().Del("Link")
}

// refuse answers with an error in place of the answer.
func (a *answer) refuse() bool {
	if _, ok := a.fault(fault.Unhealthy); ok {
		a.send(http.StatusServiceUnavailable, "", nil)
		return true
	}
	if f, ok := a.fault(fault.Status); ok {
		a.fail(simulated(f.N))
		return true
	}
	return false
}

func simulated(status int) problem {
	p := problem{status: status, kind: "SimulatedError", message: fmt.Sprintf("simulated status %d", status)}
	switch status {
	case http.StatusUnauthorized:
		p.plain = "Unauthorized"
	case http.StatusServiceUnavailable:
		p.plain = "The model is currently scaling. Please try again later."
	case http.StatusInternalServerError:
		p.kind = "InternalServerError"
	}
	return p
}
