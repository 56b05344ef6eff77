package sim

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

func TestRecordingIsByteExact(t *testing.T) {
	var bodies [][]byte
	s := start(t, Config{Record: 2, OnRequest: func(seen Seen) { bodies = append(bodies, seen.Body) }})
	body := make([]byte, 0, 256*40)
	for i := range 256 * 40 {
		body = append(body, byte(i*7))
	}
	get200(t, s, "/version")
	c := dial(t, s)
	put(t, c, "POST /v1/nope%2f?a=b&a=%20c HTTP/1.1\r\nHost: some.host\r\nX-Session-Id:  id 1 \r\nX-Two: a\r\nx-two: b\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n"+fmt.Sprintf("%x\r\n%s\r\n1\r\n!\r\n0\r\n\r\n", len(body), body))
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	postTo(t, s, chatPath, chatBody, "X-Session-Id: two")
	await(t, s, idle)
	seen := s.Requests()
	if len(seen) != 2 {
		t.Fatalf("%d requests, want the newest 2", len(seen))
	}
	first, second := seen[0], seen[1]
	if !bytes.Equal(first.Body, append(body, '!')) || !bytes.Equal(first.Body, bodies[1]) {
		t.Error("the body is not what was sent")
	}
	got := fmt.Sprint(first.Method, first.Target, first.Path, first.RawQuery, first.Host, first.Session, first.Header["X-Two"],
		first.ContentLength, first.TransferEncoding, first.Status, first.Done, first.Aborted)
	want := fmt.Sprint("POST", "/v1/nope%2f?a=b&a=%20c", "/v1/nope/", "a=b&a=%20c", "some.host", "id 1", []string{"a", "b"},
		-1, []string{"chunked"}, 404, true, false)
	if got != want {
		t.Errorf("seen %s\nwant %s", got, want)
	}
	if second.Session != "two" || second.Model != "tiny" || string(second.Body) != chatBody || second.Status != 200 {
		t.Errorf("seen %+v", second)
	}
}

// A request is seen with the faults that apply to it, and with the time of its receipt.
func TestRecordingOfFaults(t *testing.T) {
	s := start(t, Config{Record: 1})
	before := time.Now()
	postTo(t, s, chatPath, chatBody, "X-Sim-Fault: slow=1ms, 500")
	await(t, s, idle)
	seen := s.Requests()[0]
	if got := fmt.Sprint(seen.Faults); got != "[slow status]" {
		t.Errorf("the faults are %s", got)
	}
	if seen.Received.Before(before) || seen.Received.After(time.Now()) {
		t.Errorf("it was received at %v, want after %v", seen.Received, before)
	}
}
