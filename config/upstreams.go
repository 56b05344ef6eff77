package config

import (
	"cmp"
	"net/url"
	"strings"

	"tether/discovery"
	"tether/ring"
	"tether/upstream"
	"tether/upstream/transport"
)

// Specs returns the upstreams of a valid configuration.
func (c *Config) Specs() []upstream.Spec {
	specs := c.SpecsOf(c.Upstreams)
	for i := range specs {
		if specs[i].Address == (transport.Address{}) {
			panic("BUG: specs of an invalid configuration: " + problemOfURL(c.Upstreams[i].URL))
		}
	}
	return specs
}

func (c *Config) servers() []discovery.Server {
	servers := make([]discovery.Server, len(c.Upstreams))
	for i := range c.Upstreams {
		servers[i] = c.Upstreams[i].server()
	}
	return servers
}

// server returns the upstream as a server; its address is zero if the URL is invalid.
func (u *Upstream) server() discovery.Server {
	address, _ := transport.ParseURL(u.URL) // an error is a problem of the URL
	weight := ring.FullWeight
	if u.Weight != nil {
		weight = *u.Weight
	}
	return discovery.Server{Label: u.label(), Slot: u.Slot, Spec: upstream.Spec{
		Name: cmp.Or(u.Name, address.Dial+address.Prefix), Address: address, Ranks: u.DataParallelRanks, Weight: weight, MaxInFlight: u.MaxInFlight, Drain: u.Drain, Models: u.Models,
		RequestOptions: transport.RequestOptions{PreserveHost: u.HostHeader == hostOfClient, Key: u.APIKey, OverrideKey: u.APIKeyOverride},
	}}
}

// label returns the given name, or the first label of the URL's host.
func (u *Upstream) label() string {
	if u.Name != "" {
		return u.Name
	}
	parsed, err := url.Parse(u.URL)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(parsed.Hostname(), ".")
	return first
}
