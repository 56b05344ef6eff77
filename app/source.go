package app

import (
	"context"
	"reflect"
	"slices"
	"time"

	"tether/config"
	"tether/discovery"
	"tether/discovery/dns"
	"tether/discovery/kube"
	"tether/files"
)

// source is one source of upstreams that runs.
type source struct {
	config.Discovery
	label string
	stop  context.CancelFunc
	ended chan struct{}
	ready chan struct{} // closed once set is not nil

	// The fields below are guarded by sources.mu.
	set      *config.Set // nil until the first success
	problem  string      // of the last look, "" for none
	failures uint64
	success  time.Time // of the last look that succeeded
}

// listEvery is how often a file with a list of upstreams is read.
const listEvery = time.Second

// run follows the source until ctx ends. It calls take after each look: with a complete set, or with nil and the reason why the last
// one stays.
func (s *source) run(ctx context.Context, take func(s *source, set *config.Set, problem error)) {
	defer close(s.ended)
	report := func(found []discovery.Found, problem error) {
		if found == nil {
			take(s, nil, problem)
		} else {
			take(s, &config.Set{Found: found}, problem)
		}
	}
	switch {
	case s.File != "":
		s.followFile(ctx, take)
	case s.DNS != (dns.Config{}):
		_ = dns.New(s.DNS).Run(ctx, report) // it has no error
	default:
		_ = kube.New(s.Kubernetes).Run(ctx, report) // it has no error
	}
}

// followFile reads a list whenever the file, or a file that its upstreams name, has new contents.
func (s *source) followFile(ctx context.Context, take func(s *source, set *config.Set, problem error)) {
	var watch files.Watch
	var set *config.Set // of the file as it is, nil if it is not valid
	named := []string{s.File}
	tick := time.NewTicker(listEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		if first || watch.Changed(named) {
			before := files.Look(named)
			list, others, err := config.ReadList(s.File)
			if set = nil; err == nil {
				set, named = &config.Set{Listed: list}, append(slices.Clone(others), s.File)
			}
			watch.Accept(before.With(named))
			take(s, set, err)
		} else if set != nil {
			take(s, set, nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sameSet reports whether two sets have the same upstreams.
func sameSet(a, b *config.Set) bool { return a == b || reflect.DeepEqual(a, b) }
