package prefill

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Config is the part of the configuration that sets what tether otherwise learns about models.
type Config struct {
	// PrefillRate has, by model, how many tokens of prompts a server of the model reads in a second, 10..10000000. Default: learned from
	// answers.
	PrefillRate map[string]float64 `yaml:"prefill_rate"`
}

// Default returns the default configuration.
func Default() Config { return Config{PrefillRate: map[string]float64{}} }

// Validate reports every problem: its key below models, and its text. problemOf says why a text cannot be the name of a model, "" if it
// can.
func (c *Config) Validate(problemOf func(name string) string, report func(key, problem string)) {
	if len(c.PrefillRate) > MaxModels {
		report("prefill_rate", fmt.Sprintf("%d models, want at most %d", len(c.PrefillRate), MaxModels))
	}
	for _, name := range slices.Sorted(maps.Keys(c.PrefillRate)) {
		if problem := problemOf(name); problem != "" {
			report("prefill_rate", problem)
			continue
		}
		if rate := c.PrefillRate[name]; math.IsNaN(rate) || rate < slowestRate || rate > fastestRate {
			report("prefill_rate."+name, fmt.Sprintf("%v, want %d..%d tokens a second", rate, slowestRate, fastestRate))
		}
	}
}
