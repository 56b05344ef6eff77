package sim

import (
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Seen is one request as it arrived, and how it ended.
type Seen struct {
	Method   string
	Target   string // the request target as sent: raw path and query
	Path     string // the decoded path
	RawQuery string
	Proto    string // "HTTP/1.1"
	Host     string
	// Header has canonical names and the values as sent. Host and Transfer-Encoding are not in it.
	Header           http.Header
	ContentLength    int64    // as promised; -1 when chunked
	TransferEncoding []string // "chunked", or empty
	Body             []byte   // as sent, chunks put together; empty for the fault early. It must not be changed.
	Session          string   // header X-Session-Id
	Model            string   // as asked for; empty when the request names none or was refused before it was looked at
	Remote           string   // the client's address
	At               time.Time

	Done    bool // the request ended
	Status  int  // of the answer; 0 when there was none with a good head
	Aborted bool // the client left, or the server died, before the answer was complete; cuts by faults are not meant
}

// recorder remembers the newest requests. Its zero value remembers none.
type recorder struct {
	limit int

	mu   sync.Mutex
	ring []*Seen // guarded by mu, and so are the requests in it
}

// Requests are the newest requests, the oldest of them first, at most Config.Record. A request is in it from the moment
// when it was read.
func (s *Server) Requests() []Seen {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	out := make([]Seen, len(s.seen.ring))
	for i, r := range s.seen.ring {
		out[i] = *r
	}
	return out
}

func newSeen(r *http.Request) *Seen {
	return &Seen{
		Method: r.Method, Target: r.RequestURI, Path: r.URL.Path, RawQuery: r.URL.RawQuery, Proto: r.Proto, Host: r.Host,
		Header: r.Header.Clone(), ContentLength: r.ContentLength, TransferEncoding: slices.Clone(r.TransferEncoding),
		Session: r.Header.Get("X-Session-Id"), Remote: r.RemoteAddr, At: time.Now(),
	}
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

// receive reads the whole body, as net/http needs it to notice that a client leaves, and reports the request.
func (a *answer) receive() error {
	body, err := io.ReadAll(a.r.Body)
	a.body = body
	a.seen = newSeen(a.r)
	a.seen.Body = body
	a.srv.seen.add(a.seen)
	if a.srv.cfg.OnRequest != nil {
		a.srv.cfg.OnRequest(*a.seen)
	}
	return err
}

// report tells how the request ended.
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
