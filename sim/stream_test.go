package sim

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// readChunk reads the data of one chunk.
func readChunk(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(line, "\r\n"), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, n+2)
	if _, err := io.ReadFull(r, chunk); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(chunk), "\r\n")
}

func TestOneChunkIsOneEvent(t *testing.T) {
	s := start(t, Config{})
	for path, body := range map[string]string{
		chatPath:          chatSSE,
		"/v1/completions": tokensSSE,
		"/v1/messages":    chatSSE,
		"/v1/responses":   `{"input":"` + strings.Repeat("long ", 2000) + `","instructions":"` + strings.Repeat("x", 5000) + `","stream":true}`,
	} {
		c := dial(t, s)
		put(t, c, wire(path, body))
		r := bufio.NewReader(c)
		if _, err := http.ReadResponse(bufio.NewReader(strings.NewReader(readHead(t, r))), nil); err != nil {
			t.Fatal(err)
		}
		events := 0
		for chunk := readChunk(t, r); chunk != ""; chunk = readChunk(t, r) {
			events++
			if strings.Count(chunk, "\n\n") != 1 || !strings.HasSuffix(chunk, "\n\n") || !strings.Contains(chunk, "data: ") {
				t.Errorf("%s: chunk is not one event: %q", path, chunk)
			}
		}
		if events < 4 {
			t.Errorf("%s: %d events", path, events)
		}
	}
}

func readHead(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %q", err, head.String())
		}
		head.WriteString(line)
		if line == "\r\n" {
			return head.String()
		}
	}
}

// vLLM sends the head of a stream and the first two events of a response at once: before the first token, and even before the
// request leaves the queue.
func TestHeadIsSentBeforeTheFirstToken(t *testing.T) {
	s := start(t, Config{PrefillPerToken: time.Hour})
	for path, want := range map[string]int{chatPath: 0, "/v1/completions": 0, "/v1/messages": 0, "/v1/responses": 2} {
		body := chatSSE
		switch path {
		case "/v1/completions":
			body = tokensSSE
		case "/v1/responses":
			body = `{"input":"hi","stream":true}`
		}
		c := dial(t, s)
		put(t, c, wire(path, body))
		r := bufio.NewReader(c)
		if head := readHead(t, r); !strings.Contains(head, "text/event-stream; charset=utf-8") {
			t.Errorf("%s: head %q", path, head)
		}
		for range want {
			readChunk(t, r)
		}
	}
	await(t, s, func(l Load) bool { return l.Running == 4 })
}

func TestEventsAreSentOneByOne(t *testing.T) {
	s := start(t, Config{DecodePerToken: time.Hour})
	c := dial(t, s)
	put(t, c, wire("/v1/completions", tokensSSE))
	r := bufio.NewReader(c)
	readHead(t, r)
	if chunk := readChunk(t, r); !strings.Contains(chunk, `"finish_reason":null`) {
		t.Errorf("first event %q", chunk)
	}
	if n := s.Stats().GeneratedTokens; n != 1 {
		t.Errorf("%d tokens generated when one was due", n)
	}
}
