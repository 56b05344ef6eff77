// Package traces runs tether with the receiver of the OpenTelemetry collector.
package traces

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/confignet"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"tether/e2e/binary"
	"tether/sim"
	"tether/wire/wiretest"
)

func TestMain(m *testing.M) { os.Exit(binary.Main(m)) }

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// collect starts the collector's receiver for OTLP, and returns its endpoints and what it receives.
func collect(t *testing.T) (grpc, web string, sink *consumertest.TracesSink) {
	t.Helper()
	sink = new(consumertest.TracesSink)
	factory := otlpreceiver.NewFactory()
	cfg := factory.CreateDefaultConfig().(*otlpreceiver.Config)
	grpc, web = wiretest.FreeAddr(t), wiretest.FreeAddr(t)
	cfg.Protocols.GRPC.GetOrInsertDefault().NetAddr = confignet.AddrConfig{Endpoint: grpc, Transport: confignet.TransportTypeTCP}
	cfg.Protocols.HTTP.GetOrInsertDefault().ServerConfig.NetAddr = confignet.AddrConfig{Endpoint: web, Transport: confignet.TransportTypeTCP}
	r, err := factory.CreateTraces(t.Context(), receivertest.NewNopSettings(factory.Type()), cfg, sink)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return "http://" + grpc, "http://" + web, sink
}

// spans returns the spans that were received, by name.
func spans(sink *consumertest.TracesSink) map[string]ptrace.Span {
	all := map[string]ptrace.Span{}
	for _, traces := range sink.AllTraces() {
		for _, resource := range traces.ResourceSpans().All() {
			for _, scope := range resource.ScopeSpans().All() {
				for _, span := range scope.Spans().All() {
					all[span.Name()] = span
				}
			}
		}
	}
	return all
}

const (
	trace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent = "00f067aa0ba902b7"
)

// The collector gets the spans of a streamed request that moved from a dead server, over both protocols and on each engine. The server that
// answered was told the span of its attempt.
func TestCollector(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		for _, engine := range []string{"epoll", "uring", "go"} {
			t.Run(protocol+" "+engine, func(t *testing.T) { moveTraced(t, protocol, engine) })
		}
	}
}

func moveTraced(t *testing.T, protocol, engine string) {
	grpc, web, sink := collect(t)
	endpoint := map[string]string{"grpc": grpc, "http": web}[protocol]
	text, servers := "", map[string]*sim.Server{}
	for i := range 2 {
		name := fmt.Sprintf("vllm-%d", i)
		s := sim.New(sim.Config{Name: name, Record: 100})
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		servers[name] = s
		text += fmt.Sprintf("  - { name: %s, url: %q }\n", name, s.URL())
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	text = fmt.Sprintf("tracing: { endpoint: %q, protocol: %s, sample: 0 }\nhealth: { interval: 1h }\nproxy: { engine: %s, expose_upstream: true }\nupstreams:\n%s", endpoint, protocol, engine, text)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := binary.Run(t, nil, "-c", config)
	first := ask(t, p.URL, "")
	servers[first].Kill()
	second := ask(t, p.URL, "00-"+trace+"-"+parent+"-01")
	if second == first || second == "" {
		t.Fatalf("served by %q, then by %q", first, second)
	}
	var got map[string]ptrace.Span
	for deadline := time.Now().Add(patience); len(got) < 3; time.Sleep(50 * time.Millisecond) {
		if got = spans(sink); time.Now().After(deadline) {
			t.Fatalf("%d spans: %v", len(got), got)
		}
	}
	server, failed, answered := got["POST /v1/chat/completions"], got["attempt "+first], got["attempt "+second]
	for name, span := range got {
		if id := span.TraceID(); hex.EncodeToString(id[:]) != trace {
			t.Errorf("%s is in the trace %x", name, id)
		}
	}
	if id := server.ParentSpanID(); hex.EncodeToString(id[:]) != parent || failed.ParentSpanID() != server.SpanID() || answered.ParentSpanID() != server.SpanID() {
		t.Errorf("the parents are %x, %x and %x", id, failed.ParentSpanID(), answered.ParentSpanID())
	}
	if result, _ := failed.Attributes().Get("tether.result"); failed.Status().Code() != ptrace.StatusCodeError || result.Str() == "answered" {
		t.Errorf("the failed attempt: %v", failed.Attributes().AsRaw())
	}
	if outcome, _ := server.Attributes().Get("tether.outcome"); outcome.Str() != "moved" {
		t.Errorf("the request: %v", server.Attributes().AsRaw())
	}
	told := ""
	for _, seen := range servers[second].Requests() {
		if seen.Method == "POST" {
			told = seen.Header.Get("Traceparent")
		}
	}
	if id := answered.SpanID(); told != "00-"+trace+"-"+hex.EncodeToString(id[:])+"-01" {
		t.Errorf("the server was told %q, the attempt is %s", told, id)
	}
	p.Await(t, `tether_trace_spans_total{result="exported"}`, patience, func(v float64) bool { return v == 3 })
}

// ask asks for a stream, and returns the name of the server that answers.
func ask(t *testing.T, url, traceparent string) string {
	t.Helper()
	req, err := http.NewRequest("POST", url+"/v1/chat/completions", strings.NewReader(`{"model":"tiny","max_tokens":4,"stream":true,"messages":[{"role":"user","content":"hello"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Session-Id", "s")
	if traceparent != "" {
		req.Header.Set("traceparent", traceparent)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || !strings.HasSuffix(string(text), "data: [DONE]\n\n") {
		t.Fatalf("%v, %d: %s", err, res.StatusCode, text)
	}
	return res.Header.Get("X-Sim-Server")
}
