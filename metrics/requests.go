package metrics

import (
	"strconv"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"tether/proxy"
	"tether/session"
	"tether/session/balance"
	"tether/session/identity"
	"tether/upstream"
)

// requests counts completed requests.
type requests struct {
	upstreams *upstream.Registry

	total, failures, ids   *prometheus.CounterVec
	firstByte, duration    *prometheus.HistogramVec
	prompt, cached         *prometheus.CounterVec
	bytesIn, bytesOut      prometheus.Counter
	left, ignored, surplus prometheus.Counter
	replays, hot, wide     prometheus.Counter
	freed                  prometheus.Counter
	begunHome, begunAway   prometheus.Counter
	away                   *prometheus.CounterVec
	byAway                 seriesCache[detour, prometheus.Counter]
	byModel                seriesCache[string, *model]
	byReason               seriesCache[string, prometheus.Counter]
	unfilled               [identity.FromBody + 1]prometheus.Counter // by kind of place
	bySource               seriesCache[idSource, prometheus.Counter]
	other                  *model
}

// model holds the series of one model.
type model struct {
	name      string
	requests  seriesCache[request, prometheus.Counter]
	byOutcome seriesCache[session.Outcome, *byOutcome]
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

// maxModels bounds how many models get their own series, maxModelName the bytes of such a name. All other models count
// as otherModels.
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
	r.bytesIn, r.bytesOut = counter(bytesIn), counter(bytesOut)
	r.left, r.ignored, r.surplus, r.replays = counter(clientsLeft), counter(idsIgnored), counter(surplusTotal), counter(replaysTotal)
	r.hot, r.wide, r.freed = counter(hotTotal), counter(wideTotal), counter(freedTotal)
	placements := counterVec(placementsTotal)
	r.begunHome, r.begunAway, r.away = placements.WithLabelValues("home"), placements.WithLabelValues("away"), counterVec(awayTotal)
	unfilled := counterVec(idsUnfilled)
	for k := identity.FromHeader; k <= identity.FromBody; k++ {
		r.unfilled[k] = unfilled.WithLabelValues(k.String())
	}
	r.other = &model{name: otherModels, duration: r.duration.WithLabelValues(otherModels)}
	return []prometheus.Collector{
		r.total, r.failures, r.ids, r.firstByte, r.duration, r.prompt, r.cached, r.bytesIn, r.bytesOut, r.left, r.ignored, r.surplus, r.replays,
		unfilled, r.hot, r.wide, r.freed, placements, r.away,
	}
}

func (r *requests) count(rec *proxy.Record) {
	m := r.model(rec.Model)
	if rec.Reason != "" {
		r.byReason.get(rec.Reason, func() prometheus.Counter { return r.failures.WithLabelValues(rec.Reason) }).Inc()
	}
	id := idSource{source: rec.Source, hasKey: rec.Key != identity.Key{}}
	r.bySource.get(id, func() prometheus.Counter { return r.ids.WithLabelValues(rec.IDSource()) }).Inc()
	r.measure(m, rec)
	add(r.bytesIn, rec.BytesIn)
	add(r.bytesOut, rec.BytesOut)
	add(r.ignored, int64(rec.Ignored))
	for k := range r.unfilled {
		if rec.Unfilled.Has(identity.SourceKind(k)) {
			r.unfilled[k].Inc()
		}
	}
	add(r.replays, int64(rec.Replays))
	add(r.freed, int64(rec.Freed))
	if rec.ClientLeft() {
		r.left.Inc()
	}
	if rec.Hot > 0 {
		r.hot.Inc()
	}
	if rec.Wide {
		r.wide.Inc()
	}
	if rec.Surplus {
		r.surplus.Inc()
	}
	r.place(rec)
	// The request itself is counted last, so that a scrape that sees the request also sees its other metrics.
	k := request{route: rec.Route, outcome: rec.Outcome, status: rec.Status}
	m.requests.get(k, func() prometheus.Counter {
		return r.total.WithLabelValues(k.route, m.name, k.outcome.String(), strconv.Itoa(k.status))
	}).Inc()
}

// detour is why a request did not go to the pin or the home of its session, and its outcome.
type detour struct {
	outcome session.Outcome
	why     balance.Reason
}

// place counts where the session of a request began, or why the request went elsewhere.
func (r *requests) place(rec *proxy.Record) {
	if rec.Away != balance.Stayed {
		d := detour{rec.Outcome, rec.Away}
		r.byAway.get(d, func() prometheus.Counter { return r.away.WithLabelValues(d.outcome.String(), d.why.String()) }).Inc()
	}
	switch {
	case rec.Outcome != session.New:
	case rec.Away == balance.Stayed:
		r.begunHome.Inc()
	default:
		r.begunAway.Inc()
	}
}

// measure adds the times and tokens of a request.
func (r *requests) measure(m *model, rec *proxy.Record) {
	observe(m.duration, rec.Duration, rec)
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
		observe(o.firstByte, rec.FirstByte, rec)
	}
	if rec.PromptTokens >= 0 && rec.CachedTokens >= 0 {
		o.prompt.Add(float64(rec.PromptTokens))
		o.cached.Add(float64(rec.CachedTokens))
	}
}

// model returns the series of a model. Only a model that some upstream lists gets its own.
func (r *requests) model(name []byte) *model {
	if len(name) == 0 {
		return r.other
	}
	if known := r.byModel.series.Load(); known != nil {
		if m := known.all[string(name)]; m != nil {
			return m
		}
		if len(known.all) >= maxModels {
			return r.other
		}
	}
	if len(name) > maxModelName || !utf8.Valid(name) || !r.isListed(name) {
		return r.other
	}
	label := string(name)
	return r.byModel.get(label, func() *model { return &model{name: label, duration: r.duration.WithLabelValues(label)} })
}

func (r *requests) isListed(name []byte) bool {
	for _, m := range r.upstreams.Table().Members {
		if m.IDs().Has(name) {
			return true
		}
	}
	return false
}

// idSource holds the inputs of Record.IDSource, so that its text is built once.
type idSource struct {
	source identity.Source
	hasKey bool
}

func add(c prometheus.Counter, n int64) {
	if n > 0 {
		c.Add(float64(n))
	}
}
