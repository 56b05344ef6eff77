package demo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Result is what a world came to.
type Result struct {
	// HitRate is the share of the prompts' tokens that a server had cached, 0..1, and P50 and P99 are times to the first
	// token, Calm99 is P99 of the time before the death: all of second and later turns.
	HitRate          float64
	P50, P99, Calm99 time.Duration
	// Orphans are the conversations on the server that was killed, and Others those on the other servers.
	Orphans, Others Moved
	// Turns were answered, Broken answers began and did not end, Failed requests got none, or an error.
	Turns, Broken, Failed int
}

// Moved is how conversations fared when a server died: how many went on, and how many of these had a request come to
// another server than before.
type Moved struct{ Of, Moved int }

// Once shows the world with affinity and then the one without, and prints both side by side. Its error says, too, that a
// promise did not hold.
func Once(ctx context.Context, cfg Config) (on, off Result, err error) {
	s := newScreen(&cfg)
	s.say(wrap("", cfg.cast()+": first with affinity, then without it. "+cfg.stage())...)
	if on, err = one(ctx, cfg, true, s); err != nil {
		return on, off, err
	}
	if off, err = one(ctx, cfg, false, s); err != nil {
		return on, off, err
	}
	s.say(compare(&on, &off)...)
	if err = broken(&on, &off); err == nil {
		s.say("", fmt.Sprintf("Held: a server died, and of the conversations on the others %v moved.", on.Others))
	}
	return on, off, err
}

// errInterrupted says that there is nothing to compare.
var errInterrupted = errors.New("interrupted before both worlds were seen")

// one shows one world.
func one(ctx context.Context, cfg Config, affinity bool, s *screen) (Result, error) {
	cfg.Affinity = affinity
	heading := "With affinity:"
	if !affinity {
		heading = "Without affinity, round robin:"
	}
	s.say("", heading)
	w, err := open(cfg, s)
	if err != nil {
		return Result{}, err
	}
	st, told := w.tellStory(ctx)
	err = w.close()
	s.clear()
	switch {
	case err != nil:
		return Result{}, err
	case ctx.Err() != nil:
		return Result{}, errInterrupted
	case told != nil:
		return Result{}, told
	}
	return st.result(), nil
}

func (s *story) result() (r Result) {
	turns := s.w.figures.since(time.Time{})
	all, calm := summarise(turns, ""), summarise(before(turns, s.died), "")
	orphans, others := s.w.seen.moves()
	r = Result{
		HitRate: all.hitRate(), P50: all.first(0.5), P99: all.first(0.99), Calm99: calm.first(0.99), Turns: all.answers,
		Orphans: Moved{orphans.of, orphans.moved}, Others: Moved{others.of, others.moved},
	}
	r.Broken, r.Failed = s.w.figures.trouble()
	return r
}

// compare prints two worlds side by side.
func compare(on, off *Result) []string {
	rows := [][]string{{"", "affinity on", "affinity off"}}
	for _, line := range []struct {
		words  string
		figure func(*Result) string
	}{
		{"hit rate: prompt tokens cached, of all *", func(r *Result) string { return percent(r.HitRate) }},
		{"time to first token, p50 *", func(r *Result) string { return latency(r.P50) }},
		{"time to first token, p99 until a server died *", func(r *Result) string { return latency(r.Calm99) }},
		{"time to first token, p99 in all *", func(r *Result) string { return latency(r.P99) }},
		{"moved, of the conversations on the dead server", func(r *Result) string { return r.Orphans.String() }},
		{"moved, of the conversations on the others", func(r *Result) string { return r.Others.String() }},
		{"turns answered", func(r *Result) string { return strconv.Itoa(r.Turns) }},
		{"answers that broke off, and were asked for again", func(r *Result) string { return strconv.Itoa(r.Broken) }},
		{"requests that failed", func(r *Result) string { return strconv.Itoa(r.Failed) }},
	} {
		rows = append(rows, []string{line.words, line.figure(on), line.figure(off)})
	}
	lines := append([]string{""}, align(rows, 1)...)
	return append(lines, "* of second and later turns: the prompt of a first one is cached nowhere")
}

// String is "0 of 44".
func (m Moved) String() string { return fmt.Sprintf("%d of %d", m.Moved, m.Of) }

// broken gives the promises that did not hold.
func broken(on, off *Result) (err error) {
	if on.Others.Moved > 0 {
		err = errors.Join(err, fmt.Errorf("a server died, and %v conversations on other servers moved, want none", on.Others))
	}
	if on.Orphans.Moved < on.Orphans.Of {
		err = errors.Join(err, fmt.Errorf("a server died, and only %v of its conversations moved", on.Orphans))
	}
	if on.Failed > 0 {
		err = errors.Join(err, fmt.Errorf("%s failed with a server alive", count(on.Failed, "request")))
	}
	if math.IsNaN(on.HitRate) || on.HitRate <= off.HitRate {
		err = errors.Join(err, fmt.Errorf("the hit rate is %s with affinity and %s without", percent(on.HitRate), percent(off.HitRate)))
	}
	return err
}
