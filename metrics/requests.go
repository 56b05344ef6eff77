package metrics

import (
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"tether/proxy"
	"tether/session"
	"tether/upstream"
)

// requests counts requests that are over.
type requests struct {
	upstreams *upstream.Registry

	total, failures, ids   *prometheus.CounterVec
	firstByte, duration    *prometheus.HistogramVec
	prompt, cached         *prometheus.CounterVec
	in, out                prometheus.Counter
	left, ignored, surplus prometheus.Counter
	replays                prometheus.Counter
	models                 cache[string, *model]
	byReason               cache[string, prometheus.Counter]
	bySource               cache[idSource, prometheus.Counter]
	other                  *model
}

// model holds what is counted by model.
type model struct {
	name      string
	requests  cache[request, prometheus.Counter]
	byOutcome cache[session.Outcome, *byOutcome]
	duration  prometheus.Observer
}

type request struct {
	route   string
	outcome session.Outcome
	status  int
}

type byOutcome struct {
	firstByte      prometheus.Observer
	prompt, cached prometheus.Counter
}

// maxModels and maxModelName bound the models that have series of their own; all others are "other".
const (
	maxModels    = 200
	maxModelName = 128
	otherModels  = "other"
)

func (r *requests) init(upstreams *upstream.Registry) []prometheus.Collector {
	r.upstreams = upstreams
	r.total, r.failures, r.ids = counterVec(requestsTotal), counterVec(failuresTotal), counterVec(idsTotal)
	r.firstByte, r.duration = histogramVec(firstByteSeconds), histogramVec(durationSeconds)
	r.prompt, r.cached = counterVec(promptTokens), counterVec(cachedTokens)
	r.in, r.out = counter(bytesIn), counter(bytesOut)
	r.left, r.ignored, r.surplus, r.replays = counter(clientsLeft), counter(idsIgnored), counter(surplusTotal), counter(replaysTotal)
	r.other = &model{name: otherModels, duration: r.duration.WithLabelValues(otherModels)}
	return []prometheus.Collector{
		r.total, r.failures, r.ids, r.firstByte, r.duration, r.prompt, r.cached, r.in, r.out, r.left, r.ignored, r.surplus, r.replays,
	}
}

func (r *requests) count(rec *proxy.Record) {
	m := r.model(rec.Model)
	if rec.Reason != "" {
		r.byReason.get(rec.Reason, func() prometheus.Counter { return r.failures.WithLabelValues(rec.Reason) }).Inc()
	}
	id := idSource{source: rec.Source, any: rec.Key != session.Key{}}
	r.bySource.get(id, func() prometheus.Counter { return r.ids.WithLabelValues(rec.IDSource()) }).Inc()
	r.measure(m, rec)
	add(r.in, rec.BytesIn)
	add(r.out, rec.BytesOut)
	add(r.ignored, int64(rec.Ignored))
	add(r.replays, int64(rec.Replays))
	if rec.ClientLeft() {
		r.left.Inc()
	}
	if rec.Surplus {
		r.surplus.Inc()
	}
	// The request itself last: who sees it counted finds all else that was counted of it.
	k := request{route: rec.Route, outcome: rec.Outcome, status: rec.Status}
	m.requests.get(k, func() prometheus.Counter {
		return r.total.WithLabelValues(k.route, m.name, k.outcome.String(), statusWord(k.status))
	}).Inc()
}

// measure notes times and tokens.
func (r *requests) measure(m *model, rec *proxy.Record) {
	m.duration.Observe(rec.Duration.Seconds())
	if rec.FirstByte == 0 && rec.CachedTokens < 0 {
		return
	}
	o := m.byOutcome.get(rec.Outcome, func() *byOutcome {
		word := rec.Outcome.String()
		return &byOutcome{
			firstByte: r.firstByte.WithLabelValues(m.name, word),
			prompt:    r.prompt.WithLabelValues(m.name, word), cached: r.cached.WithLabelValues(m.name, word),
		}
	})
	if rec.FirstByte > 0 {
		o.firstByte.Observe(rec.FirstByte.Seconds())
	}
	if rec.PromptTokens >= 0 && rec.CachedTokens >= 0 {
		o.prompt.Add(float64(rec.PromptTokens))
		o.cached.Add(float64(rec.CachedTokens))
	}
}

// model gives the series of a model. Only one that some upstream lists gets its own.
func (r *requests) model(name []byte) *model {
	if len(name) == 0 {
		return r.other
	}
	if kept := r.models.kept.Load(); kept != nil {
		if m := (*kept)[string(name)]; m != nil {
			return m
		}
		if len(*kept) >= maxModels {
			return r.other
		}
	}
	if len(name) > maxModelName || !utf8.Valid(name) || !r.listed(name) {
		return r.other
	}
	word := string(name)
	return r.models.get(word, func() *model { return &model{name: word, duration: r.duration.WithLabelValues(word)} })
}

func (r *requests) listed(name []byte) bool {
	for _, m := range r.upstreams.Table().Members {
		if m.Models().HasName(name) {
			return true
		}
	}
	return false
}

// idSource is what Record.IDSource goes by: its word is made once.
type idSource struct {
	source session.Source
	any    bool
}

func add(c prometheus.Counter, n int64) {
	if n > 0 {
		c.Add(float64(n))
	}
}

// tries counts attempts at upstreams.
type tries struct {
	upstreams *upstream.Registry
	total     *prometheus.CounterVec
	kept      cache[proxy.Try, prometheus.Counter]
}

func (t *tries) init(upstreams *upstream.Registry) []prometheus.Collector {
	t.upstreams, t.total = upstreams, counterVec(attemptsTotal)
	return []prometheus.Collector{t.total}
}

// count counts an attempt, unless its upstream is gone meanwhile.
func (t *tries) count(try proxy.Try) {
	c, ok := t.kept.find(try)
	if !ok {
		if m := t.upstreams.Table().Named(try.Upstream.Name()); m == nil || m.Upstream != try.Upstream {
			return
		}
		c = t.kept.get(try, func() prometheus.Counter {
			return t.total.WithLabelValues(try.Upstream.Name(), try.Result.String())
		})
	}
	c.Inc()
}

func (t *tries) forget(name string) {
	t.kept.drop(func(try proxy.Try) bool { return try.Upstream.Name() == name })
	t.total.DeletePartialMatch(prometheus.Labels{"upstream": name})
}
