package app

import (
	"context"

	"go.uber.org/zap"

	"tether/config"
	"tether/upstream"
)

// Find returns the upstreams that a reload with cfg would bring into force: those of the configuration, and those that its sources find
// before firstLook has passed. problems has a line for each upstream that does not count, and for each source that does not use all that it
// found. The error names the sources that have found nothing. The sources have ended when Find returns.
func Find(ctx context.Context, cfg *config.Config) (specs []upstream.Spec, problems []string, err error) {
	s := newSources(zap.NewNop())
	defer s.keep(nil)
	if err := s.prepare(ctx, cfg.Discovery); err != nil {
		return nil, nil, err
	}
	all, problems := cfg.Merge(s.sets(cfg.Discovery))
	s.each(func(one *source) {
		if one.problem != "" {
			problems = append(problems, one.label+": "+one.problem)
		}
	})
	return cfg.SpecsOf(all), problems, nil
}
