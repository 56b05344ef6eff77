package sim

import (
	"fmt"

	"tether/sim/fault"
)

// write sends the body of an answer that is no stream, or the part of it that a fault lets through.
func (a *answer) write(body []byte) {
	f, ok := a.fault(fault.CutBetween, fault.CutInside, fault.CutRST, fault.Stall)
	if !ok {
		_, _ = a.w.Write(body) // a client that left does not get it
		return
	}
	sent := body[:len(body)/2]
	if f.Kind == fault.CutBetween {
		sent = nil
	}
	_, _ = a.w.Write(sent)
	_ = a.rc.Flush()
	if a.cut(f) == nil {
		_, _ = a.w.Write(body[len(sent):])
	}
}

// cutAfterEvent applies what is to happen when exactly N events are out.
func (a *answer) cutAfterEvent() error {
	f, ok := a.fault(fault.CutBetween, fault.CutRST, fault.Stall)
	if !ok || f.N != a.events {
		return nil
	}
	return a.cut(f)
}

// cutInsideChunk sends the first half of the next chunk and closes, when N events are out. The chunk after the last event
// is the one that ends the body.
func (a *answer) cutInsideChunk(next []byte) bool {
	f, ok := a.fault(fault.CutInside)
	if !ok || f.N != a.events || a.over {
		return false
	}
	if c := a.takeOver(); c != nil {
		chunk := fmt.Sprintf("%x\r\n%s\r\n", len(next), next)
		if _, plain := a.fault(fault.NoLength); plain {
			chunk = string(next)
		}
		_, _ = c.Write([]byte(chunk[:(len(chunk)+1)/2]))
		_ = c.Close()
	}
	return true
}

// cut ends the connection as the fault says; a stall that was cleared is no error.
func (a *answer) cut(f fault.Active) error {
	if f.Kind == fault.Stall {
		return a.hold(f)
	}
	c := a.takeOver()
	if c == nil {
		return errOver
	}
	if f.Kind == fault.CutRST {
		c.reset()
	} else {
		_ = c.Close()
	}
	return errOver
}

// hold waits until the fault is cleared. An error means that the client left or the server is ending; the connection is
// closed then.
func (a *answer) hold(f fault.Active) error {
	a.life.hold(1)
	defer a.life.hold(-1)
	select {
	case <-f.Cleared:
		return nil
	case <-a.life.leave:
	case <-a.r.Context().Done():
	}
	a.aborted = true
	a.hangUp()
	return errOver
}
