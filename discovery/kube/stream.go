package kube

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"
)

// stream lists a collection, and then watches it from the version of the list.
type stream struct {
	*collection
	open      func() (*access, error)
	namespace string
	times     times
	// replace takes all objects. apply takes one event, and returns the version from which the next watch goes on. failed is told why
	// the objects are no longer up to date.
	replace func(items []json.RawMessage) error
	apply   func(e event) (version string, err error)
	failed  func(err error)

	failures int // since the last event, or the last watch that the API server ended
}

// longestPause is the longest time between two attempts after failures, which begins with times.pause and doubles. A random half of it
// is left out, so that replicas do not return at once.
const longestPause = 30 * time.Second

// run follows the collection until ctx ends.
func (s *stream) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.cycle(ctx)
		if ctx.Err() != nil {
			return
		}
		if !isGone(err) || s.failures > 0 { // versions expire in their time
			s.failed(err)
		}
		s.pause(ctx)
	}
}

// pause waits after a failure.
func (s *stream) pause(ctx context.Context) {
	d := min(s.times.pause<<min(s.failures, 16), longestPause)
	s.failures++
	select {
	case <-ctx.Done():
	case <-time.After(d/2 + rand.N(d/2)):
	}
}

// watchRetries is how many watches may fail in a row before the collection is listed again. The first of them may
// be a connection that was cut, and is not reported.
const watchRetries = 3

// cycle opens a way to the API server, lists, and watches until the watch cannot go on. The error is never nil.
func (s *stream) cycle(ctx context.Context) error {
	a, err := s.open()
	if err != nil {
		return err
	}
	conn, release := s.connect(a, s.namespace, s.times)
	defer release()
	items, version, err := conn.list(ctx)
	if err != nil {
		return err
	}
	if err := s.replace(items); err != nil {
		return err
	}
	for failed := 0; ; s.pause(ctx) {
		err := conn.watch(ctx, version, func(e event) error {
			next, err := s.apply(e)
			if err == nil {
				version, failed, s.failures = next, 0, 0
			}
			return err
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			failed, s.failures = 0, 0
		case isGone(err) || failed == watchRetries:
			return err
		default:
			if failed > 0 {
				s.failed(err)
			}
			failed++
		}
	}
}
