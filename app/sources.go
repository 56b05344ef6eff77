package app

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"tether/admin"
	"tether/config"
	"tether/metrics"
)

// sources runs the sources of upstreams, and keeps what each has found last.
type sources struct {
	log    *zap.Logger
	wanted chan struct{} // capacity 1: a set has changed

	mu      sync.Mutex
	running map[string]*source // guarded by mu: by label
}

func newSources(log *zap.Logger) *sources {
	return &sources{log: log, wanted: make(chan struct{}, 1), running: map[string]*source{}}
}

// firstLook is how long a source may take to find its first upstreams before tether serves without them.
const firstLook = 5 * time.Second

// prepare starts the sources of a configuration that do not run yet, and waits until each has found a set, or firstLook has passed. A
// source whose keys have changed is replaced and hands its set on. The error names the sources that have no set.
func (s *sources) prepare(ctx context.Context, all []config.Discovery) error {
	var started []*source
	for i := range all {
		started = append(started, s.start(&all[i]))
	}
	limit := time.NewTimer(firstLook)
	defer limit.Stop()
	for _, one := range started {
		select {
		case <-one.ready:
			continue
		case <-limit.C:
			limit.Reset(0) // for the next source
		case <-ctx.Done():
		}
	}
	return s.missing(started)
}

// missing names those sources that have no set yet.
func (s *sources) missing(all []*source) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, one := range all {
		if one.set == nil {
			lines = append(lines, fmt.Sprintf("discovery: %s has found nothing within %v: %s", one.label, firstLook, cmp.Or(one.problem, "it has not answered yet")))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return usageError("%s", strings.Join(lines, "\n"))
}

// start returns the source of d that runs, or starts one.
func (s *sources) start(d *config.Discovery) *source {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.running[d.Label()]
	if before != nil && reflect.DeepEqual(before.Discovery, *d) {
		return before
	}
	ctx, stop := context.WithCancel(context.Background())
	next := &source{Discovery: *d, label: d.Label(), stop: stop, ended: make(chan struct{}), ready: make(chan struct{})}
	if before != nil {
		before.stop()
		next.set, next.problem, next.failures, next.success = before.set, before.problem, before.failures, before.success
		if next.set != nil {
			close(next.ready)
		}
	}
	s.running[d.Label()] = next
	go next.run(ctx, s.take)
	return next
}

// restore makes the sources of a configuration in force the only ones that run.
func (s *sources) restore(all []config.Discovery) {
	for i := range all {
		s.start(&all[i])
	}
	s.keep(all)
	s.want()
}

// keep ends all sources but those of a configuration, and waits for them.
func (s *sources) keep(all []config.Discovery) {
	stays := map[string]bool{}
	for i := range all {
		stays[all[i].Label()] = true
	}
	s.mu.Lock()
	var removed []*source
	for label, one := range s.running {
		if !stays[label] {
			one.stop()
			removed = append(removed, one)
			delete(s.running, label)
		}
	}
	s.mu.Unlock()
	for _, one := range removed {
		<-one.ended
	}
}

// take notes what a source has found. A source that was replaced says nothing any more.
func (s *sources) take(from *source, set *config.Set, problem error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[from.label] != from {
		return
	}
	changed := set != nil && !sameSet(set, from.set)
	if set != nil {
		if from.set == nil {
			close(from.ready)
		}
		from.set, from.success = set, time.Now()
	} else {
		from.failures++
	}
	s.tell(from, set != nil, problem)
	if changed {
		s.want()
	}
}

// tell logs a problem that is new, and its end. s.mu is held.
func (s *sources) tell(from *source, found bool, problem error) {
	text := ""
	if problem != nil {
		text = problem.Error()
	}
	if text == from.problem {
		return
	}
	had := from.problem
	from.problem = text
	name, size := zap.String("source", from.label), zap.Int("upstreams", from.set.Size())
	switch {
	case text == "" && had != "":
		s.log.Info("discovery has no problem any more", name, size)
	case found:
		s.log.Warn("discovery does not use all that it found", name, size, zap.String("problem", text))
	default:
		s.log.Warn("discovery keeps the last upstreams", name, size, zap.String("problem", text))
	}
}

// want asks for the sets to be brought into force.
func (s *sources) want() {
	select {
	case s.wanted <- struct{}{}:
	default: // that is about to happen
	}
}

// sets returns what the sources of a configuration have found last, nil for nothing yet.
func (s *sources) sets(all []config.Discovery) []*config.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	sets := make([]*config.Set, len(all))
	for i := range all {
		if one := s.running[all[i].Label()]; one != nil {
			sets[i] = one.set
		}
	}
	return sets
}

// each calls show for each source that runs, in the order of the labels.
func (s *sources) each(show func(*source)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var labels []string
	for label := range s.running {
		labels = append(labels, label)
	}
	slices.Sort(labels)
	for _, label := range labels {
		show(s.running[label])
	}
}

// measured returns the state of the sources for metrics.
func (s *sources) measured() (all []metrics.Source) {
	s.each(func(one *source) {
		all = append(all, metrics.Source{Label: one.label, Upstreams: one.set.Size(), Failures: one.failures, LastSuccess: one.success})
	})
	return all
}

// shown returns the state of the sources for operators.
func (s *sources) shown() []admin.Discovered {
	all := []admin.Discovered{}
	s.each(func(one *source) {
		shown := admin.Discovered{Source: one.label, Upstreams: one.set.Size(), Failures: one.failures, Problem: one.problem}
		if last := one.success; !last.IsZero() {
			shown.LastSuccess = &last // a copy: the source changes its own while the answer is written
		}
		all = append(all, shown)
	})
	return all
}
