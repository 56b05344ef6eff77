package http1

import (
	"bufio"
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestParseHead(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Head // but its slices
	}{
		{"length", lines("HTTP/1.1 200 OK", "Content-Length: 5"), Head{Status: 200, Length: 5}},
		{"chunked stream", lines("HTTP/1.1 200 OK", "content-type: text/event-stream; charset=utf-8", "Transfer-Encoding: Chunked"), Head{Status: 200, Length: -1, Chunked: true, EventStream: true}},
		{"no reason", lines("HTTP/1.1 404"), Head{Status: 404, Length: -1}},
		{"empty reason", lines("HTTP/1.1 404 "), Head{Status: 404, Length: -1}},
		{"close", lines("HTTP/1.1 200 OK", "Connection: foo, close"), Head{Status: 200, Length: -1, Close: true}},
		{"http 1.0", lines("HTTP/1.0 200 OK"), Head{Status: 200, Length: -1, Close: true}},
		{"http 1.0 kept alive", lines("HTTP/1.0 200 OK", "Connection: Keep-Alive"), Head{Status: 200, Length: -1}},
		{"no content, with a length of zero", lines("HTTP/1.1 204 No Content", "Content-Length: 0"), Head{Status: 204}},
		{"no content, with a length", lines("HTTP/1.1 204 No Content", "Content-Length: 5"), Head{Status: 204, Length: 5, Close: true}},
		{"no content, in chunks", lines("HTTP/1.1 204 No Content", "Transfer-Encoding: chunked"), Head{Status: 204, Length: -1, Chunked: true, Close: true}},
		{"not modified, with the length of what was not", lines("HTTP/1.1 304 Not Modified", "Content-Length: 5"), Head{Status: 304, Length: 5}},
		{"encoded", lines("HTTP/1.1 200 OK", "Content-Encoding: gzip"), Head{Status: 200, Length: -1, Encoded: true}},
		{"identity", lines("HTTP/1.1 200 OK", "Content-Encoding: identity"), Head{Status: 200, Length: -1}},
		{"other stream", lines("HTTP/1.1 200 OK", "Content-Type: text/event-streams"), Head{Status: 200, Length: -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h Head
			seen := 0
			for n := range len(c.text) {
				if _, err := ParseHead([]byte(c.text[:n]), seen, &h); !errors.Is(err, ErrMore) {
					t.Fatalf("after %d bytes: %v", n, err)
				}
				seen = n
			}
			n, err := ParseHead([]byte(c.text+"beyond"), seen, &h)
			if err != nil || n != len(c.text) {
				t.Fatalf("%d bytes, %v", n, err)
			}
			if string(h.StatusLine)+string(h.Lines)+"\r\n" != c.text {
				t.Errorf("lines %q %q", h.StatusLine, h.Lines)
			}
			h.StatusLine, h.Lines = nil, nil
			if h.Status != c.want.Status || h.Length != c.want.Length || h.Chunked != c.want.Chunked || h.Close != c.want.Close ||
				h.EventStream != c.want.EventStream || h.Encoded != c.want.Encoded {
				t.Errorf("got %+v, want %+v", h, c.want)
			}
		})
	}
}

