package accesslog

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tether/proxy"
	"tether/session"
	"tether/session/balance"
	"tether/session/fates"
	"tether/session/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// written returns the lines that a log of the mode writes for the records.
func written(t *testing.T, mode string, records ...proxy.Record) (lines []map[string]any) {
	t.Helper()
	m, ok := ParseMode(mode)
	if !ok {
		t.Fatal(mode)
	}
	var out bytes.Buffer
	l := New(m, &out)
	for i := range records {
		l.Done(&records[i])
	}
	for text := range bytes.Lines(out.Bytes()) {
		var line map[string]any
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestKeysAreFixed(t *testing.T) {
	full := proxy.Record{
		Method: []byte("POST"), Path: []byte("/v1/chat/completions"), Route: "/v1/chat/completions", Model: []byte("tiny"), Status: 200,
		Outcome: session.Moved, Away: balance.Busier, Caller: "alice", Source: identity.Source{Kind: identity.FromHeader, Name: "x-session-id"}, Attempts: 1,
		BytesIn: 10, BytesOut: 20, Started: time.Now(), FirstByte: 1500 * time.Microsecond, Duration: 2 * time.Second,
		PromptTokens: 42, CachedTokens: 32, Fates: fates.Split{Hit: 32, New: 2, Lost: 8, Cause: fates.Moved, Reason: fates.Reason(balance.Busier), Expected: 40}, RequestID: []byte("r"), TraceID: []byte("t"),
	}
	lines := written(t, "all", full, proxy.Record{Started: time.Now()})
	want := []string{
		"time", "method", "path", "model", "status", "reason", "outcome", "away", "key", "id_source", "id_hash", "upstream", "attempts", "bytes_in",
		"bytes_out", "ttfb", "duration", "prompt_tokens", "cached_tokens", "fate", "moved_by",
		"expected_tokens", "lost_tokens", "request_id", "trace_id",
	}
	slices.Sort(want)
	for _, line := range lines {
		var keys []string
		for k := range line {
			keys = append(keys, k)
		}
		if slices.Sort(keys); !slices.Equal(keys, want) {
			t.Errorf("keys %v, want %v", keys, want)
		}
	}
	for key, want := range map[string]any{
		"path": "/v1/chat/completions", "outcome": "moved", "away": "busier", "key": "alice", "id_source": "header:x-session-id", "ttfb": 0.0015, "duration": 2.0, "cached_tokens": 32.0,
		"fate": "moved", "moved_by": "busier", "expected_tokens": 40.0, "lost_tokens": 8.0,
	} {
		if got := lines[0][key]; got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
}

// Text from a client is bounded. It can neither end the line nor forge a field.
func TestHostileText(t *testing.T) {
	hostile := []byte("\"}\n{\"status\":200}\x1b[31m<script>\xff" + strings.Repeat("x", 10<<10))
	lines := written(t, "all", proxy.Record{Method: hostile, Path: hostile, Model: hostile, RequestID: hostile, TraceID: hostile, Status: 404})
	if len(lines) != 1 || lines[0]["status"] != 404.0 {
		t.Fatalf("%v", lines)
	}
	for key, v := range lines[0] {
		if text, ok := v.(string); ok && len(text) > maxText+2 { // the invalid byte has become three bytes
			t.Errorf("%s has %d bytes", key, len(text))
		}
	}
}

// The path of a call about a response contains the response's id, which is secret. No line shows the id, whatever the
// method is, and however similar the path is to one that is served.
func TestResponseIDsAreNotShown(t *testing.T) {
	for _, c := range []struct{ route, sent, want string }{
		{"/v1/responses/{id}", "/v1/responses/resp_secret", "/v1/responses/{id}"},
		{"/v1/chat/completions", "/v1/chat/completions", "/v1/chat/completions"},
		{"unmatched", "/v1/responses/resp_secret", "/v1/responses/..."},
		{"unmatched", "/v1/responses/resp_secret/input_items", "/v1/responses/..."},
		{"unmatched", "/v1//responses/resp_secret", "/v1//..."},
		{"unmatched", "/v1/responses%2fresp_secret", "/v1/responses..."},
		{"unmatched", `/v1/responses\resp_secret`, "/v1/responses..."},
		{"exposed", "/v1/files/file-secret", "/v1/files/..."},
		{"unmatched", "/v1/file_s-1.0", "/v1/file_s-1.0"},
		{"unmatched", "/", "/"},
		{"unmatched", "*", "..."},
		{"unmatched", "", ""},
	} {
		line := written(t, "all", proxy.Record{Route: c.route, Path: []byte(c.sent), Status: 404})[0]
		if line["path"] != c.want {
			t.Errorf("%s %q: %q, want %q", c.route, c.sent, line["path"], c.want)
		}
	}
}

// Another mode counts for the requests that end from now on.
func TestUse(t *testing.T) {
	var out bytes.Buffer
	l := New(Mode{}, &out)
	all, _ := ParseMode("all")
	for i, mode := range []Mode{{}, all, {}, all} {
		l.Use(mode)
		before := out.Len()
		l.Done(&proxy.Record{Status: 200})
		if wrote := out.Len() > before; wrote != (mode == all) {
			t.Errorf("step %d: wrote a line: %v", i, wrote)
		}
	}
}

// BenchmarkDone writes one line.
func BenchmarkDone(b *testing.B) {
	mode, _ := ParseMode("all")
	l := New(mode, io.Discard)
	r := proxy.Record{
		Method: []byte("POST"), Path: []byte("/v1/chat/completions"), Route: "/v1/chat/completions", Model: []byte("tiny"), Status: 200,
		Outcome: session.Pinned, Source: identity.Source{Kind: identity.FromHeader, Name: "x-session-id"}, Attempts: 1, BytesIn: 2000, BytesOut: 1000,
		Started: time.Now(), FirstByte: 20 * time.Millisecond, Duration: time.Second, PromptTokens: 500, CachedTokens: 480, RequestID: []byte("0123456789abcdef"),
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Done(&r)
	}
}
