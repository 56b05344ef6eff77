package config

import (
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"tether/ring"
)

// Effective returns the configuration in force as YAML: every key with its value, and the names and slots of upstreams.
// It shows no secret, since secrets are in files of their own.
func (c *Config) Effective() (string, error) {
	full := *c
	full.Upstreams = slices.Clone(c.Upstreams)
	for i, s := range c.Specs() {
		u := &full.Upstreams[i]
		u.Name, u.Weight, u.Slot = s.Name, &s.Weight, nil
		if s.Slot != ring.Unnumbered {
			u.Slot = &s.Slot
		}
	}
	text, err := yaml.MarshalWithOptions(full, yaml.Indent(2), yaml.IndentSequence(true),
		yaml.CustomMarshaler(func(d time.Duration) ([]byte, error) { return []byte(shortDuration(d)), nil }))
	return string(text), err
}

// shortDuration returns d without the zeros at its end: 2m, not 2m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
