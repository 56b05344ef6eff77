package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tether/sim/fault"
)

// writer sends one answer to its client. Handlers say what vLLM would send; the writer applies the faults of the request.
type writer struct {
	life   *life
	w      http.ResponseWriter
	rc     *http.ResponseController
	r      *http.Request
	faults []fault.Active

	vary    string // header Vary; empty for answers that do not pass the CORS middleware
	status  int    // sent
	events  int    // sent
	aborted bool   // the client left or the server died before the end
	over    bool   // the connection was taken from net/http
}

// errOver means that the answer has ended, and that nothing is left to send.
var errOver = errors.New("sim: the answer is over")

func newWriter(l *life, w http.ResponseWriter, r *http.Request) *writer {
	return &writer{life: l, w: w, rc: http.NewResponseController(w), r: r, vary: "Origin"}
}

// fault returns the first fault of the request that is of one of the kinds.
func (w *writer) fault(kinds ...fault.Kind) (fault.Active, bool) {
	for _, f := range w.faults {
		if slices.Contains(kinds, f.Kind) {
			return f, true
		}
	}
	return fault.Active{}, false
}

// head sets the header fields that every answer has.
func (w *writer) head(contentType string) {
	h := w.w.Header()
	h.Set("Server", "uvicorn")
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	if name := w.life.srv.cfg.Name; name != "" {
		h.Set("X-Sim-Server", name)
	}
	w.cors()
	if f, ok := w.fault(fault.HugeHead); ok {
		for i := range f.N {
			h.Set(fmt.Sprintf("X-Sim-Filler-%07d", i), strings.Repeat("x", 1000)) // 1 KiB with name and line end
		}
	}
	if _, ok := w.fault(fault.NoLength); ok {
		h.Set("Transfer-Encoding", "identity") // makes net/http end the answer with its connection
	}
	if _, ok := w.fault(fault.Tail); ok {
		connOf(w.r).tail = []byte("bytes that belong to no answer\r\n")
	}
}

// send answers with a whole body.
func (w *writer) send(status int, contentType string, body []byte) {
	w.head(contentType)
	if _, ok := w.fault(fault.NoLength); !ok {
		w.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.status = status
	w.w.WriteHeader(status)
	w.write(body)
}

func (w *writer) json(status int, format string, args ...any) {
	w.send(status, "application/json", fmt.Appendf(nil, format, args...))
}

// stream answers with an event stream, which the function fills with events. vLLM sends the head before the request leaves
// the queue.
func (w *writer) stream(events func() error) error {
	w.head("text/event-stream; charset=utf-8")
	w.status = http.StatusOK
	w.w.WriteHeader(http.StatusOK)
	if err := w.rc.Flush(); err != nil {
		return err
	}
	if err := w.cutAfterEvent(); err != nil {
		return err
	}
	if err := events(); err != nil {
		return err
	}
	w.cutInsideChunk(nil) // net/http sends the last chunk otherwise
	return nil
}

// event sends one event as one chunk in one write. The name is empty where vLLM sends none.
func (w *writer) event(name string, data []byte) error {
	line := make([]byte, 0, len(name)+len(data)+20)
	if name != "" {
		line = append(append(append(line, "event: "...), name...), '\n')
	}
	line = append(append(append(line, "data: "...), data...), "\n\n"...)
	if w.cutInsideChunk(line) {
		return errOver
	}
	if _, err := w.w.Write(line); err != nil {
		return err
	}
	if err := w.rc.Flush(); err != nil {
		return err
	}
	w.events++
	return w.cutAfterEvent()
}

// unblock makes a blocked write to a client that left fail, until the function that it returns is called.
func (w *writer) unblock() (stop func() bool) {
	return context.AfterFunc(w.r.Context(), func() {
		_ = w.rc.SetWriteDeadline(time.Unix(1, 0)) // fails on a connection that was taken from net/http
	})
}

// hangUp closes the connection without another byte. It returns errOver.
func (w *writer) hangUp() error {
	_ = w.takeOver().Close()
	return errOver
}

// reset resets the connection. It returns errOver.
func (w *writer) reset() error {
	w.takeOver().reset()
	return errOver
}

// takeOver takes the connection from net/http, unless that was done before.
func (w *writer) takeOver() *conn {
	if !w.over {
		w.over = true
		_, _, _ = w.rc.Hijack() // fails only when the connection is lost
	}
	return connOf(w.r)
}
