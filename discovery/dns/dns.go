// Package dns finds servers by name: the addresses of a headless service, or the targets of SRV records. It asks the DNS
// servers itself, because Go's resolver hides how long an answer holds.
//
// An answer without servers removes no server, whatever the reason: a name that does not exist, an error of the
// resolver, a resolver that is silent, or no record at all. An answer with servers removes those that it lacks, once
// answers have lacked them for the time Keep: resolvers leave servers out that are not ready for a moment, and some show
// a part of their records at a time.
//
// A server found by an SRV record has the name of its target, so it keeps its name when its address changes. A server
// found by an address has no other identity: its name is ADDRESS:PORT. Package app runs the sources.
package dns

import (
	"context"
	"math/rand/v2"
	"time"

	"tether/discovery"
)

// Source follows one name.
type Source struct {
	cfg     Config
	members members
	// full is the name of the search list that has had servers; "" until then. From then on it alone is asked: while it
	// has none, another name of the list could have servers that are not ours.
	full string
}

// New makes a source of a valid configuration.
func New(cfg Config) *Source {
	cfg = cfg.withDefaults()
	return &Source{cfg: cfg, members: members{keep: cfg.Keep}}
}

// The bounds of the time between two looks, beside Config.Interval.
const (
	// longest is the upper bound for a TTL: a record that holds for a day would hide new servers for a day.
	longest = time.Minute
	// firstRetry is the time between two looks until the first one succeeds.
	firstRetry = time.Second
	// lookTimeout limits one look with all its queries.
	lookTimeout = 30 * time.Second
)

// Run looks the name up until ctx ends, and reports each look. It returns nil.
func (s *Source) Run(ctx context.Context, report discovery.Report) error {
	for {
		wait := s.step(ctx, report)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait + rand.N(wait/10+1)): // replicas do not all ask at once
		}
	}
}

// step looks once, and returns how long to wait before the next look.
func (s *Source) step(ctx context.Context, report discovery.Report) time.Duration {
	looking, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	l, err := s.look(looking)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		report(nil, err)
	default:
		report(s.members.take(l.found, time.Now()), l.problem())
		return min(max(l.ttl, s.cfg.Interval), max(longest, s.cfg.Interval))
	}
	if s.full == "" {
		return min(firstRetry, s.cfg.Interval)
	}
	return s.cfg.Interval
}
