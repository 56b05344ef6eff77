package haproxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// sessions is how many clients send at a time, each for a session of its own.
const sessions = 8

// turn is one request of a session.
type turn struct {
	session      int
	began, ended time.Time
	server       string // that answered
	err          error  // nil for a whole answer
}

type turns []turn

// traffic is clients that send one turn after another.
type traffic struct {
	addr    string
	client  http.Client
	stop    chan struct{}
	clients sync.WaitGroup

	mu   sync.Mutex
	done turns // guarded by mu
}

// startTraffic starts clients of addr. Each turn has a connection of its own: on a kept connection, a request may cross the server's
// close, and no client can tell whether the server got it.
func startTraffic(t *testing.T, addr string) *traffic {
	t.Helper()
	f := &traffic{addr: addr, stop: make(chan struct{}), client: http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}}
	for i := range sessions {
		f.clients.Go(func() { f.converse(i) })
	}
	t.Cleanup(func() { f.end() })
	return f
}

// converse sends the turns of a session: whole answers and streams by turns.
func (f *traffic) converse(session int) {
	for n := 0; ; n++ {
		select {
		case <-f.stop:
			return
		default:
		}
		one := turn{session: session, began: time.Now()}
		one.server, one.err = f.send(session, n%2 == 1)
		one.ended = time.Now()
		f.mu.Lock()
		f.done = append(f.done, one)
		f.mu.Unlock()
		if one.err != nil {
			time.Sleep(10 * time.Millisecond) // nothing listens, most likely
		}
	}
}

// send sends one turn, and returns the name of the server that answered.
func (f *traffic) send(session int, stream bool) (server string, err error) {
	req, err := newRequest(f.addr, fmt.Sprintf("s-%d", session), stream, 16)
	if err != nil {
		return "", err
	}
	res, err := f.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	server = res.Header.Get("X-Sim-Server")
	switch {
	case err != nil:
		return server, err
	case res.StatusCode != 200:
		return server, fmt.Errorf("status %d: %s", res.StatusCode, body)
	case stream && !bytes.HasSuffix(body, []byte("data: [DONE]\n\n")), !stream && !json.Valid(body):
		return server, errors.New("the answer is cut")
	}
	return server, nil
}

func newRequest(addr, session string, stream bool, tokens int) (*http.Request, error) {
	body := fmt.Sprintf(`{"model":"tiny","max_tokens":%d,"stream":%v,"messages":[{"role":"user","content":"hello"}]}`, tokens, stream)
	req, err := http.NewRequest("POST", "http://"+addr+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Session-Id", session)
	return req, nil
}

// round waits until every session has had two turns, one of each kind, that began after now.
func (f *traffic) round(t *testing.T) {
	t.Helper()
	from := time.Now()
	await(t, "the sessions stand still", func() bool {
		n := map[int]int{}
		f.mu.Lock()
		defer f.mu.Unlock()
		full := 0
		for _, one := range f.done {
			if one.began.After(from) {
				if n[one.session]++; n[one.session] == 2 {
					full++
				}
			}
		}
		return full == sessions
	})
}

// end stops the clients, and returns all turns.
func (f *traffic) end() turns {
	select {
	case <-f.stop:
	default:
		close(f.stop)
	}
	f.clients.Wait()
	return f.done
}

// outage is a time in which requests may fail.
type outage struct{ from, to time.Time }

// succeed fails the test for each turn that failed, other than those that were under way in an outage, and for each session that was
// not on one server all the time. Without an outage gap is nil.
func (all turns) succeed(t *testing.T, gap *outage) {
	t.Helper()
	homes, failed := map[int]string{}, 0
	for _, one := range all {
		switch {
		case one.err != nil && gap != nil && one.began.Before(gap.to) && one.ended.After(gap.from):
			failed++
		case one.err != nil:
			t.Errorf("session %d, a turn from %s to %s: %v", one.session, one.began.Format(time.StampMicro), one.ended.Format(time.StampMicro), one.err)
		case homes[one.session] == "":
			homes[one.session] = one.server
		case homes[one.session] != one.server:
			t.Errorf("session %d went from %s to %s", one.session, homes[one.session], one.server)
		}
	}
	t.Logf("%d turns, %d of them failed in the outage", len(all), failed)
}

// endless is a stream that does not end by itself.
type endless struct{ ended chan struct{} }

// startStream starts an endless stream, and returns once its first bytes were received.
func startStream(t *testing.T, addr string) *endless {
	t.Helper()
	req, err := newRequest(addr, "endless", true, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	e := &endless{ended: make(chan struct{})}
	go func() {
		defer close(e.ended)
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body) // that it is cut is its end
	}()
	return e
}

func (e *endless) wait(t *testing.T) {
	t.Helper()
	select {
	case <-e.ended:
	case <-time.After(patience):
		t.Fatal("the stream goes on")
	}
}
