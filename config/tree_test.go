package config

import "testing"

// A named value may be repeated by aliases.
func TestAliases(t *testing.T) {
	c := mustLoad(t, `
health: {rise: &n 3, fall: *n}
session: {sources: &list [opening, "header:X-A"]}
proxy: &all {expose: ["GET /a"], max_in_flight: 5}
upstreams: [&one {url: "http://a", weight: *n}, {url: &u "http://b"}]
`)
	if c.Health.Rise != 3 || c.Health.Fall != 3 || *c.Upstreams[0].Weight != 3 || c.Upstreams[1].URL != "http://b" || len(c.Session.Identity.Sources) != 2 || c.Proxy.MaxInFlight != 5 {
		t.Errorf("%+v", c)
	}
}
