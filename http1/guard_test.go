package http1

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const maxTestHead, maxTestFields = 4096, 20

// feed gives text to a fresh guard in pieces of size, and returns the result.
func feed(text string, size int) (g *Guard, n int, done bool, err error) {
	g = new(Guard)
	g.Reset(maxTestHead, maxTestFields)
	for n < len(text) && !done && err == nil {
		var k int
		k, done, err = g.Head([]byte(text[n:min(n+size, len(text))]))
		n += k
	}
	return g, n, done, err
}

func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n\r\n" }

// padded is a head of size bytes.
func padded(size int) string {
	head := lines("GET / HTTP/1.1", "Host: a", "X: ")
	return strings.Replace(head, "X: ", "X: "+strings.Repeat("b", size-len(head)), 1)
}

func TestGuardAccepts(t *testing.T) {
	for _, c := range []struct {
		name, head       string
		length           int64
		chunked, expect  bool
		http10, keepLive bool
	}{
		{name: "get", head: lines("GET /v1/models HTTP/1.1", "Host: a"), keepLive: true},
		{name: "length", head: lines("POST / HTTP/1.1", "Host: a:80", "Content-Length: 12"), length: 12, keepLive: true},
		{name: "chunked", head: lines("POST / HTTP/1.1", "host:[::1]", "transfer-encoding:\tChunked "), chunked: true, keepLive: true},
		{name: "expect", head: lines("POST / HTTP/1.1", "Host: a", "Content-Length: 1", "Expect: 100-Continue"), length: 1, expect: true, keepLive: true},
		{name: "close", head: lines("GET / HTTP/1.1", "Host: a", "Connection: TE, Close"), keepLive: false},
		{name: "http 1.0", head: lines("GET / HTTP/1.0", "Host: a"), http10: true},
		{name: "http 1.0 without a host", head: lines("GET / HTTP/1.0"), http10: true},
		{name: "http 1.0 without a host but in its target", head: lines("GET http://a/ HTTP/1.0"), http10: true},
		{name: "http 1.0 kept alive", head: lines("GET / HTTP/1.0", "Host: a", "Connection: keep-alive"), http10: true, keepLive: true},
		{name: "expect on 1.0 is ignored", head: lines("POST / HTTP/1.0", "Host: a", "Content-Length: 1", "Expect: 100-continue"), http10: true, length: 1},
		{name: "one empty line first", head: "\r\n" + lines("GET / HTTP/1.1", "Host: a"), keepLive: true},
		{name: "text beyond ASCII in a value", head: lines("GET / HTTP/1.1", "Host: a", "X-Name: Zoë\t日本"), keepLive: true},
		{name: "as many fields as it may have", head: lines(append([]string{"GET / HTTP/1.1", "Host: a"}, slices.Repeat([]string{"X-A: b"}, maxTestFields-1)...)...), keepLive: true},
		{name: "empty value", head: lines("GET / HTTP/1.1", "Host: a", "X-Empty:"), keepLive: true},
		{name: "asterisk", head: lines("OPTIONS * HTTP/1.1", "Host: a"), keepLive: true},
		{name: "as many bytes as it may have", head: padded(maxTestHead), keepLive: true},
		{name: "the longest host", head: lines("GET / HTTP/1.1", "Host: "+strings.Repeat("a", maxPart-1)), keepLive: true},
		{name: "the longest method", head: lines(strings.Repeat("G", maxMethod)+" / HTTP/1.1", "Host: a"), keepLive: true},
		{name: "the longest Connection", head: lines("GET / HTTP/1.1", "Host: a", "Connection:"+strings.Repeat(" ", maxConnection-5)+"close")},
		{name: "zero length", head: lines("POST / HTTP/1.1", "Host: a", "Content-Length: 000"), keepLive: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for size := 1; size <= len(c.head); size++ {
				g, n, done, err := feed(c.head+"beyond", size)
				if err != nil || !done || n != len(c.head) {
					t.Fatalf("in pieces of %d: %d bytes, done %v, %v", size, n, done, err)
				}
				if g.Length != c.length || g.Chunked != c.chunked || g.Expect != c.expect || g.HTTP10() != c.http10 || g.KeepAlive() != c.keepLive {
					t.Fatalf("in pieces of %d: got length %d, chunked %v, expect %v, 1.0 %v, keep-alive %v", size, g.Length, g.Chunked, g.Expect, g.HTTP10(), g.KeepAlive())
				}
			}
		})
	}
}

