package tracing

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	service "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// collector takes traces over both protocols, as an OpenTelemetry collector does.
type collector struct {
	service.UnimplementedTraceServiceServer
	grpc, http string // endpoints

	mu    sync.Mutex
	spans []*otlp.Span // guarded by mu
	held  chan struct{}
}

// newCollector starts a collector. With held it answers once held is closed.
func newCollector(t testing.TB, held chan struct{}) *collector {
	c := &collector{held: held}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	service.RegisterTraceServiceServer(server, c)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	web := httptest.NewServer(http.HandlerFunc(c.serveHTTP))
	t.Cleanup(func() {
		web.Close()
		server.Stop()
		<-ended
	})
	c.grpc, c.http = "http://"+l.Addr().String(), web.URL
	return c
}

// Export implements the service.
func (c *collector) Export(ctx context.Context, r *service.ExportTraceServiceRequest) (*service.ExportTraceServiceResponse, error) {
	if c.held != nil {
		select {
		case <-c.held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range r.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
	return &service.ExportTraceServiceResponse{}, nil
}

func (c *collector) serveHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request service.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if _, err := c.Export(r.Context(), &request); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// byName returns the spans that were received, by their names.
func (c *collector) byName() map[string]*otlp.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]*otlp.Span{}
	for _, s := range c.spans {
		all[s.Name] = s
	}
	return all
}

// attributes returns the texts and numbers of a span's attributes.
func attributes(s *otlp.Span) map[string]any {
	all := map[string]any{}
	for _, a := range s.Attributes {
		if text := a.Value.GetStringValue(); text != "" {
			all[a.Key] = text
		} else {
			all[a.Key] = a.Value.GetIntValue()
		}
	}
	return all
}

func hexOf(id []byte) string { return hex.EncodeToString(id) }
