package tracing

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"tether/failure"
	"tether/proxy"
	"tether/session"
)

// Done makes the spans of a request that is over, if it is sampled. It is for proxy.Deps.OnDone, and never waits.
func (x *Exporter) Done(r *proxy.Record) {
	if !r.Trace.Sampled {
		return
	}
	end := r.Started.Add(r.Duration)
	ctx, span := x.tracer.Start(withIDs(r), nameOf(r), trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(r.Started), trace.WithAttributes(attributesOf(r)...))
	for n := range r.Tries {
		x.attempt(ctx, r, n, end)
	}
	if len(r.Tries) > 0 {
		addPinEvent(span, r)
	}
	if r.FirstByte > 0 {
		span.AddEvent("first byte", trace.WithTimestamp(r.Started.Add(r.FirstByte)))
	}
	if r.Status >= 500 || r.Reason != "" && !r.ClientLeft() {
		span.SetStatus(codes.Error, r.Reason)
	}
	span.End(trace.WithTimestamp(end))
}

// withIDs returns a context with the ids of the request's span, and with its parent if the client sent one.
func withIDs(r *proxy.Record) context.Context {
	ctx := given(r.Trace.Trace, r.Trace.ID)
	if r.Trace.Parent == [8]byte{} {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: r.Trace.Trace, SpanID: r.Trace.Parent, TraceFlags: trace.FlagsSampled, Remote: true,
	}))
}

// nameOf is the method and the route. Methods that no endpoint has count as HTTP.
func nameOf(r *proxy.Record) string {
	if r.Route == "" || !utf8.Valid(r.Method) {
		return "HTTP"
	}
	return string(r.Method) + " " + r.Route
}

// attributesOf describes the request. Texts of clients are bounded, and no id of a session or a response is among them.
func attributesOf(r *proxy.Record) []attribute.KeyValue {
	all := []attribute.KeyValue{
		attribute.String("http.request.method", text(r.Method)), attribute.String("http.route", r.Route),
		attribute.Int("http.response.status_code", r.Status), attribute.String("gen_ai.request.model", text(r.Model)),
		attribute.String("tether.outcome", r.Outcome.String()), attribute.String("tether.id_source", r.IDSource()),
		attribute.Int("tether.attempts", r.Attempts),
	}
	add := func(key, value string) {
		if value != "" {
			all = append(all, attribute.String(key, value))
		}
	}
	add("tether.away", r.Away.String())
	add("tether.request_id", text(r.RequestID))
	add("error.type", r.Reason)
	if r.Upstream != nil {
		add("tether.upstream", r.Upstream.Name())
	}
	if word := r.Fates.Word(); word != "" {
		all = append(all, attribute.Int("gen_ai.usage.input_tokens", r.PromptTokens), attribute.Int("tether.cached_tokens", r.CachedTokens), attribute.String("tether.fate", word))
		add("tether.moved_by", r.Fates.Reason.String())
	}
	return all
}

// maxText is how many bytes of a text of a client appear in a span.
const maxText = 256

func text(b []byte) string { return strings.ToValidUTF8(string(b[:min(len(b), maxText)]), "?") }

// attempt makes the span of the n-th attempt of a request that ended at end. The span of an attempt that was answered lasts until the end of
// the answer.
func (x *Exporter) attempt(ctx context.Context, r *proxy.Record, n int, end time.Time) {
	try := &r.Tries[n]
	ended := try.Ended
	if try.Failure == failure.None && n == len(r.Tries)-1 {
		ended = end
	}
	name := try.Upstream.Name()
	_, span := x.tracer.Start(withAttempt(ctx, r, n), "attempt "+name, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(try.Began),
		trace.WithAttributes(attribute.String("tether.upstream", name), attribute.String("tether.result", try.Failure.Word())))
	if try.Failure != failure.None {
		span.SetStatus(codes.Error, try.Failure.Word())
	}
	span.End(trace.WithTimestamp(ended))
}

// addPinEvent adds what happened to the pin of the session: when the upstream of the last attempt was chosen.
func addPinEvent(span trace.Span, r *proxy.Record) {
	last := &r.Tries[len(r.Tries)-1]
	word := map[session.Outcome]string{session.New: "pin", session.Pinned: "follow pin", session.Moved: "move", session.Spilled: "spill"}[r.Outcome]
	if word == "" {
		return
	}
	attributes := []attribute.KeyValue{attribute.String("tether.upstream", last.Upstream.Name())}
	if r.Away.String() != "" {
		attributes = append(attributes, attribute.String("tether.away", r.Away.String()))
	}
	span.AddEvent(word, trace.WithTimestamp(last.Began), trace.WithAttributes(attributes...))
}

// givenIDs takes the ids of spans from the context.
type givenIDs struct{}

type idsKey struct{}

// ids are the ids of the next span.
type ids struct {
	trace trace.TraceID
	span  trace.SpanID
}

func given(traceID [16]byte, spanID [8]byte) context.Context {
	return context.WithValue(context.Background(), idsKey{}, ids{traceID, spanID})
}

func withAttempt(ctx context.Context, r *proxy.Record, n int) context.Context {
	return context.WithValue(ctx, idsKey{}, ids{r.Trace.Trace, r.Trace.Attempt(n)})
}

// NewIDs implements sdk.IDGenerator.
func (givenIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	i, _ := ctx.Value(idsKey{}).(ids) // Done gives every span its ids
	return i.trace, i.span
}

// NewSpanID implements sdk.IDGenerator.
func (g givenIDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	_, span := g.NewIDs(ctx)
	return span
}
