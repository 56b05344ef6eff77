package proxy

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
)

// The record of a stream is about that stream, although other requests have had its scratch meanwhile.
func TestRecordOfStreamWithoutScratch(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	const trace = "0af7651916cd43dd8448eb211c80319c"
	c := r.dial()
	c.send(post(chatPath, `{"model":"the-stream's","messages":[{"role":"user","content":"x"}],"stream":true}`,
		"X-Session-Id: one", "X-Session-Id: two", "X-Session-Affinity: {{session}}", "traceparent: 00-"+trace+"-b7ad6b7169203331-01", "X-Request-Id: first"))
	up := s.next()
	up.request()
	up.send(streamHead)
	res, err := http.ReadResponse(c.r, nil)
	r.must(err)
	defer res.Body.Close()
	r.relayed(up, res.Body, 1)
	for range 10 {
		other := r.dial()
		other.send(post(chatPath, `{"model":"another","messages":[{"role":"user","content":"a longer question"}]}`, "X-Session-Id: other", "X-Request-Id: second"))
		to := s.next()
		to.request()
		to.send(ok("{}"))
		other.receive()
		to.Close()
	}
	r.recorded(10)
	up.send("0\r\n\r\n")
	_, err = io.Copy(io.Discard, res.Body)
	r.must(err)
	rec := r.recorded(11)
	if string(rec.Model) != "the-stream's" || string(rec.TraceID) != trace || string(rec.RequestID) != "first" || string(rec.Path) != chatPath {
		t.Errorf("model %q, trace %q, request %q, path %q", rec.Model, rec.TraceID, rec.RequestID, rec.Path)
	}
	if rec.Ignored != 1 || rec.IDSource() != "opening" {
		t.Errorf("%d ids ignored, the id is from %s", rec.Ignored, rec.IDSource())
	}
}

// Streams give their scratch back: it serves the next ones.
func TestStreamsShareScratch(t *testing.T) {
	const streams = 50
	before := scratches.New
	defer func() { scratches.New = before }()
	var made atomic.Int32
	scratches.New = func() any { made.Add(1); return before() }
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	for n := range streams {
		up, stream := r.streaming(s)
		r.relayed(up, stream, n)
		defer up.send("0\r\n\r\n")
	}
	if n := made.Load(); n > streams*9/10 { // the pool drops some with the race detector, and at each collection of garbage
		t.Errorf("%d streams work with %d", streams, n)
	}
}
