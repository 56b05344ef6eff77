package session

import (
	"fmt"
	"time"
)

// Config is the session part of the configuration.
type Config struct {
	// Sources are where the session id is looked for, first hit wins: header:NAME, cookie:NAME, body:FIELD (dots
	// lead into objects), opening. See DefaultSources.
	Sources []string `yaml:"sources"`
	// Scope keeps callers' derived ids apart: authorization, none, or header:NAME.
	Scope string `yaml:"scope"`
	// Subagents says whose session a sub-agent's requests belong to: family, or own.
	Subagents Subagents `yaml:"subagents"`
	// SecretFile holds the secret that ids are hashed with; replicas share it. "" is none.
	SecretFile string `yaml:"secret_file"`
	// TTL is how long a pin lives after its last use, 1s..720h.
	TTL time.Duration `yaml:"ttl"`
	// Max bounds the session map, 1000..100000000 pins.
	Max int `yaml:"max"`
	// Return says where sessions go when a server that died comes back: stay where they moved, or home.
	Return Return `yaml:"return"`
	// OpeningMaxInFlight is how many requests may be in flight under one derived id or prompt_cache_key before it counts as a crowd,
	// 1..10000.
	OpeningMaxInFlight int `yaml:"opening_max_in_flight"`
}

// Return is what becomes of moved sessions when their first server is back.
type Return string

const (
	// Stay leaves them where their cache now is.
	Stay Return = "stay"
	// Home sends them back.
	Home Return = "home"
)

// Default is the configuration that is in force where nothing else is said.
func Default() Config {
	return Config{
		Sources: DefaultSources(), Scope: "authorization", Subagents: Family, TTL: time.Hour, Max: 1_000_000, Return: Stay,
		OpeningMaxInFlight: 8,
	}
}

// Validate reports every problem: the key below session, and what is wrong with it.
func (c *Config) Validate(report func(key, problem string)) {
	seen := map[Source]bool{}
	for i, s := range c.Sources {
		source, err := ParseSource(s)
		switch {
		case err != nil:
			report(fmt.Sprintf("sources[%d]", i), err.Error())
		case seen[source]:
			report(fmt.Sprintf("sources[%d]", i), fmt.Sprintf("%q is there twice", s))
		}
		seen[source] = true
	}
	if len(c.Sources) > maxSources {
		report("sources", fmt.Sprintf("%d sources, want at most %d", len(c.Sources), maxSources))
	}
	if _, err := parseScope(c.Scope); err != nil {
		report("scope", err.Error())
	}
	if c.Subagents != Family && c.Subagents != Own {
		report("subagents", fmt.Sprintf("%q, want family or own", c.Subagents))
	}
	if c.TTL < time.Second || c.TTL > 720*time.Hour {
		report("ttl", fmt.Sprintf("%v, want 1s..720h", c.TTL))
	}
	if c.Max < 1000 || c.Max > 100_000_000 {
		report("max", fmt.Sprintf("%d, want 1000..100000000", c.Max))
	}
	if c.Return != Stay && c.Return != Home {
		report("return", fmt.Sprintf("%q, want stay or home", c.Return))
	}
	if c.OpeningMaxInFlight < 1 || c.OpeningMaxInFlight > 10_000 {
		report("opening_max_in_flight", fmt.Sprintf("%d, want 1..10000", c.OpeningMaxInFlight))
	}
}