func TestGuardRefuses(t *testing.T) {
	with := func(fields ...string) string {
		return lines(append([]string{"POST /v1/chat/completions HTTP/1.1", "Host: a"}, fields...)...)
	}
	for _, c := range []struct {
		name, head string
		want       error
	}{
		{"length and chunked", with("Content-Length: 5", "Transfer-Encoding: chunked"), ErrBothLengths},
		{"chunked and length", with("Transfer-Encoding: chunked", "Content-Length: 5"), ErrBothLengths},
		{"length twice", with("Content-Length: 5", "Content-Length: 5"), ErrLength},
		{"length list", with("Content-Length: 5, 5"), ErrLength},
		{"length signed", with("Content-Length: +5"), ErrLength},
		{"length negative", with("Content-Length: -1"), ErrLength},
		{"length hex", with("Content-Length: 0x5"), ErrLength},
		{"length empty", with("Content-Length:"), ErrLength},
		{"length with a blank in it", with("Content-Length: 1 1"), ErrLength},
		{"length beyond measure", with("Content-Length: 9999999999999999999"), ErrLength},
		{"length very long", with("Content-Length: " + strings.Repeat("1", 300)), ErrLength},
		{"identity", with("Transfer-Encoding: identity"), ErrTransfer},
		{"gzip, chunked", with("Transfer-Encoding: gzip, chunked"), ErrTransfer},
		{"chunked twice", with("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), ErrTransfer},
		{"chunked quoted", with(`Transfer-Encoding: "chunked"`), ErrTransfer},
		{"chunked with a parameter", with("Transfer-Encoding: chunked;q=1"), ErrTransfer},
		{"chunked on 1.0", lines("POST / HTTP/1.0", "Host: a", "Transfer-Encoding: chunked"), ErrTransfer},
		{"folded", with("X-A: b", " c"), ErrFolded},
		{"folded by a tab", with("X-A: b", "\tc"), ErrFolded},
		{"first line folded", lines("GET / HTTP/1.1", " Host: a"), ErrFolded},
		{"no host", lines("GET / HTTP/1.1"), ErrHost},
		{"two hosts on 1.0", lines("GET / HTTP/1.0", "Host: a", "Host: a"), ErrHost},
		{"empty host on 1.0", lines("GET / HTTP/1.0", "Host:"), ErrHost},
		{"no host beside an absolute target", lines("GET http://a/ HTTP/1.1"), ErrHost},
		{"two hosts", with("Host: a"), ErrHost},
		{"empty host", lines("GET / HTTP/1.1", "Host: "), ErrHost},
		{"host with a path", lines("GET / HTTP/1.1", "Host: a/b"), ErrHost},
		{"host with a user", lines("GET / HTTP/1.1", "Host: u@a"), ErrHost},
		{"two hosts in one", lines("GET / HTTP/1.1", "Host: a, b"), ErrHost},
		{"port beyond all", lines("GET / HTTP/1.1", "Host: a:65536"), ErrHost},
		{"port zero", lines("GET / HTTP/1.1", "Host: a:0"), ErrHost},
		{"port with a leading zero too many", lines("GET / HTTP/1.1", "Host: a:000080"), ErrHost},
		{"host too long", lines("GET / HTTP/1.1", "Host: "+strings.Repeat("a", maxPart)), ErrHost},
		{"host too long with the white space behind it", lines("GET / HTTP/1.1", "Host:a"+strings.Repeat(" ", maxPart)), ErrHost},
		{"connection too long", with("Connection: " + strings.Repeat("a,", maxConnection/2)), ErrField},
		{"connections too long", with("Connection: "+strings.Repeat(" ", maxConnection-6)+"close", "Connection:a"), ErrField},
		{"http 2", lines("GET / HTTP/2.0", "Host: a"), ErrVersion},
		{"http 1.7", lines("GET / HTTP/1.7", "Host: a"), ErrVersion},
		{"http 0.9", lines("GET / HTTP/0.9", "Host: a"), ErrVersion},
		{"http/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ErrVersion},
		{"asterisk of another method than OPTIONS", lines("GET * HTTP/1.1", "Host: a"), ErrRequestLine},
		{"no version", lines("GET /", "Host: a"), ErrRequestLine},
		{"version in lower case", lines("GET / http/1.1", "Host: a"), ErrRequestLine},
		{"two blanks before the version", lines("GET /  HTTP/1.1", "Host: a"), ErrRequestLine},
		{"blank after the version", lines("GET / HTTP/1.1 ", "Host: a"), ErrRequestLine},
		{"version too long", lines("GET / HTTP/1.1"+strings.Repeat("1", 300), "Host: a"), ErrRequestLine},
		{"no method", lines(" / HTTP/1.1", "Host: a"), ErrRequestLine},
		{"method no token", lines("GE(T / HTTP/1.1", "Host: a"), ErrRequestLine},
		{"method too long", lines(strings.Repeat("G", 33)+" / HTTP/1.1", "Host: a"), ErrRequestLine},
		{"absolute target of another host", lines("GET http://b/ HTTP/1.1", "Host: a"), ErrHost},
		{"absolute target of another port", lines("GET http://a:81/ HTTP/1.1", "Host: a"), ErrHost},
		{"absolute target with the port of another scheme", lines("GET http://a:443/ HTTP/1.1", "Host: a"), ErrHost},
		{"absolute target with a port of two", lines("GET https://a:80/ HTTP/1.1", "Host: a:443"), ErrHost},
		{"absolute target with an empty port", lines("GET http://a:/ HTTP/1.1", "Host: a"), ErrRequestLine},
		{"absolute target without a host", lines("GET http://?a HTTP/1.1", "Host: a"), ErrRequestLine},
		{"absolute target with a fragment", lines("GET http://a#b HTTP/1.1", "Host: a"), ErrRequestLine},
		{"absolute target with a host too long", lines("GET http://"+strings.Repeat("a", 300)+"/ HTTP/1.1", "Host: a"), ErrRequestLine},
		{"authority as target", lines("CONNECT a:80 HTTP/1.1", "Host: a"), ErrRequestLine},
		{"target with a control byte", lines("GET /\x01 HTTP/1.1", "Host: a"), ErrRequestLine},
		{"target beyond ASCII", lines("GET /é HTTP/1.1", "Host: a"), ErrRequestLine},
		{"fragment", lines("GET /#a HTTP/1.1", "Host: a"), ErrRequestLine},
		{"two empty lines first", "\r\n\r\n" + lines("GET / HTTP/1.1", "Host: a"), ErrRequestLine},
		{"bare LF after the first line", "GET / HTTP/1.1\nHost: a\r\n\r\n", ErrRequestLine},
		{"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", ErrField},
		{"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", ErrField},
		{"bare CR in a value", with("X-A: b\rc"), ErrLineEnd},
		{"bare CR at the end", "GET / HTTP/1.1\r\nHost: a\r\n\rX", ErrLineEnd},
		{"NUL in a value", with("X-A: b\x00c"), ErrField},
		{"DEL in a value", with("X-A: b\x7fc"), ErrField},
		{"no colon", with("X-A"), ErrField},
		{"no name", with(": b"), ErrField},
		{"blank before the colon", with("Content-Length : 5"), ErrField},
		{"blank in a name", with("X A: b"), ErrField},
		{"name with a bracket", with("X[A]: b"), ErrField},
		{"name beyond ASCII", with("Xé: b"), ErrField},
		{"other expectation", with("Expect: 200-ok"), ErrExpectation},
		{"too many fields", with(slices.Repeat([]string{"X-A: b"}, maxTestFields)...), ErrManyFields},
		{"one byte too large", padded(maxTestHead + 1), ErrHeadTooLarge},
		{"head too large", with("X-A: " + strings.Repeat("b", maxTestHead)), ErrHeadTooLarge},
		{"malformed behind what is too large", with("X-A: " + strings.Repeat("b", maxTestHead) + "\x00"), ErrHeadTooLarge},
		{"endless method", strings.Repeat("G", maxTestHead+1), ErrRequestLine},
		{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00", ErrRequestLine},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 7, 64, len(c.head)} {
				if _, _, done, err := feed(c.head, size); !errors.Is(err, c.want) || done {
					t.Fatalf("in pieces of %d: done %v, %v, want %v", size, done, err, c.want)
				}
			}
		})
	}
}

// What takes eight bytes at a time finds what the table says of each byte, wherever the byte is.
func TestSpans(t *testing.T) {
	for _, around := range []string{"aaaaaaaaaaaaaaaaaaaaaaaa", "-Z0-zA9z!~|\x80\xff -{}:@[`", "\t\t\x7f\x00\x1f \t\xa0a\tb\tc\r\nd:e_f"} {
		for at := range around {
			for c := range 256 {
				p := []byte(around)
				p[at] = byte(c)
				for from := range p {
					if got, want := tokenSpan(p[from:]), span(p[from:], isToken); got != want {
						t.Fatalf("%q: %d bytes of a token, want %d", p[from:], got, want)
					}
					if got, want := valueSpan(p[from:]), span(p[from:], isValue); got != want {
						t.Fatalf("%q: %d bytes of a value, want %d", p[from:], got, want)
					}
				}
			}
		}
	}
}

func TestBegun(t *testing.T) {
	for text, want := range map[string]bool{"": false, "\r": false, "\r\n": false, "G": true, "\r\nG": true} {
		if g, _, _, _ := feed(text, 1); g.Begun() != want {
			t.Errorf("after %q: begun %v, want %v", text, g.Begun(), want)
		}
	}
}

// How bytes are split makes no difference, and accepted bytes are one head: if Go's own parser accepts them too, it reads the same
// request.
func FuzzGuard(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 3)
	f.Add("POST /v1/x HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc", 1)
	f.Add("\r\nPOST / HTTP/1.1\r\nhost:b\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n0\r\n\r\n", 5)
	f.Add("GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", 9)
	f.Add("GET HTTPS://[2001:DB8::1]:8443/ HTTP/1.0\r\n\r\n", 4) // without Host
	f.Fuzz(func(t *testing.T, text string, size int) {
		if size < 1 || size > len(text) {
			size = 1
		}
		g, n, done, err := feed(text, len(text)+1)
		split, m, doneSplit, errSplit := feed(text, size)
		if n != m && err == nil || done != doneSplit || !errors.Is(errSplit, err) {
			t.Fatalf("whole: %d, %v, %v; in pieces of %d: %d, %v, %v", n, done, err, size, m, doneSplit, errSplit)
		}
		if !done {
			return
		}
		if g.Length != split.Length || g.Chunked != split.Chunked || g.KeepAlive() != split.KeepAlive() || g.Path != split.Path ||
			!slices.Equal(g.Lines, split.Lines) {
			t.Fatal("split heads are read differently")
		}
		agree(t, g, text[:n])
	})
}

