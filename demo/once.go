package demo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Result is what was measured with one kind of routing.
type Result struct {
	// HitRate is the share of the prompts' tokens that a server had cached, 0..1. P50 and P99 are times to the first token,
	// CalmP99 is the P99 until a server was killed. All are those of second and later turns.
	HitRate           float64
	P50, P99, CalmP99 time.Duration
	// Orphans are the conversations on the server that was killed, Others those on the other servers.
	Orphans, Others Moved
	// Turns is the number of answered turns, Broken that of answers that began and did not end, and Failed that of requests
	// without an answer, or with an error.
	Turns, Broken, Failed int
}

// Once shows a cluster with affinity and then one without, and prints their results side by side. A promise that did not hold is
// an error too.
func Once(ctx context.Context, cfg Config) (on, off Result, err error) {
	s := newScreen(&cfg)
	s.printLines(wrap("", cfg.subject()+" First with affinity, then without it. "+cfg.conditions())...)
	if on, err = measure(ctx, cfg, true, s); err != nil {
		return on, off, err
	}
	if off, err = measure(ctx, cfg, false, s); err != nil {
		return on, off, err
	}
	s.printLines(compare(&on, &off)...)
	if err = checkPromises(&on, &off); err == nil {
		s.printLines("", fmt.Sprintf("Held: a server died, and %v conversations on the other servers moved.", on.Others))
	}
	return on, off, err
}

// errInterrupted means that there is nothing to compare.
var errInterrupted = errors.New("interrupted before both kinds of routing were measured")

// measure shows one cluster through one outage.
func measure(ctx context.Context, cfg Config, affinity bool, s *screen) (Result, error) {
	cfg.Affinity = affinity
	heading := "With affinity:"
	if !affinity {
		heading = "Without affinity, round robin:"
	}
	s.printLines("", heading)
	c, err := newCluster(cfg, s)
	if err != nil {
		return Result{}, err
	}
	o, outageErr := c.runOutage(ctx)
	err = c.close()
	s.setTable(nil)
	switch {
	case err != nil:
		return Result{}, err
	case ctx.Err() != nil:
		return Result{}, errInterrupted
	case outageErr != nil:
		return Result{}, outageErr
	}
	return o.result(), nil
}

func (o *outage) result() (r Result) {
	turns := o.turns.since(time.Time{})
	all, calm := summarize(turns, ""), summarize(turns[:firstAt(turns, o.at)], "")
	r = Result{
		HitRate: all.hitRate(), P50: all.percentile(0.5), P99: all.percentile(0.99), CalmP99: calm.percentile(0.99),
		Turns: all.answers, Broken: int(o.turns.broken.Load()), Failed: int(o.turns.failed.Load()),
	}
	r.Orphans, r.Others = o.tracker.moves()
	return r
}

func compare(on, off *Result) []string {
	rows := []string{"\taffinity on\taffinity off"}
	for _, line := range []struct {
		label   string
		on, off any
	}{
		{"hit rate: prompt tokens cached, of all *", percent(on.HitRate), percent(off.HitRate)},
		{"time to first token, p50 *", latency(on.P50), latency(off.P50)},
		{"time to first token, p99 until a server died *", latency(on.CalmP99), latency(off.CalmP99)},
		{"time to first token, p99 in all *", latency(on.P99), latency(off.P99)},
		{"moved, of the conversations on the dead server", on.Orphans, off.Orphans},
		{"moved, of the conversations on the others", on.Others, off.Others},
		{"turns answered", on.Turns, off.Turns},
		{"answers that broke off, and were asked for again", on.Broken, off.Broken},
		{"requests that failed", on.Failed, off.Failed},
	} {
		rows = append(rows, fmt.Sprintf("%s\t%v\t%v", line.label, line.on, line.off))
	}
	return append(append([]string{""}, columns(rows)...), "* second and later turns alone: the prompt of a first turn is in no cache")
}

// checkPromises returns an error that names the promises that did not hold.
func checkPromises(on, off *Result) error {
	var errs []error
	promise := func(held bool, format string, args ...any) {
		if !held {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	promise(on.Others.Moved == 0, "a server died, and %v conversations on other servers moved, want none", on.Others)
	promise(on.Orphans.Moved == on.Orphans.Of, "a server died, and only %v of its conversations moved", on.Orphans)
	promise(on.Failed == 0, "%s failed with a server alive", count(on.Failed, "request"))
	promise(!math.IsNaN(on.HitRate) && on.HitRate > off.HitRate,
		"the hit rate is %s with affinity and %s without", percent(on.HitRate), percent(off.HitRate))
	return errors.Join(errs...)
}
