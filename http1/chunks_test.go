package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// unchunk decodes text in pieces of size: the data, the bytes consumed, and whether the coding ended.
func unchunk(text string, size int) (data []byte, n int, done bool, err error) {
	var c Chunks
	for n < len(text) && !c.Done() {
		p := []byte(text[n:min(n+size, len(text))])
		for len(p) > 0 && !c.Done() {
			k, d, err := c.Next(p)
			data = append(data, d...)
			n += k
			if err != nil {
				return data, n, false, err
			}
			p = p[k:]
		}
	}
	return data, n, c.Done(), nil
}

func TestChunks(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"one", "5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"two", "5\r\nhello\r\nA\r\n, world...\r\n0\r\n\r\n", "hello, world..."},
		{"zeros", "005\r\nhello\r\n000\r\n\r\n", "hello"},
		{"extension", "5;a=\"b c\"\r\nhello\r\n0;x\r\n\r\n", "hello"},
		{"extensions", "5;a;b=c;d=\"\\\"; é\";e\r\nhello\r\n0\r\n\r\n", "hello"},
		{"trailers", "5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-B:\r\n\r\n", "hello"},
		{"empty", "0\r\n\r\n", ""},
		{"line ends as data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for size := 1; size <= len(c.text); size++ {
				data, n, done, err := unchunk(c.text+"beyond", size)
				if err != nil || !done || n != len(c.text) || string(data) != c.want {
					t.Fatalf("in pieces of %d: %q, %d bytes, done %v, %v", size, data, n, done, err)
				}
			}
		})
	}
}

func TestChunksRefuses(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"no size", "\r\nhello", ErrChunkSize},
		{"blank after the size", "5 \r\nhello\r\n", ErrChunkSize},
		{"blank before the size", " 5\r\nhello\r\n", ErrChunkSize},
		{"hex mark", "0x5\r\nhello\r\n", ErrChunkSize},
		{"sign", "+5\r\nhello\r\n", ErrChunkSize},
		{"size beyond measure", "1000000000000000\r\n", ErrChunkSize},
		{"bare LF after the size", "5\nhello\r\n", ErrChunkSize},
		{"bare CR after the size", "5\rhello\r\n", ErrLineEnd},
		{"extension with a control byte", "5;a\x00\r\nhello\r\n", ErrChunkExtension},
		{"extension with LF", "5;a\nhello\r\n", ErrChunkExtension},
		{"extension without a name", "5;\r\nhello\r\n", ErrChunkExtension},
		{"extension without its value", "5;a=\r\nhello\r\n", ErrChunkExtension},
		{"extension of two values", "5;a=b=c\r\nhello\r\n", ErrChunkExtension},
		{"extension with a blank", "5; a\r\nhello\r\n", ErrChunkExtension},
		{"quotes in a name", "5;a\"b\"\r\nhello\r\n", ErrChunkExtension},
		{"quotes after a value", "5;a=b\"c\"\r\nhello\r\n", ErrChunkExtension},
		{"quotes that do not close", "5;a=\"b\r\nhello\r\n", ErrChunkExtension},
		{"quotes that close escaped", "5;a=\"b\\\"\r\nhello\r\n", ErrChunkExtension},
		{"text after quotes", "5;a=\"b\"c\r\nhello\r\n", ErrChunkExtension},
		{"extension too long", "5;" + strings.Repeat("a", 300) + "\r\nhello", ErrChunkExtension},
		{"data too long", "5\r\nhello!\r\n0\r\n\r\n", ErrChunkEnd},
		{"bare LF after the data", "5\r\nhello\n0\r\n\r\n", ErrChunkEnd},
		{"bare CR after the data", "5\r\nhello\r0\r\n\r\n", ErrLineEnd},
		{"trailer without a colon", "0\r\nX-A\r\n\r\n", ErrTrailer},
		{"trailer without a name", "0\r\n: b\r\n\r\n", ErrTrailer},
		{"folded trailer", "0\r\nX-A: b\r\n c\r\n\r\n", ErrTrailer},
		{"trailer with LF", "0\r\nX-A: b\n\r\n", ErrTrailer},
		{"trailers too long", "0\r\nX-A: " + strings.Repeat("b", maxTrailers) + "\r\n\r\n", ErrTrailer},
		{"bare LF at the end", "0\r\n\n", ErrTrailer},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, len(c.text)} {
				if _, _, done, err := unchunk(c.text, size); !errors.Is(err, c.want) || done {
					t.Fatalf("in pieces of %d: done %v, %v, want %v", size, done, err, c.want)
				}
			}
		})
	}
}