// agree fails if Go's parser reads another request in the head that g accepted.
func agree(t *testing.T, g *Guard, head string) {
	t.Helper()
	line, lines, _ := strings.Cut(strings.TrimPrefix(head, "\r\n"), "\r\n")
	fields, host := 0, ""
	for f := NewFields([]byte(lines)); f.Next(); fields++ {
		if EqualFold(f.Name, "host") {
			host = string(f.Value)
		}
		l := g.Lines[fields]
		if string(f.Line) != lines[l.From:l.To] || string(f.Name) != string(l.Name([]byte(lines))) || string(f.Value) != string(l.Value([]byte(lines))) {
			t.Fatalf("line %+v of %q is %q", l, lines, f.Line)
		}
		if len(f.Name) == 0 || span(f.Name, isToken) != len(f.Name) || span(f.Value, isValue) != len(f.Value) {
			t.Fatalf("accepted field %q: %q", f.Name, f.Value)
		}
	}
	if fields+1 != strings.Count(lines, "\n") || fields != len(g.Lines) {
		t.Fatalf("%d fields in %q", fields, lines)
	}
	rest := bufio.NewReader(strings.NewReader(line + "\r\n" + lines + "behind"))
	r, err := http.ReadRequest(rest)
	if err != nil {
		var wrong *url.Error
		if !errors.As(err, &wrong) && !strings.Contains(err.Error(), "trailer key") { // the guard does not judge targets and trailers
			t.Fatalf("Go refuses %q: %v", head, err)
		}
		return
	}
	chunked := len(r.TransferEncoding) > 0
	length := max(0, r.ContentLength)
	if target := strings.Fields(line)[1]; r.RequestURI != target || !pathBegins(target, g) {
		t.Fatalf("target %q with its path from %d, Go has %q", target, g.Path, r.RequestURI)
	}
	if g.Authority != nil { // which counts, not Host (RFC 9112 3.2.2)
		host = string(g.Authority)
	}
	if !strings.EqualFold(r.Host, host) {
		t.Fatalf("host %q, Go has %q", host, r.Host)
	}
	if chunked != g.Chunked || length != g.Length || r.Close == g.KeepAlive() || r.ProtoAtLeast(1, 1) == g.HTTP10() {
		t.Fatalf("%q: length %d, chunked %v, kept %v; Go has %d, %v, %v", head, g.Length, g.Chunked, g.KeepAlive(), length, chunked, !r.Close)
	}
	if !chunked && length == 0 {
		if behind, _ := io.ReadAll(rest); string(behind) != "behind" {
			t.Fatalf("behind %q Go has %q", head, behind)
		}
	}
}

