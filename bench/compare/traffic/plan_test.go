package traffic

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"testing"
	"time"
)

// A request has the size that its plan wants, its body is JSON, and nothing but the session id differs between requests.
func TestTemplate(t *testing.T) {
	for _, want := range []int{2 << 10, 256 << 10} {
		template := newTemplate(Plan{Body: want})
		request := bytes.Clone(template.with(123))
		head, body, _ := bytes.Cut(request, []byte("\r\n\r\n"))
		if !json.Valid(body) {
			t.Fatalf("the body is no JSON: %.300s", body)
		}
		if len(body) < want-100 || len(body) > want {
			t.Errorf("the body has %d bytes, want %d", len(body), want)
		}
		if !bytes.Contains(head, []byte("\r\nContent-Length: "+strconv.Itoa(len(body)))) || !bytes.Contains(head, []byte("\r\nX-Session-Id: 000000123\r\n")) {
			t.Errorf("the head is %q", head)
		}
		if other := template.with(4); !bytes.Contains(other, []byte("X-Session-Id: 000000004\r\n")) || len(other) != len(request) {
			t.Errorf("the next head is %.300q", other)
		}
	}
}

func TestTemplateOfOtherPeer(t *testing.T) {
	template := newTemplate(Plan{Prefix: "/other", SessionHeader: "X-Other"})
	if text := template.with(1); !bytes.HasPrefix(text, []byte("POST /other/v1/chat/completions ")) || !bytes.Contains(text, []byte("\r\nX-Other: 000000001\r\n")) {
		t.Errorf("%s", text)
	}
}

func TestQuantile(t *testing.T) {
	times := []int64{5, 1, 4, 2, 3}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := Quantile(times, q); got != want {
			t.Errorf("the quantile %v is %d, want %d", q, got, want)
		}
	}
	if got := Quantile(nil, 0.5); got != 0 {
		t.Errorf("the quantile of nothing is %d", got)
	}
}

func TestErrOfCounts(t *testing.T) {
	if err := (&Counts{}).Err(); err != nil {
		t.Error(err)
	}
	cause := errors.New("cause")
	if err := (&Counts{Failed: 2, Failure: cause}).Err(); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}
