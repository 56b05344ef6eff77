package admin

import (
	"fmt"
	"net/http"
	"time"

	"tether/status"
)

// sendTime limits how long a page may take to receive one message. A page that is slower than its snapshots is closed before.
const sendTime = 10 * time.Second

// showStatus answers with a status.Status.
func showStatus(c *status.Collector) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(c.Status(time.Now())) // the client may have left
	}
}

// live sends server-sent events until the client leaves or leaving is closed: one event "past" with a status.History, and then an event
// "now" with each status.Snapshot. The stream of a page that
// is too slow ends, and the page opens another one.
func live(c *status.Collector, leaving <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page, err := c.Open()
		if err != nil {
			writeError(w, 503, err.Error())
			return
		}
		defer page.Close()
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // nginx would keep the events back
		s := stream{w, http.NewResponseController(w)}
		_ = s.control.SetReadDeadline(time.Time{}) // otherwise the limit of a request ends the stream
		if !s.send("past", c.Past()) {
			return
		}
		for {
			select {
			case snapshot, open := <-page.Snapshots:
				if !open || !s.send("now", snapshot) {
					return
				}
			case <-leaving:
				return
			case <-r.Context().Done():
				return
			}
		}
	}
}

// stream is an answer of server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// send sends one event, whose data has no line breaks. It reports false if the client is gone or too slow.
func (s stream) send(event string, data []byte) bool {
	_ = s.control.SetWriteDeadline(time.Now().Add(sendTime))
	if _, err := fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", event, data); err != nil {
		return false
	}
	return s.control.Flush() == nil
}
