package sim

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"tether/sim/engine"
	"tether/sim/fault"
)

// early applies the fault that answers before the body is read. The body stays unread: a client that is still sending is reset
// when the connection closes.
func (a *answer) early() error {
	f, ok := a.fault(fault.Early)
	if !ok {
		return nil
	}
	a.remember(nil)
	a.status = http.StatusRequestEntityTooLarge
	c := a.takeOver()
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

// beforeAnswer are the faults that are due before the answer, in the order in which they apply. An error means that the fault took
// the place of the answer.
var beforeAnswer = []struct {
	kinds []fault.Kind
	apply func(*answer, fault.Active) error
}{
	{[]fault.Kind{fault.Slow}, func(a *answer, f fault.Active) error { return engine.Pause(a.r.Context(), f.Delay) }},
	{[]fault.Kind{fault.Kill, fault.Reset, fault.Close, fault.BadHead}, breakConnection},
	{[]fault.Kind{fault.Hang, fault.HangHealth}, func(a *answer, f fault.Active) error { return a.hold(f) }},
	{[]fault.Kind{fault.Interim}, interim},
	{[]fault.Kind{fault.Unhealthy}, unhealthy},
	{[]fault.Kind{fault.Status}, func(_ *answer, f fault.Active) error { return simulated(f.N) }},
	{[]fault.Kind{fault.QueueFull}, refuse},
}

// misbehave applies the faults that are due before the answer, at most one of each row.
func (a *answer) misbehave() error {
	for _, row := range beforeAnswer {
		if f, ok := a.fault(row.kinds...); ok {
			if err := row.apply(a, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// breakConnection ends the connection before a head.
func breakConnection(a *answer, f fault.Active) error {
	switch f.Kind {
	case fault.Kill:
		a.life.die()
		return errOver
	case fault.Reset:
		return a.reset()
	case fault.BadHead:
		c := a.takeOver()
		writeHead(c, "2x0 OK", "Content-Length: 2")
		_, _ = io.WriteString(c, "{}")
	}
	return a.hangUp()
}

// interim sends interim answers. net/http sends the header fields that are set at that moment with each of them.
func interim(a *answer, f fault.Active) error {
	a.w.Header().Set("Link", "</sim>; rel=preload")
	for range f.N {
		a.w.WriteHeader(http.StatusEarlyHints)
	}
	a.w.Header().Del("Link")
	return nil
}

func unhealthy(a *answer, _ fault.Active) error {
	a.send(http.StatusServiceUnavailable, "", nil)
	return errOver
}

// refuse refuses a POST as vLLM's admission control does.
func refuse(a *answer, f fault.Active) error {
	if a.r.Method != http.MethodPost {
		return nil
	}
	return queueFull(f.Tokens)
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
