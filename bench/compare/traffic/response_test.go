package traffic

import (
	"fmt"
	"testing"
)

const exampleHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: Chunked\r\n\r\n"

// exampleStream has two events in chunks that divide them at the given place, and the number of bytes of its body.
func exampleStream(divide int) string {
	body := string(stamped(7)) + string(stamped(9))
	return fmt.Sprintf("%s%x\r\n%s\r\n%X\r\n%s\r\n0\r\n\r\n", exampleHead, divide, body[:divide], len(body)-divide, body[divide:])
}

func stamped(now int64) []byte {
	e := newEvent()
	stamp(e, now)
	return e
}

// A stream is read alike wherever its chunks and the received bytes are divided.
func TestStreamInParts(t *testing.T) {
	var delays []int64
	r := response{events: events{delays: &delays}}
	for _, divide := range []int{1, 22, 30, EventSize, EventSize + 40, 2*EventSize - 1} {
		text := exampleStream(divide)
		for split := 1; split < len(text); split++ {
			delays = delays[:0]
			whole, err := r.take([]byte(text[:split]), 10)
			if whole || err != nil {
				t.Fatalf("divided at %d, split at %d: whole %v, %v", divide, split, whole, err)
			}
			if whole, err = r.take([]byte(text[split:]), 10); !whole || err != nil {
				t.Fatalf("divided at %d, split at %d: whole %v, %v", divide, split, whole, err)
			}
			if r.size != 2*EventSize || len(delays) != 2 || delays[0] != 3 || delays[1] != 1 {
				t.Fatalf("divided at %d, split at %d: %d bytes, delays %v", divide, split, r.size, delays)
			}
			r.next()
		}
	}
}

func TestResponseWithLength(t *testing.T) {
	var r response
	for range 2 { // the second response of the connection is read like the first
		for i, part := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", "llo"} {
			if whole, err := r.take([]byte(part), 1); err != nil || whole != (i == 1) {
				t.Fatalf("part %d: whole %v, %v", i, whole, err)
			}
		}
		r.next()
	}
}

func TestResponsesThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n": `the status line is "HTTP/1.1 503 Service Unavailable"`,
		"HTTP/1.1 200 OK\r\n\r\n":                        "a response has neither a length nor chunks",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n":  `Content-Length is "-1"`,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab": "bytes follow a response",
		exampleHead + "xyz\r\n":                          `the size of a chunk is "xyz"`,
		exampleHead + "\r\n":                             "the size of a chunk is empty",
		exampleHead + "FFFFFFFFF\r\n":                    `the size of a chunk is "FFFFFFFFF"`,
		exampleHead + "1\r\nab\r\n":                      `"b" stands where a chunk ends`,
	} {
		var r response
		if _, err := r.take([]byte(text), 1); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
