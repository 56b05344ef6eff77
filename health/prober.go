package health

import (
	"context"
	"sync/atomic"
	"time"

	"tether/upstream"
)

// prober watches one server.
type prober struct {
	settings    *atomic.Pointer[Config] // the monitor's
	newSettings chan struct{}           // capacity 1: has an element after the settings changed
	server      *upstream.Server
	tally       tally
	buf         []byte // for response heads
	hooks       Hooks
	first       func() // called once, at the first verdict
	changed     func() // called after each change of the health; may be nil

	asleep      bool // the server said so last
	neverSleeps bool // the server has no sleepPath

	lookup      lookupIP
	nameChecked bool // warnOfSharedName was called
}

// fastInterval is the time between probes while something is unsettled: there is no verdict yet, or traffic had trouble
// (fastinter in HAProxy).
const fastInterval = time.Second

// run probes until ctx ends, each time by the present settings.
func (p *prober) run(ctx context.Context) {
	for {
		started := time.Now()
		cfg := p.settings.Load()
		p.apply(p.probe(ctx, cfg), started, cfg)
		if p.tally.health == upstream.Up && !p.nameChecked {
			p.nameChecked = true
			p.warnOfSharedName(ctx, cfg.Timeout)
		}
		if ctx.Err() != nil || !p.wait(ctx, started) {
			return
		}
	}
}

// wait sleeps until the next probe is due. The pause counts from the start of the last probe, so that slow probes do not make
// probes rarer. A wanted probe is due fastInterval after the last one started. wait returns false when ctx ended.
func (p *prober) wait(ctx context.Context, started time.Time) bool {
	due := time.NewTimer(time.Until(p.next(started)))
	defer due.Stop()
	for {
		select {
		case <-due.C:
			return true
		case <-p.server.ProbeWanted():
			due.Reset(time.Until(started.Add(min(fastInterval, p.settings.Load().Interval))))
		case <-p.newSettings:
			due.Reset(time.Until(p.next(started)))
		case <-ctx.Done():
			return false
		}
	}
}

// notifySettings makes a wait in progress follow the present settings. It does not block.
func (p *prober) notifySettings() {
	select {
	case p.newSettings <- struct{}{}:
	default: // wait has not seen the last change yet
	}
}

// next returns when the next probe is due after one that started at a time.
func (p *prober) next(started time.Time) time.Time {
	interval := p.settings.Load().Interval
	if s := p.server.State(); s.Health() == upstream.Unknown || s.Suspect() {
		return started.Add(min(fastInterval, interval))
	}
	return again(started, interval)
}

// apply enters a result into the tally and the server's state.
func (p *prober) apply(r result, now time.Time, cfg *Config) {
	if r == timedOut && now.Sub(p.server.LastDelivered()) < cfg.Interval {
		r = noEvidence // answers are on their way: a busy engine is slow to answer probes
	}
	if p.hooks.Probed != nil {
		p.hooks.Probed(p.server, string(r))
	}
	before := p.tally.health
	health := p.tally.note(r, cfg.Rise, cfg.Fall)
	p.server.ExpireLeaving(now)
	switch {
	case health != before:
		p.server.SetHealth(health, reasons[r])
		if p.changed != nil {
			p.changed()
		}
	case r == succeeded:
		p.server.ProbeSucceeded()
	}
	if r != succeeded && r != noEvidence && r != asleep {
		p.server.ProbeFailed()
	}
	if (health == upstream.Down || health == upstream.TimedOut) && r != asleep {
		p.asleep, p.neverSleeps = false, false
	}
	if before == upstream.Unknown && health != upstream.Unknown && p.first != nil {
		p.first()
		p.first = nil
	}
}

func (p *prober) warn(text string) {
	if p.hooks.Warned != nil {
		p.hooks.Warned(p.server, text)
	}
}
