package app

import (
	"context"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"
)

// applyPause is the least time between two changes by sources of upstreams. All that is found meanwhile is one change.
const applyPause = 50 * time.Millisecond

// findFirst starts the sources of s, and returns s with the upstreams that they find before firstLook has passed.
func (a *app) findFirst(s *settings) (*settings, error) {
	a.steps.atEnd("sources of upstreams", func(context.Context) error { a.sources.keep(nil); return nil })
	if err := a.sources.prepare(a.shutdown.Graceful, s.Discovery); err != nil {
		a.log.Warn("serving without the upstreams of a source until it finds some", zap.Error(err))
	}
	return a.withFound(s)
}

// discover brings what the sources find into force, until ctx ends.
func (a *app) discover(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.sources.wanted:
			a.useFound()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(applyPause):
		}
	}
}

// useFound brings what the sources have found into force.
func (a *app) useFound() {
	a.applying.Lock()
	defer a.applying.Unlock()
	before := a.settings.Load()
	next, err := a.withFound(before)
	if err == nil && next != before {
		err = a.apply(next)
	}
	if err != nil {
		a.log.Error("the upstreams that discovery found are not in force, the previous ones stay", zap.Error(err))
	}
}

// withFound returns the settings with the upstreams that the sources have found, or s itself if it has them already. It logs what does not
// count, once. a.applying is held, once clients are served.
func (a *app) withFound(s *settings) (*settings, error) {
	if len(s.Discovery) == 0 {
		return s, nil
	}
	all, problems := s.Merge(a.sources.sets(s.Discovery))
	if !slices.Equal(problems, a.unused) {
		a.unused = problems
		for _, line := range problems[:min(len(problems), maxLines)] {
			a.log.Warn("discovery found an upstream that does not count", zap.String("problem", line), zap.Int("in_all", len(problems)))
		}
	}
	if reflect.DeepEqual(all, s.upstreams) {
		return s, nil
	}
	return s.withUpstreams(all)
}

// maxLines limits the lines that the log gets for one set.
const maxLines = 10
