package app

import (
	"context"
	"time"

	"go.uber.org/zap"

	"tether/traceparent"
	"tether/tracing"
)

// openTraces makes the exporter of traces, which ends with the last step of a, and what begins the spans of requests; both are nil if nothing is
// traced.
func openTraces(cfg tracing.Config, version string, a *app) (x *tracing.Exporter, begin *traceparent.Source, err error) {
	if cfg.Endpoint == "" {
		return nil, nil, nil
	}
	x, err = tracing.New(cfg, version, func(err error) { a.log.Warn("traces cannot be exported", zap.Error(err)) })
	if err != nil {
		return nil, nil, usageError("tracing: %w", err)
	}
	a.steps.atEnd("traces", lastTraces(x))
	a.metrics.WatchTraces(tracing.Results[:], func() []uint64 {
		counts := x.Counts()
		return counts[:]
	})
	return x, &traceparent.Source{Share: cfg.Sample}, nil
}

// lastTracesTimeout is how long the export of the last traces may take.
const lastTracesTimeout = 2 * time.Second

// lastTraces returns the step that exports the traces that wait. If the collector does not take them in time, they are lost.
func lastTraces(x *tracing.Exporter) func(context.Context) error {
	return func(context.Context) error {
		ctx, cancel := context.WithTimeout(context.Background(), lastTracesTimeout)
		defer cancel()
		_ = x.Shutdown(ctx) // a failed export is logged
		return nil
	}
}
