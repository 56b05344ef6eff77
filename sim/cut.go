package sim

import (
	"fmt"

	"tether/sim/fault"
)

// write sends the body of an answer that is no stream, or the part of it that a fault lets through.
func (w *writer) write(body []byte) {
	f, ok := w.fault(fault.CutBetween, fault.CutInside, fault.CutRST, fault.Stall)
	if !ok {
		_, _ = w.w.Write(body) // fails only when the client is gone
		return
	}
	sent := body[:len(body)/2]
	if f.Kind == fault.CutBetween {
		sent = nil
	}
	_, _ = w.w.Write(sent)
	_ = w.rc.Flush()
	if w.cut(f) == nil {
		_, _ = w.w.Write(body[len(sent):])
	}
}

// cutAfterEvent applies the fault that is due after exactly as many events as were sent.
func (w *writer) cutAfterEvent() error {
	f, ok := w.fault(fault.CutBetween, fault.CutRST, fault.Stall)
	if !ok || f.N != w.events {
		return nil
	}
	return w.cut(f)
}

// cutInsideChunk sends the first half of the next chunk and closes the connection, if a fault is due after exactly as many
// events as were sent. It reports whether it did. The chunk after the last event is the one that ends the body.
func (w *writer) cutInsideChunk(next []byte) bool {
	f, ok := w.fault(fault.CutInside)
	if !ok || f.N != w.events || w.over {
		return false
	}
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(next), next)
	if _, plain := w.fault(fault.NoLength); plain {
		chunk = string(next)
	}
	c := w.takeOver()
	_, _ = c.Write([]byte(chunk[:(len(chunk)+1)/2]))
	_ = c.Close()
	return true
}

// cut ends the connection as the fault says. It returns nil after a stall whose fault was cleared.
func (w *writer) cut(f fault.Active) error {
	switch f.Kind {
	case fault.Stall:
		return w.hold(f)
	case fault.CutRST:
		return w.reset()
	}
	return w.hangUp()
}

// hold waits until the fault is cleared. When the client leaves or the server ends before that, hold closes the connection
// and returns errOver.
func (w *writer) hold(f fault.Active) error {
	w.life.countHeld(1)
	defer w.life.countHeld(-1)
	select {
	case <-f.Cleared:
		return nil
	case <-w.life.closed:
	case <-w.r.Context().Done():
	}
	w.aborted = true
	return w.hangUp()
}
