package sim

import (
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Seen is one request as it was received, and how it ended.
type Seen struct {
	Method   string
	Target   string // the request target as sent: raw path and query
	Path     string // the decoded path
	RawQuery string
	Host     string
	// Header has canonical names and the values as sent. Host and Transfer-Encoding are not in it.
	Header           http.Header
	ContentLength    int64    // as promised; -1 when chunked
	TransferEncoding []string // "chunked", or empty
	Body             []byte   // as sent, without the framing of chunks; empty for the fault early. It must not be changed.
	Session          string   // header X-Session-Id
	Model            string   // as named in the body; empty when the body names none or was not read
	Faults           []string // the kinds of the faults that apply to the request
	Received         time.Time

	Done    bool // the request ended
	Status  int  // of the answer; 0 when no valid head was sent
	Aborted bool // the client left or the server died before the answer was complete; false for cuts by faults
}

// recorder remembers the newest requests. Its zero value remembers none.
type recorder struct {
	limit int

	mu   sync.Mutex
	ring []*Seen // guarded by mu, and so are the requests in it
}

// Requests returns the newest requests, the oldest of them first, at most Config.Record. A request is among them as soon as it
// was read.
func (s *Server) Requests() []Seen {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	out := make([]Seen, len(s.seen.ring))
	for i, r := range s.seen.ring {
		out[i] = *r
	}
	return out
}

func (r *recorder) add(s *Seen) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.limit == 0 {
		return
	}
	if len(r.ring) == r.limit {
		r.ring = slices.Delete(r.ring, 0, 1)
	}
	r.ring = append(r.ring, s)
}

// update changes a remembered request, and returns a copy of it.
func (r *recorder) update(s *Seen, change func(*Seen)) Seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(s)
	return *s
}

// receive reads the whole body, and reports the request. net/http notices that a client leaves only once the body is read.
func (a *answer) receive() (err error) {
	a.body, err = io.ReadAll(a.r.Body)
	a.remember(a.body)
	if a.srv.cfg.OnRequest != nil {
		a.srv.cfg.OnRequest(*a.seen)
	}
	return err
}

func (a *answer) remember(body []byte) {
	r := a.r
	a.seen = &Seen{
		Method: r.Method, Target: r.RequestURI, Path: r.URL.Path, RawQuery: r.URL.RawQuery, Host: r.Host,
		Header: r.Header.Clone(), ContentLength: r.ContentLength, TransferEncoding: slices.Clone(r.TransferEncoding), Body: body,
		Session: r.Header.Get("X-Session-Id"), Received: time.Now(),
	}
	for _, f := range a.faults {
		a.seen.Faults = append(a.seen.Faults, string(f.Kind))
	}
	a.srv.seen.add(a.seen)
}

func (a *answer) report() {
	if a.seen == nil {
		return
	}
	seen := a.srv.seen.update(a.seen, func(s *Seen) {
		s.Done, s.Status, s.Aborted, s.Model = true, a.status, a.aborted, a.model
	})
	if a.srv.cfg.OnDone != nil {
		a.srv.cfg.OnDone(seen)
	}
}