// A coding that is cut anywhere is not done, so no reader takes the part for the whole.
func TestChunksCut(t *testing.T) {
	const text = "5;x=1\r\nhello\r\n6\r\n world\r\n0\r\nX-A: b\r\n\r\n"
	for n := range len(text) {
		if _, _, done, err := unchunk(text[:n], 3); done || err != nil {
			t.Errorf("cut after %d bytes: done %v, %v", n, done, err)
		}
	}
}

func TestChunksBetween(t *testing.T) {
	var c Chunks
	text := []byte("5\r\nhello\r\n0\r\n\r\n")
	for i := range text {
		want := i == 0 || i == len("5\r\nhello\r\n")
		if c.Between() != want {
			t.Errorf("after %q: between %v, want %v", text[:i], c.Between(), want)
		}
		if _, _, err := c.Next(text[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChunksRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text, want bytes.Buffer
		for _, chunk := range rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 1, 40)).Draw(t, "chunks") {
			fmt.Fprintf(&text, "%x\r\n%s\r\n", len(chunk), chunk)
			want.Write(chunk)
		}
		text.WriteString("0\r\n\r\n")
		data, n, done, err := unchunk(text.String(), rapid.IntRange(1, 50).Draw(t, "size"))
		if err != nil || !done || n != text.Len() || !bytes.Equal(data, want.Bytes()) {
			t.Fatalf("%q, %d of %d bytes, done %v, %v", data, n, text.Len(), done, err)
		}
	})
}

// The grammar of the coding and the limits of Chunks: how lines are formed, and how long they may be.
var (
	chunkLine    = regexp.MustCompile(`^([0-9A-Fa-f]{1,15})((?:;` + tokens + `(?:=(?:` + tokens + `|"(?:[^"\\[:cntrl:]]|\t|\\[^[:cntrl:]]|\\\t)*"))?)*)\r\n`)
	trailersLine = regexp.MustCompile(`^(?:` + tokens + `:(?:[^[:cntrl:]]|\t)*\r\n)*\r\n`)
)

const tokens = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"

// reference decodes text by the grammar alone: the data and the length of a whole coding at its start.
func reference(text string) (data string, n int, whole bool) {
	rest := text
	for {
		line := chunkLine.FindStringSubmatch(rest)
		if line == nil || len(line[2]) > maxChunkLine {
			return "", 0, false
		}
		rest = rest[len(line[0]):]
		size, _ := strconv.ParseUint(line[1], 16, 64)
		if size == 0 {
			break
		}
		if uint64(len(rest)) < size+2 || rest[size:size+2] != "\r\n" {
			return "", 0, false
		}
		data += rest[:size]
		rest = rest[size+2:]
	}
	trailers := trailersLine.FindString(rest)
	if trailers == "" || len(trailers)-strings.Count(trailers, "\n") > maxTrailers {
		return "", 0, false
	}
	return data, len(text) - len(rest) + len(trailers), true
}

// FuzzChunks: how a coding is split makes no difference; what is decoded is a whole coding by the grammar, and gives its data; and
// Go's decoder, which is laxer, finds the same data.
func FuzzChunks(f *testing.F) {
	f.Add("5\r\nhello\r\n0\r\n\r\n", 3)
	f.Add("5;a=b\r\nhello\r\n0\r\nX-A: b\r\n\r\n", 1)
	f.Fuzz(func(t *testing.T, text string, size int) {
		if size < 1 || size > len(text) {
			size = 1
		}
		a, n, done, err := unchunk(text, len(text)+1)
		b, m, doneB, errB := unchunk(text, size)
		if n != m || done != doneB || !errors.Is(errB, err) || !bytes.Equal(a, b) {
			t.Fatalf("whole: %q, %d, %v, %v; in pieces of %d: %q, %d, %v, %v", a, n, done, err, size, b, m, doneB, errB)
		}
		if strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			return // bytes are not characters then
		}
		data, length, whole := reference(text)
		if done != whole || done && (string(a) != data || n != length) {
			t.Fatalf("%q, %d, whole %v; by the grammar %q, %d, %v", a, n, done, data, length, whole)
		}
		if loose, err := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(text))); done && (err != nil || !bytes.Equal(loose, a)) {
			t.Fatalf("%q; Go has %q, %v", a, loose, err)
		}
	})
}

// BenchmarkChunks reads one event of a stream in a chunk of its own.
func BenchmarkChunks(b *testing.B) {
	event := []byte("f5\r\n" + strings.Repeat("e", 0xf5) + "\r\n")
	var c Chunks
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		for rest := event; len(rest) > 0; {
			n, _, err := c.Next(rest)
			if err != nil {
				b.Fatal(err)
			}
			rest = rest[n:]
		}
	}
}