// pathBegins reports whether g.Path is where a path begins in the target, or where an empty one is.
func pathBegins(target string, g *Guard) bool {
	rest := target[g.Path:]
	return strings.HasPrefix(rest, "/") || target == "*" || g.Authority != nil && (rest == "" || rest[0] == '?')
}

// The authority of a target counts (RFC 9112 3.2.2), and is that of Host: the default port of the scheme may be missing in either.
func TestAbsoluteTargets(t *testing.T) {
	for _, c := range []struct{ target, host, authority, rest string }{
		{"http://a/b?c", "a", "a", "/b?c"},
		{"http://A:81/b", "a:81", "a:81", "/b"},
		{"http://a:80/b", "a", "a:80", "/b"},
		{"http://a/b", "a:80", "a", "/b"},
		{"http://a:80/b", "A:80", "a:80", "/b"},
		{"HTTPS://a:443/b", "a", "a:443", "/b"},
		{"https://a/b", "a:443", "a", "/b"},
		{"https://a:80/b", "a:80", "a:80", "/b"},
		{"http://[::1]:80/b", "[::1]", "[::1]:80", "/b"},
		{"http://a", "a", "a", ""},
		{"http://a?b/c", "a", "a", "?b/c"},
		{"http://a:80?b", "a", "a:80", "?b"},
	} {
		head := lines("GET "+c.target+" HTTP/1.1", "Host: "+c.host)
		for size := 1; size <= len(head); size++ {
			g, _, done, err := feed(head, size)
			if !done || err != nil || string(g.Authority) != c.authority || c.target[g.Path:] != c.rest {
				t.Fatalf("%s, Host %s, in pieces of %d: authority %q, rest %q, %v", c.target, c.host, size, g.Authority, c.target[g.Path:], err)
			}
		}
	}
}

func BenchmarkGuard(b *testing.B) {
	head := []byte(lines("POST /v1/chat/completions HTTP/1.1", "Host: 127.0.0.1:8080", "User-Agent: OpenAI/Go 3.95.0",
		"Content-Length: 2048", "Accept: application/json", "Authorization: Bearer sk-0123456789abcdef0123456789abcdef",
		"Content-Type: application/json", "X-Stainless-Arch: x64", "X-Stainless-Lang: go", "X-Stainless-Os: Linux",
		"X-Stainless-Package-Version: 3.95.0", "X-Stainless-Retry-Count: 0", "X-Stainless-Runtime: go",
		"X-Stainless-Runtime-Version: go1.26.8", "Accept-Encoding: gzip"))
	var g Guard
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	for b.Loop() {
		g.Reset(maxTestHead, maxTestFields)
		if _, done, err := g.Head(head); !done || err != nil {
			b.Fatal(err)
		}
	}
}
