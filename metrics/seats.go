package metrics

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"tether/failure"
	"tether/proxy"
	"tether/session/fates"
	"tether/upstream"
)

// seats has what requests count by upstream, by the seat of the upstream. A look-up takes no lock.
type seats struct {
	upstreams *upstream.Registry
	tally     *fates.Tally
	attempts  *prometheus.CounterVec
	words     sync.Map // the results of attempts, probes and changes of health that have series, as strings

	mu   sync.Mutex // serializes writers of each
	each [upstream.MaxUpstreams]atomic.Pointer[counters]
}

// counters are those of one upstream. They are immutable: writers store a changed copy.
type counters struct {
	upstream *upstream.Upstream
	fates    *fates.Account
	attempts [failure.Count]prometheus.Counter // by failure.Kind, nil before the first one of the kind
	_        [16]byte                          // fills the last cache line, so that what common requests read is in the first one
}

func (s *seats) init(upstreams *upstream.Registry, tally *fates.Tally) []prometheus.Collector {
	s.upstreams, s.tally, s.attempts = upstreams, tally, counterVec(attemptsTotal)
	return []prometheus.Collector{s.attempts}
}

// countAttempt ignores an attempt whose upstream was removed since.
func (s *seats) countAttempt(one proxy.Try) {
	c := s.of(one.Upstream)
	if c != nil && c.attempts[one.Failure] == nil {
		c = s.renew(one.Upstream, one.Failure)
	}
	if c != nil {
		c.attempts[one.Failure].Inc()
	}
}

// countPrompt ignores a request whose upstream was removed since.
func (s *seats) countPrompt(r *proxy.Record) {
	expected, found := expectation(r)
	if r.Fates == (fates.Split{}) && expected == 0 {
		return
	}
	if c := s.of(r.Upstream); c != nil {
		c.fates.Add(&r.Fates, r.Saved, expected, found, r.Started.Add(r.Duration))
	}
}

// expectation returns the tokens that were to be expected in the cache of the upstream, and those that were there. It ignores numbers that
// cannot be true.
func expectation(r *proxy.Record) (expected, found int64) {
	if r.ExpectedTokens <= 0 || r.CachedTokens < 0 || r.CachedTokens > r.PromptTokens {
		return 0, 0
	}
	return int64(r.ExpectedTokens), int64(r.CachedTokens)
}

// of returns the counters of u, or nil if u was removed since.
func (s *seats) of(u *upstream.Upstream) *counters {
	if c := s.each[u.Ref().Seat()].Load(); c != nil && c.upstream == u {
		return c
	}
	return s.renew(u)
}

// renew stores counters of u that have those of the given attempts too, and returns them. It returns nil if u was removed since: they would
// recreate the series that Metrics.Forget deletes.
func (s *seats) renew(u *upstream.Upstream, attempts ...failure.Kind) *counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.upstreams.Table().Index(u.Ref()) < 0 {
		return nil
	}
	seat := &s.each[u.Ref().Seat()]
	c := &counters{upstream: u, fates: s.tally.Of(u.Name())}
	if before := seat.Load(); before != nil && before.upstream == u {
		c.attempts = before.attempts
	}
	for _, kind := range attempts {
		s.words.Store(kind.Word(), true)
		c.attempts[kind] = s.attempts.WithLabelValues(u.Name(), kind.Word())
	}
	seat.Store(c)
	return c
}

// keep drops the counters of the upstreams that are not in stays. No counters of an upstream that was removed before are stored after it.
func (s *seats) keep(stays map[*upstream.Upstream]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.each {
		if c := s.each[i].Load(); c != nil && !stays[c.upstream] {
			s.each[i].Store(nil)
		}
	}
}
