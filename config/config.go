// Package config composes the configuration of the packages: defaults, then the file, then the environment, then
// flags, and checks all of it. Each knob lives in the package that uses it. Only main's package imports it.
package config

import (
	"tether/admin"
	"tether/auth"
	"tether/health"
	"tether/proxy"
	"tether/session"
	"tether/session/identity"
	"tether/session/pins"
	"tether/tlsfiles"
	"tether/upstream/transport"
)

// Config is everything that can be configured.
type Config struct {
	// Listen is where clients are served, HOST:PORT, with an empty host for all addresses.
	Listen string `yaml:"listen"`
	// TLS is what clients speak there.
	TLS   tlsfiles.Listener `yaml:"tls"`
	Admin admin.Config      `yaml:"admin"`
	Auth  auth.Config       `yaml:"auth"`
	// Upstreams are the vLLM servers.
	Upstreams []Upstream      `yaml:"upstreams"`
	Models    identity.Models `yaml:"models"`
	Session   Session         `yaml:"session"`
	Health    health.Config   `yaml:"health"`
	Proxy     proxy.Config    `yaml:"proxy"`
	Log       Log             `yaml:"log"`
	// Affinity off sends requests round robin and pins nothing, for comparison; only a flag says so.
	Affinity bool `yaml:"-"`
}

// Session is the session part of the configuration, one list of keys for the three packages that have them.
type Session struct {
	Identity identity.Config `yaml:",inline"`
	Pins     pins.Config     `yaml:",inline"`
	Routing  session.Config  `yaml:",inline"`
}

// Validate reports every problem: its key below session, and its text.
func (s *Session) Validate(report func(key, problem string)) {
	s.Identity.Validate(report)
	s.Pins.Validate(report)
	s.Routing.Validate(report)
}

// Upstream is one vLLM server.
type Upstream struct {
	// Name is its identity, 1..128 letters, digits and .:_-@/[]; default HOST:PORT of the URL.
	Name string `yaml:"name,omitempty"`
	// URL is http://HOST[:PORT], https://HOST[:PORT] or http+unix:///PATH.
	URL string `yaml:"url"`
	// Weight is 0..100 per cent of a full server; 0 gets no new sessions. Default 100.
	Weight *int `yaml:"weight,omitempty"`
	// Slot is its number in the ring, 0..4095. Default: N where all names, or hosts' first labels, are PREFIX-N
	// with one prefix, else the position in the list. Either all upstreams have one or none. Of R ranks it makes the
	// slots Slot*R .. Slot*R+R-1.
	Slot *int `yaml:"slot,omitempty"`
	// DataParallelRanks is how many ranks it has (vLLM's --data-parallel-size), the same for all upstreams: each is an
	// upstream of its own, NAME@0 and so on. 0, the default: requests name no rank.
	DataParallelRanks int `yaml:"data_parallel_ranks,omitempty"`
	// TLS is how an https URL is spoken to.
	TLS tlsfiles.Upstream `yaml:"tls,omitempty"`
	// Drain keeps new sessions away.
	Drain bool `yaml:"drain,omitempty"`
	// HostHeader says which Host requests to it have: upstream, the URL's, or preserve, the client's. Default upstream.
	HostHeader string `yaml:"host_header,omitempty"`
	// APIKeyFile holds the key that is sent to it as Authorization: Bearer KEY, by probes and for clients that send no
	// Authorization.
	APIKeyFile string `yaml:"api_key_file,omitempty"`
	// APIKeyOverride sends the key for all clients, and takes their Authorization and X-Api-Key out of the requests.
	APIKeyOverride bool `yaml:"api_key_override,omitempty"`
	// APIKey is what Load read in APIKeyFile.
	APIKey transport.APIKey `yaml:"-"`
	// Models are those that it serves. Default: those that it lists in /v1/models.
	Models []string `yaml:"models,omitempty"`
}

// What HostHeader may be.
const (
	hostOfUpstream = "upstream"
	hostOfClient   = "preserve"
)

// Log is the log part of the configuration.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `yaml:"level"`
	// Format is json or console.
	Format string `yaml:"format"`
	// Access says which requests have a line on standard output: all, errors, off, or 1/N, one in N and all errors.
	Access string `yaml:"access"`
}

// Default is the configuration that is in force where nothing else is said.
func Default() *Config {
	return &Config{
		Listen: ":8080", Admin: admin.Default(), Upstreams: []Upstream{}, Models: identity.DefaultModels(), Health: health.Default(),
		Session: Session{Identity: identity.Default(), Pins: pins.Default(), Routing: session.Default()},
		Proxy:   proxy.Default(), Log: Log{Level: "info", Format: "json", Access: "errors"}, Affinity: true,
	}
}
