package tracing

import (
	"context"
	"strings"
	"testing"
	"time"

	"tether/failure"
	"tether/proxy"
	"tether/session"
	"tether/session/balance"
	"tether/session/fates"
	"tether/traceparent"
	"tether/upstream"
	"tether/upstream/transport"
)

// upstreams returns two upstreams.
func upstreams(t testing.TB) (a, b *upstream.Upstream) {
	t.Helper()
	r := upstream.NewRegistry(nil)
	address := transport.Address{Network: "tcp", Dial: "127.0.0.1:1"}
	if _, err := r.Apply([]upstream.Spec{{Name: "vllm-0", Address: address, Weight: 100}, {Name: "vllm-1", Address: address, Slot: 1, Weight: 100}}); err != nil {
		t.Fatal(err)
	}
	return r.Table().Members[0].Upstream, r.Table().Members[1].Upstream
}

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// moved is the record of a request that moved to another upstream.
func moved(t testing.TB) *proxy.Record {
	a, b := upstreams(t)
	began := time.Unix(1_700_000_000, 0)
	return &proxy.Record{
		Method: []byte("POST"), Path: []byte("/v1/chat/completions"), Route: "/v1/chat/completions", Model: []byte("tiny"), Status: 200,
		Outcome: session.Moved, Away: balance.Lost, Upstream: b, Attempts: 2, RequestID: []byte("r-1"),
		Tries: []proxy.Try{
			{Upstream: a, Failure: failure.Refused, Began: began.Add(time.Millisecond), Ended: began.Add(2 * time.Millisecond)},
			{Upstream: b, Began: began.Add(3 * time.Millisecond), Ended: began.Add(5 * time.Millisecond)},
		},
		PromptTokens: 100, CachedTokens: 16, Fates: fates.Split{Hit: 16, New: 4, Lost: 80, Cause: fates.Moved, Reason: fates.Reason(balance.Lost)},
		Started: began, FirstByte: 10 * time.Millisecond, Duration: 50 * time.Millisecond,
		Trace: (&traceparent.Source{}).Begin([]byte(parent)),
	}
}

// A request is a span below the client's, with a span for each attempt, and its story in events; over both protocols.
func TestSpans(t *testing.T) {
	c := newCollector(t, nil)
	for protocol, endpoint := range map[string]string{"grpc": c.grpc, "http": c.http} {
		c.mu.Lock()
		c.spans = nil
		c.mu.Unlock()
		x, err := New(Config{Endpoint: endpoint, Protocol: protocol, Timeout: patience}, "v1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r := moved(t)
		x.Done(&proxy.Record{}) // which is not traced
		x.Done(r)
		if err := x.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		spans := c.byName()
		server, failed, answered := spans["POST /v1/chat/completions"], spans["attempt vllm-0"], spans["attempt vllm-1"]
		if len(c.spans) != 3 || server == nil || failed == nil || answered == nil {
			t.Fatalf("%s: %v", protocol, c.spans)
		}
		for _, s := range c.spans {
			if hexOf(s.TraceId) != parent[3:35] {
				t.Errorf("%s: %s is in the trace %x", protocol, s.Name, s.TraceId)
			}
		}
		if hexOf(server.ParentSpanId) != parent[36:52] || hexOf(failed.ParentSpanId) != hexOf(server.SpanId) || hexOf(answered.ParentSpanId) != hexOf(server.SpanId) {
			t.Errorf("%s: parents %x, %x, %x", protocol, server.ParentSpanId, failed.ParentSpanId, answered.ParentSpanId)
		}
		if second := r.Trace.Attempt(1); hexOf(answered.SpanId) != hexOf(second[:]) {
			t.Errorf("%s: the upstream was told %x, the span is %x", protocol, second, answered.SpanId)
		}
		if got := attributes(failed); got["tether.result"] != "refused" || failed.Status.Code != 2 || answered.Status.GetCode() != 0 {
			t.Errorf("%s: %v, %v", protocol, got, failed.Status)
		}
		for key, want := range map[string]any{
			"tether.outcome": "moved", "tether.away": "down", "tether.upstream": "vllm-1", "tether.fate": "moved", "tether.moved_by": "down",
			"http.response.status_code": int64(200), "tether.attempts": int64(2), "gen_ai.usage.input_tokens": int64(100), "tether.request_id": "r-1",
		} {
			if got := attributes(server)[key]; got != want {
				t.Errorf("%s: %s is %v, want %v", protocol, key, got, want)
			}
		}
		var events []string
		for _, e := range server.Events {
			events = append(events, e.Name)
		}
		if strings.Join(events, ", ") != "move, first byte" {
			t.Errorf("%s: events %v", protocol, events)
		}
		if took := time.Duration(server.EndTimeUnixNano - server.StartTimeUnixNano); took != r.Duration {
			t.Errorf("%s: %v, want %v", protocol, took, r.Duration)
		}
		if answered.EndTimeUnixNano != server.EndTimeUnixNano || failed.EndTimeUnixNano-failed.StartTimeUnixNano != uint64(time.Millisecond) {
			t.Errorf("%s: the times of the attempts", protocol)
		}
	}
}

// Hostile texts are bounded and valid, and no path with an id is shown.
func TestSpansOfHostileRequests(t *testing.T) {
	c := newCollector(t, nil)
	x, err := New(Config{Endpoint: c.http, Protocol: "http", Timeout: patience}, "v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	hostile := []byte("\x00\xff\"<script>" + strings.Repeat("x", 10<<10))
	x.Done(&proxy.Record{Method: hostile, Path: hostile, Model: hostile, RequestID: hostile, Status: 404, Reason: "unknown_path", Trace: (&traceparent.Source{Share: 1}).Begin(nil), Started: time.Now()})
	if err := x.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	span := c.byName()["HTTP"]
	if span == nil || span.Status.Code != 2 || len(span.ParentSpanId) != 0 {
		t.Fatalf("%v", c.byName())
	}
	for key, v := range attributes(span) {
		if text, is := v.(string); is && len(text) > maxText+2 {
			t.Errorf("%s has %d bytes", key, len(text))
		}
	}
}

// BenchmarkDone is what a request costs at its end that is traced, and one that is not.
func BenchmarkDone(b *testing.B) {
	held := make(chan struct{})
	c := newCollector(b, held)
	x, err := New(Config{Endpoint: c.http, Protocol: "http", Timeout: patience}, "v1", nil)
	if err != nil {
		b.Fatal(err)
	}
	traced := moved(b)
	for name, r := range map[string]*proxy.Record{"traced": traced, "not traced": {}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.Done(r)
			}
		})
	}
	close(held)
	_ = x.Shutdown(context.Background())
}
