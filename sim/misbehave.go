package sim

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"tether/sim/fault"
)

// early applies the fault that answers before the body is read. The body stays unread: a client that sends on is reset when
// the connection closes.
func (a *answer) early() error {
	f, ok := a.fault(fault.Early)
	if !ok {
		return nil
	}
	a.remember(nil)
	a.status = http.StatusRequestEntityTooLarge
	c := a.takeOver()
	if c == nil {
		return errOver
	}
	body := a.problemBody(problem{status: a.status, kind: "RequestEntityTooLarge", message: "Request body too large."})
	writeHead(c, "413 Request Entity Too Large", "Content-Length: "+strconv.Itoa(len(body)), "Connection: close")
	_, _ = c.Write(body)
	_ = c.CloseWrite()
	select {
	case <-time.After(f.Delay):
	case <-a.life.closed:
	}
	_ = c.Close()
	return errOver
}

// writeHead writes a head that net/http would not send.
func writeHead(w io.Writer, status string, lines ...string) {
	fmt.Fprintf(w, "HTTP/1.1 %s\r\nServer: uvicorn\r\nContent-Type: application/json\r\n", status)
	for _, l := range lines {
		fmt.Fprintf(w, "%s\r\n", l)
	}
	_, _ = io.WriteString(w, "\r\n")
}

// misbehave applies the faults that are due before the answer. An error means that one of them took the place of the answer.
func (a *answer) misbehave() error {
	for _, apply := range []func(*answer) error{slow, breakConnection, hang, interim, refuse} {
		if err := apply(a); err != nil {
			return err
		}
	}
	return nil
}

func slow(a *answer) error {
	f, ok := a.fault(fault.Slow)
	if !ok {
		return nil
	}
	select {
	case <-time.After(f.Delay):
		return nil
	case <-a.r.Context().Done():
		return a.r.Context().Err()
	}
}

// breakConnection ends the connection before a head.
func breakConnection(a *answer) error {
	f, ok := a.fault(fault.Kill, fault.Reset, fault.Close, fault.BadHead)
	if !ok {
		return nil
	}
	if f.Kind == fault.Kill {
		a.life.die()
		return errOver
	}
	c := a.takeOver()
	if c == nil {
		return errOver
	}
	if f.Kind == fault.Reset {
		c.reset()
		return errOver
	}
	if f.Kind == fault.BadHead {
		writeHead(c, "2x0 OK", "Content-Length: 2")
		_, _ = io.WriteString(c, "{}")
	}
	_ = c.Close()
	return errOver
}

func hang(a *answer) error {
	if f, ok := a.fault(fault.Hang, fault.HangHealth); ok {
		return a.hold(f)
	}
	return nil
}

// interim sends interim answers. net/http sends the header fields that are set at that moment with each of them.
func interim(a *answer) error {
	f, ok := a.fault(fault.Interim)
	if !ok {
		return nil
	}
	a.w.Header().Set("Link", "</sim>; rel=preload")
	for range f.N {
		a.w.WriteHeader(http.StatusEarlyHints)
	}
	a.w.Header().Del("Link")
	return nil
}

// refuse answers with an error in place of the answer.
func refuse(a *answer) error {
	if _, ok := a.fault(fault.Unhealthy); ok {
		a.send(http.StatusServiceUnavailable, "", nil)
		return errOver
	}
	if f, ok := a.fault(fault.Status); ok {
		return simulated(f.N)
	}
	return nil
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
