package sim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnswersHaveTheirLength(t *testing.T) {
	s := start(t, Config{})
	got, err := exchange(t, s, wire(chatPath, chatBody, "Connection: close"))
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	var names []string
	for _, line := range strings.Split(head, "\r\n")[1:] {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	want := []string{"Content-Length", "Content-Type", "Server", "Vary", "Date", "Connection"}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
	if !strings.Contains(head, fmt.Sprintf("Content-Length: %d", len(body))) || !json.Valid([]byte(body)) {
		t.Errorf("%q", got)
	}
}

func TestHugeHead(t *testing.T) {
	s := start(t, Config{})
	got, err := exchange(t, s, wire(chatPath, chatBody, "X-Sim-Fault: huge-head=100", "Connection: close"))
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	if err != nil || len(head) < 100<<10 || len(head) > 101<<10 || !strings.Contains(body, "chat.completion") {
		t.Errorf("head of %d bytes, body %q, %v", len(head), body, err)
	}
}

func TestNoLength(t *testing.T) {
	s := start(t, Config{})
	for _, body := range []string{chatBody, chatSSE} {
		got, err := exchange(t, s, faultWire(body, "no-length"))
		head, rest, _ := strings.Cut(got, "\r\n\r\n")
		if err != nil || strings.Contains(head, "Content-Length") || strings.Contains(head, "Transfer-Encoding") ||
			!strings.Contains(head, "\r\nConnection: close") || !strings.HasPrefix(strings.TrimPrefix(rest, "data: "), `{"id"`) {
			t.Errorf("%q, %v", got, err)
		}
	}
	got, err := exchange(t, s, faultWire(chatBody, "no-length,cut-rst"))
	if !isReset(err) || bodyOf(got) == "" {
		t.Errorf("with a reset: %q, %v", got, err)
	}
}

func TestTail(t *testing.T) {
	s := start(t, Config{})
	for _, body := range []string{chatBody, chatSSE} {
		c := dial(t, s)
		put(t, c, faultWire(body, "tail"))
		r := bufio.NewReader(c)
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(err)
		}
		if line, err := r.ReadString('\n'); err != nil || line != "bytes that belong to no answer\r\n" {
			t.Errorf("%q, %v", line, err)
		}
		put(t, c, wire(chatPath, chatBody)) // the connection stays usable
		if answer, err = http.ReadResponse(r, nil); err != nil || answer.StatusCode != 200 {
			t.Errorf("next answer: %v", err)
		}
	}
}
