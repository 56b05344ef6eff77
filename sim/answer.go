package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tether/sim/fault"
)

// answer is one request on its way, and the only one who writes to its client. Handlers say what vLLM would send; the
// request's faults bend it on the way out.
type answer struct {
	srv    *Server
	life   *life
	w      http.ResponseWriter
	rc     *http.ResponseController
	r      *http.Request
	body   []byte
	faults []fault.Active
	seen   *Seen

	vary    string // header Vary; empty for answers made outside of the CORS middleware
	model   string // asked for
	status  int    // sent
	events  int    // sent
	aborted bool   // the client left or the server died before the end
	over    bool   // the connection was taken from net/http and ended
}

// errOver means that a fault has ended the answer.
var errOver = errors.New("sim: answer ended by a fault")

func newAnswer(l *life, w http.ResponseWriter, r *http.Request) *answer {
	return &answer{srv: l.srv, life: l, w: w, rc: http.NewResponseController(w), r: r, vary: "Origin"}
}

// fault finds the request's fault of a kind.
func (a *answer) fault(kinds ...fault.Kind) (fault.Active, bool) {
	for _, f := range a.faults {
		for _, k := range kinds {
			if f.Kind == k {
				return f, true
			}
		}
	}
	return fault.Active{}, false
}

// head sets what every answer's head has.
func (a *answer) head(contentType string) {
	h := a.w.Header()
	h.Set("Server", "uvicorn")
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	if name := a.srv.cfg.Name; name != "" {
		h.Set("X-Sim-Server", name)
	}
	a.cors()
	if f, ok := a.fault(fault.HugeHead); ok {
		for i := range f.N {
			h.Set(fmt.Sprintf("X-Sim-Filler-%07d", i), strings.Repeat("x", 1000)) // 1 KiB with name and line end
		}
	}
	if _, ok := a.fault(fault.NoLength); ok {
		h.Set("Transfer-Encoding", "identity") // net/http's way to end an answer with its connection
	}
	if _, ok := a.fault(fault.Tail); ok {
		connOf(a.r).tail = []byte("bytes that belong to no answer\r\n")
	}
}

// send answers with a whole body.
func (a *answer) send(status int, contentType string, body []byte) {
	a.head(contentType)
	if _, ok := a.fault(fault.NoLength); !ok {
		a.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	a.status = status
	a.w.WriteHeader(status)
	a.write(body)
}

func (a *answer) json(status int, format string, args ...any) {
	a.send(status, "application/json", fmt.Appendf(nil, format, args...))
}

// open sends the head of an event stream.
func (a *answer) open() error {
	a.head("text/event-stream; charset=utf-8")
	a.status = http.StatusOK
	a.w.WriteHeader(http.StatusOK)
	if err := a.rc.Flush(); err != nil {
		return err
	}
	return a.cutAfterEvent()
}

// event sends one event as one chunk in one write. The name is empty where vLLM sends none.
func (a *answer) event(name string, data []byte) error {
	line := make([]byte, 0, len(name)+len(data)+20)
	if name != "" {
		line = append(append(append(line, "event: "...), name...), '\n')
	}
	line = append(append(append(line, "data: "...), data...), "\n\n"...)
	if a.cutInsideChunk(line) {
		return errOver
	}
	if _, err := a.w.Write(line); err != nil {
		return err
	}
	if err := a.rc.Flush(); err != nil {
		return err
	}
	a.events++
	return a.cutAfterEvent()
}

// close ends an event stream; net/http sends the last chunk.
func (a *answer) close() {
	a.cutInsideChunk(nil)
}

// guard makes writes to a client that left fail even while they wait for room. The caller calls what it returns.
func (a *answer) guard() func() bool {
	return context.AfterFunc(a.r.Context(), func() {
		_ = a.rc.SetWriteDeadline(time.Unix(1, 0)) // fails on a connection that a fault took
	})
}

// abandon ends an answer that cannot be completed: the client left, the server is ending, or a fault cut it.
func (a *answer) abandon(err error) {
	if errors.Is(err, errOver) {
		return
	}
	a.aborted = true
	a.hangUp()
}

// hangUp closes the connection without another byte.
func (a *answer) hangUp() {
	if c := a.takeOver(); c != nil {
		_ = c.Close()
	}
}

// takeOver takes the connection from net/http. It is nil when that was done before, or the connection is lost.
func (a *answer) takeOver() *conn {
	if a.over {
		return nil
	}
	a.over = true
	if _, _, err := a.rc.Hijack(); err != nil {
		return nil
	}
	return connOf(a.r)
}
