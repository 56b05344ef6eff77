// Package tracing exports a trace of each sampled request over OTLP: a span of the request, and below it a span of each attempt at an upstream.
//
// The spans are made from the proxy's Record once a request has ended, so that a request costs nothing before, whatever engine serves it.
// Package traceparent has drawn their ids at its beginning, because upstreams get them. No request waits: a queue that is full drops
// spans, and counts them.
//
// Spans show neither session ids nor bodies nor paths with ids.
package tracing