func TestParseHeadRefuses(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"no protocol", lines("200 OK"), ErrStatusLine},
		{"http 2", lines("HTTP/2.0 200 OK"), ErrStatusLine},
		{"http 1.2", lines("HTTP/1.2 200 OK"), ErrStatusLine},
		{"status too short", lines("HTTP/1.1 20"), ErrStatusLine},
		{"status too long", lines("HTTP/1.1 2000 OK"), ErrStatusLine},
		{"status no number", lines("HTTP/1.1 2x0 OK"), ErrStatusLine},
		{"status below 100", lines("HTTP/1.1 099 OK"), ErrStatusLine},
		{"control byte in the reason", lines("HTTP/1.1 200 O\x01K"), ErrStatusLine},
		{"bare LF", "HTTP/1.1 200 OK\nA: b\r\n\r\n", ErrStatusLine},
		{"empty line first", "\r\n" + lines("HTTP/1.1 200 OK"), ErrStatusLine},
		{"folded", lines("HTTP/1.1 200 OK", "A: b", " c"), ErrResponseField},
		{"no colon", lines("HTTP/1.1 200 OK", "A"), ErrResponseField},
		{"no name", lines("HTTP/1.1 200 OK", ": b"), ErrResponseField},
		{"blank before the colon", lines("HTTP/1.1 200 OK", "A : b"), ErrResponseField},
		{"NUL", lines("HTTP/1.1 200 OK", "A: \x00"), ErrResponseField},
		{"bare LF after a field", "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", ErrResponseField},
		{"bare CR in a value", lines("HTTP/1.1 200 OK", "A: b\rc"), ErrResponseField},
		{"length twice", lines("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 5"), ErrResponseLength},
		{"length no number", lines("HTTP/1.1 200 OK", "Content-Length: five"), ErrResponseLength},
		{"length and chunked", lines("HTTP/1.1 200 OK", "Content-Length: 5", "Transfer-Encoding: chunked"), ErrResponseTransfer},
		{"interim with a length", lines("HTTP/1.1 103 Early Hints", "Content-Length: 5"), ErrResponseLength},
		{"interim in chunks", lines("HTTP/1.1 100 Continue", "Transfer-Encoding: chunked"), ErrResponseLength},
		{"gzip", lines("HTTP/1.1 200 OK", "Transfer-Encoding: gzip"), ErrResponseTransfer},
		{"chunked on 1.0", lines("HTTP/1.0 200 OK", "Transfer-Encoding: chunked"), ErrResponseTransfer},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h Head
			if _, err := ParseHead([]byte(c.text), 0, &h); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// FuzzParseHead: accepted bytes are one head, and Go's own parser reads the same answer.
func FuzzParseHead(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	f.Add("HTTP/1.0 200\r\nConnection: keep-alive\r\nContent-Type: text/event-stream\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		var h, later Head
		n, err := ParseHead([]byte(text), 0, &h)
		m, errLater := ParseHead([]byte(text), len(text)/2, &later)
		if _, half := ParseHead([]byte(text[:len(text)/2]), 0, new(Head)); half == ErrMore && (n != m || errLater != err) {
			t.Fatalf("%d, %v; when half of it was seen %d, %v", n, err, m, errLater)
		}
		if err != nil {
			return
		}
		if !strings.HasSuffix(text[:n], "\r\n\r\n") || h.Status < 100 || h.Status > 999 || h.Length < -1 {
			t.Fatalf("accepted %q as %+v", text[:n], h)
		}
		count := 0
		for f := NewFields(h.Lines); f.Next(); {
			count++
		}
		if count != strings.Count(string(h.Lines), "\n") {
			t.Fatalf("%d fields in %q", count, h.Lines)
		}
		r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text[:n])), nil)
		if err != nil {
			t.Fatalf("Go refuses %q: %v", text[:n], err)
		}
		length, framing := r.ContentLength, NewFraming(&h)
		if h.bodiless() {
			length = h.Length
		}
		if r.StatusCode != h.Status || length != h.Length || len(r.TransferEncoding) > 0 != h.Chunked || r.Close && !h.Close && !framing.UntilClose() {
			t.Fatalf("%q: %+v; Go has %+v", text[:n], h, r)
		}
	})
}

func BenchmarkParseHead(b *testing.B) {
	head := []byte(lines("HTTP/1.1 200 OK", "date: Sat, 21 Nov 2026 09:48:12 GMT", "server: uvicorn", "content-length: 763",
		"content-type: application/json", "vary: Origin"))
	var h Head
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseHead(head, 0, &h); err != nil {
			b.Fatal(err)
		}
	}
}
