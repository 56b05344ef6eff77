package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func framing(t *testing.T, head string) Framing {
	t.Helper()
	var h Head
	if _, err := ParseHead([]byte(head), 0, &h); err != nil {
		t.Fatal(err)
	}
	return NewFraming(&h)
}

const (
	lengthHead  = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
	chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	closeHead   = "HTTP/1.1 200 OK\r\n\r\n"
)

func TestFraming(t *testing.T) {
	for _, c := range []struct {
		name, head, body, payload string
		done                      bool
	}{
		{"length", lengthHead, "0123456789", "0123456789", true},
		{"length, cut", lengthHead, "012345678", "012345678", false},
		{"chunked", chunkedHead, "a\r\n0123456789\r\n0\r\n\r\n", "0123456789", true},
		{"chunked, cut between chunks", chunkedHead, "a\r\n0123456789\r\n", "0123456789", false},
		{"chunked, cut before the last line end", chunkedHead, "0\r\n\r", "", false},
		{"close", closeHead, "anything", "anything", false},
		{"no content", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "", "", true},
		{"not modified", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for size := 1; size <= len(c.body)+1; size++ {
				shown, decoded := framing(t, c.head), framing(t, c.head)
				var payload []byte
				for rest := c.body; len(rest) > 0; {
					p := []byte(rest[:min(size, len(rest))])
					n, err := shown.Show(p)
					if err != nil || n != len(p) {
						t.Fatalf("in pieces of %d: shown %d of %d bytes, %v", size, n, len(p), err)
					}
					part, n, err := decoded.Decode(p)
					if err != nil || n != min(size, len(rest)) {
						t.Fatalf("in pieces of %d: decoded %d bytes, %v", size, n, err)
					}
					payload = append(payload, part...)
					rest = rest[n:]
				}
				if shown.Done() != c.done || decoded.Done() != c.done || string(payload) != c.payload {
					t.Fatalf("in pieces of %d: done %v, payload %q", size, shown.Done(), payload)
				}
			}
		})
	}
}

// Bytes after the answer are not a part of it: they are neither counted nor decoded.
func TestFramingEndsWithTheAnswer(t *testing.T) {
	for _, c := range []struct{ head, body string }{
		{lengthHead, "0123456789"},
		{chunkedHead, "a\r\n0123456789\r\n0\r\n\r\n"},
		{"HTTP/1.1 204 No Content\r\n\r\n", ""},
	} {
		f := framing(t, c.head)
		if n, err := f.Show([]byte(c.body + "HTTP/1.1 200 OK\r\n")); n != len(c.body) || err != nil || !f.Done() {
			t.Errorf("%q: %d bytes, %v, done %v", c.body, n, err, f.Done())
		}
		f = framing(t, c.head)
		if _, n, err := f.Decode([]byte(c.body + "HTTP/1.1 200 OK\r\n")); n != len(c.body) || err != nil || !f.Done() {
			t.Errorf("%q decoded: %d bytes, %v, done %v", c.body, n, err, f.Done())
		}
	}
}

func TestFramingRefusesBrokenChunks(t *testing.T) {
	f := framing(t, chunkedHead)
	if n, err := f.Show([]byte("5\r\nhello\r\nxyz")); n != len("5\r\nhello\r\n") || err == nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestBetweenEvents(t *testing.T) {
	chunk := func(s string) string {
		return strings.ToUpper(string([]byte{"0123456789abcdef"[len(s)]})) + "\r\n" + s + "\r\n"
	}
	for _, c := range []struct {
		name, head, body string
		want             bool
	}{
		{"start", chunkedHead, "", true},
		{"event", chunkedHead, chunk("data: a\n\n"), true},
		{"event in two chunks", chunkedHead, chunk("data: a\n") + chunk("\n"), true},
		{"event with CRLF", chunkedHead, chunk("data: a\r\n\r\n"), true},
		{"event with CR", chunkedHead, chunk("data: a\r\r"), true},
		{"half an event", chunkedHead, chunk("data: a\n"), false},
		{"half an event with CRLF", chunkedHead, chunk("data: a\r\n"), false},
		{"in a chunk", chunkedHead, "f\r\ndata: a\n\n", false},
		{"before the chunk's end", chunkedHead, "9\r\ndata: a\n\n", false},
		{"in a size", chunkedHead, chunk("data: a\n\n") + "1", false},
		{"done", chunkedHead, chunk("data: a\n\n") + "0\r\n\r\n", false},
		{"close-delimited event", closeHead, "data: a\n\n", true},
		{"close-delimited half", closeHead, "data: a", false},
		{"length", lengthHead, "data: a\n\n", false},
	} {
		for size := 1; size <= len(c.body)+1; size++ {
			f := framing(t, c.head)
			for rest := []byte(c.body); len(rest) > 0; {
				n, err := f.Show(rest[:min(size, len(rest))])
				if err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if got := f.BetweenEvents(); got != c.want {
				t.Errorf("%s, in pieces of %d: %v, want %v", c.name, size, got, c.want)
			}
		}
	}
}

// FuzzFraming: how the bytes of an answer are split makes no difference; Go's own reader finds the same payload, or that it is cut;
// and where an event of a stream may follow, the lines of the events before are complete.
func FuzzFraming(f *testing.F) {
	f.Add(chunkedHead, "5\r\nhello\r\n0\r\n\r\nrest", 2)
	f.Add(lengthHead, "0123456789rest", 3)
	f.Add(closeHead, "data: a\r\n\r\n", 1)
	f.Fuzz(func(t *testing.T, head, body string, size int) {
		var h Head
		if n, err := ParseHead([]byte(head), 0, &h); err != nil || n != len(head) {
			return
		}
		if size < 1 {
			size = 1
		}
		whole, split := NewFraming(&h), NewFraming(&h)
		a, n, err := whole.Decode([]byte(body))
		var b []byte
		m := 0
		var errB error
		for m < len(body) && errB == nil && !split.Done() {
			var part []byte
			var k int
			part, k, errB = split.Decode([]byte(body[m:min(m+size, len(body))]))
			b = append(b, part...)
			m += k
		}
		if n != m || err != errB || !bytes.Equal(a, b) || whole.Done() != split.Done() || whole.BetweenEvents() != split.BetweenEvents() {
			t.Fatalf("whole: %q, %d, %v; in pieces of %d: %q, %d, %v", a, n, err, size, b, m, errB)
		}
		if whole.BetweenEvents() && !eventMayFollow(string(a)) {
			t.Fatalf("an event may not follow %q", a)
		}
		if err == nil && !h.bodiless() {
			asGoReads(t, head+body, string(a), whole.Done() || whole.UntilClose())
		}
	})
}

// asGoReads fails if Go's client reads another body than payload, or takes a cut body for whole.
func asGoReads(t *testing.T, answer, payload string, whole bool) {
	t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		t.Fatalf("Go refuses %q: %v", answer, err)
	}
	body, err := io.ReadAll(r.Body)
	if whole != (err == nil) || string(body) != payload {
		t.Fatalf("%q, whole %v; Go has %q, %v", payload, whole, body, err)
	}
}

// eventMayFollow reads a stream line by line, by WHATWG HTML 9.2.6: the last line must be complete and empty.
func eventMayFollow(stream string) bool {
	lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n"), "\n")
	n := len(lines)
	return stream == "" || n > 1 && lines[n-1] == "" && lines[n-2] == ""
}
