package tracing

import (
	"context"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Exporter makes the spans of requests, and exports them. Its methods are safe for concurrent use. The caller ends it with Shutdown.
type Exporter struct {
	tracer   trace.Tracer
	provider *sdk.TracerProvider
	counts   counts
}

// maxQueue is the greatest number of spans that wait for their export, about 1 KB each. batch is how many are exported at once.
const (
	maxQueue = 8192
	batch    = 512
)

// batchTimeout is how long a span waits for others to be exported with it.
const batchTimeout = time.Second

// New returns an exporter to the endpoint of a valid configuration. It connects to the endpoint later. failed is called when an export fails after
// one that succeeded, and may be nil.
func New(cfg Config, version string, failed func(error)) (*Exporter, error) {
	client, err := clientOf(&cfg)
	if err != nil {
		return nil, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))  // otherwise the SDK writes to standard error, which may not accept it
	exporter, err := otlptrace.New(context.Background(), client) // which connects later
	if err != nil {
		return nil, err
	}
	x := &Exporter{counts: counts{failed: failed}}
	processor := &bounded{
		SpanProcessor: sdk.NewBatchSpanProcessor(&counted{exporter, &x.counts},
			sdk.WithMaxQueueSize(maxQueue+batch), sdk.WithMaxExportBatchSize(batch), sdk.WithBatchTimeout(batchTimeout), sdk.WithExportTimeout(cfg.Timeout)),
		counts: &x.counts,
	}
	x.provider = sdk.NewTracerProvider(
		sdk.WithSpanProcessor(processor), sdk.WithSampler(sdk.AlwaysSample()), sdk.WithIDGenerator(givenIDs{}),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "tether"), attribute.String("service.version", version))),
	)
	x.tracer = x.provider.Tracer("tether")
	return x, nil
}

// clientOf returns the client for the protocol.
func clientOf(cfg *Config) (otlptrace.Client, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	if cfg.Protocol == protocolGRPC {
		options := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(u.Host), otlptracegrpc.WithTimeout(cfg.Timeout)}
		if u.Scheme == "http" {
			options = append(options, otlptracegrpc.WithInsecure())
		}
		return otlptracegrpc.NewClient(options...), nil
	}
	path := strings.TrimSuffix(u.Path, "/")
	if path == "" {
		path = "/v1/traces"
	}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpoint(u.Host), otlptracehttp.WithURLPath(path), otlptracehttp.WithTimeout(cfg.Timeout)}
	if u.Scheme == "http" {
		options = append(options, otlptracehttp.WithInsecure())
	}
	return otlptracehttp.NewClient(options...), nil
}

// Shutdown exports the spans that wait, and ends the exporter, at the latest when ctx ends.
func (x *Exporter) Shutdown(ctx context.Context) error { return x.provider.Shutdown(ctx) }

// Results are what becomes of spans, in the order of Counts.
var Results = [...]string{"exported", "failed", "dropped"}

// Counts returns the numbers of spans by what became of them: the collector has taken them, an export has failed, or the queue was full.
func (x *Exporter) Counts() [len(Results)]uint64 {
	return [...]uint64{x.counts.exported.Load(), x.counts.lost.Load(), x.counts.dropped.Load()}
}

// counts counts spans.
type counts struct {
	waiting                 atomic.Int64
	exported, lost, dropped atomic.Uint64
	failing                 atomic.Bool
	failed                  func(error)
}

// bounded drops spans while too many wait.
type bounded struct {
	sdk.SpanProcessor
	counts *counts
}

// OnEnd implements sdk.SpanProcessor. It never waits.
func (b *bounded) OnEnd(s sdk.ReadOnlySpan) {
	if b.counts.waiting.Add(1) > maxQueue {
		b.counts.waiting.Add(-1)
		b.counts.dropped.Add(1)
		return
	}
	b.SpanProcessor.OnEnd(s)
}

// counted counts what is exported.
type counted struct {
	sdk.SpanExporter
	counts *counts
}

// ExportSpans implements sdk.SpanExporter. It reports no error, which would go to standard error.
func (c *counted) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	defer c.counts.waiting.Add(-int64(len(spans)))
	err := c.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		c.counts.exported.Add(uint64(len(spans)))
		c.counts.failing.Store(false)
		return nil
	}
	c.counts.lost.Add(uint64(len(spans)))
	if !c.counts.failing.Swap(true) && c.counts.failed != nil {
		c.counts.failed(err)
	}
	return nil
}
