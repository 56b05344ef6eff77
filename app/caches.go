package app

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"tether/session/prefill"
	"tether/session/warm"
	"tether/upstream"
)

// lookEvery is how often the caches are looked at: often enough for an alarm over 30 s.
const lookEvery = time.Second

// cacheWatch logs when the caches of a model begin to lose what is needed again, and when that ends.
type cacheWatch struct {
	registry  *upstream.Registry
	estimates *prefill.Estimates
	log       *zap.Logger
}

// run looks at the caches of every model until ctx ends.
func (w cacheWatch) run(ctx context.Context) error {
	every := time.NewTicker(lookEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-every.C:
			w.look(now)
		}
	}
}

func (w cacheWatch) look(now time.Time) {
	table := w.registry.Table()
	w.estimates.Each(func(name string, m *prefill.Model) {
		report, changed := m.Caches.Look(cacheTokens(table, []byte(name)), now)
		if !changed {
			return
		}
		fields := []zap.Field{
			zap.String("model", name), zap.Int64("warm_tokens", report.Warm), zap.Int64("cache_tokens", report.Fit), zap.Float64("shortfall", report.Shortfall),
		}
		if report.Overrun {
			w.log.Warn(overrunText(report), fields...)
		} else {
			w.log.Info("caches are no longer overrun", fields...)
		}
	})
}

// overrunText says how many tokens are warm, and how many fit, if that is known. Servers also lose prompts that would fit: when they were
// restarted, when others use them too, or when clients rewrite their history.
func overrunText(r warm.Report) string {
	switch {
	case r.Fit == 0:
		return fmt.Sprintf("caches are overrun: %d tokens warm", r.Warm)
	case r.Warm < r.Fit/2:
		return fmt.Sprintf("caches lose prompts that would fit: %d tokens warm, %d fit", r.Warm, r.Fit)
	}
	return fmt.Sprintf("caches are overrun: %d tokens warm, %d fit", r.Warm, r.Fit)
}

// cacheTokens is how many tokens the caches of the upstreams hold together that are up and serve the model. It is 0 if one of them does
// not say how large its cache is.
func cacheTokens(table *upstream.Table, model []byte) (sum int64) {
	for i := range table.Members {
		m := &table.Members[i]
		if m.State().Health() != upstream.Up || !m.IDs().Has(model) {
			continue
		}
		capacity := m.KVCapacity()
		if capacity <= 0 {
			return 0
		}
		sum += capacity
	}
	return sum
}
