// Package config composes the configurations of the packages. It loads defaults, then the file, then the environment,
// then flags, and reports every problem at once, each with its place. Each key lives in the package that uses it.
//
// It reads files, and starts nothing. The commands in package cli load it, and package app runs with the result.
//
// The texts of problems.go are tested by every test of an error.
package config

import (
	"tether/admin"
	"tether/auth"
	"tether/health"
	"tether/proxy"
	"tether/session"
	"tether/session/identity"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/session/store"
	"tether/tlsfiles"
	"tether/tracing"
	"tether/upstream/transport"
)

// Config is the whole configuration.
type Config struct {
	// Listen is the address for clients, HOST:PORT. An empty host stands for all addresses.
	Listen string `yaml:"listen"`
	// TLS is the TLS of that address.
	TLS   tlsfiles.Listener `yaml:"tls"`
	Admin admin.Config      `yaml:"admin"`
	Auth  auth.Config       `yaml:"auth"`
	// Upstreams are the vLLM servers.
	Upstreams []Upstream `yaml:"upstreams"`
	// Discovery are the sources of upstreams that come and go.
	Discovery []Discovery   `yaml:"discovery"`
	Models    Models        `yaml:"models"`
	Session   Session       `yaml:"session"`
	Health    health.Config `yaml:"health"`
	Proxy     proxy.Config  `yaml:"proxy"`
	Log       Log           `yaml:"log"`
	// Tracing exports traces of requests.
	Tracing tracing.Config `yaml:"tracing"`
	// Warnings are what Load found strange but not wrong. They never hold a value.
	Warnings []string `yaml:"-"`
	// File is the path of the file that Load read, "" for none.
	File string `yaml:"-"`
	// Overridden are the keys that variables and flags set: those of the process, which a file does not change.
	Overridden []string `yaml:"-"`
}

// Models is the models part of the configuration: one list of keys of two packages.
type Models struct {
	Identity identity.Models `yaml:",inline"`
	Prefill  prefill.Config  `yaml:",inline"`
}

// Validate reports every problem: a key below models, and what is wrong with its value.
func (m *Models) Validate(report func(key, problem string)) {
	m.Identity.Validate(report)
	m.Prefill.Validate(identity.ProblemOfModel, report)
}

// Session is the session part of the configuration: one list of keys of four packages.
type Session struct {
	Identity identity.Config `yaml:",inline"`
	Pins     pins.Config     `yaml:",inline"`
	Routing  session.Config  `yaml:",inline"`
	Store    store.Config    `yaml:"store"`
}

// Validate reports every problem: a key below session, and what is wrong with its value.
func (s *Session) Validate(report func(key, problem string)) {
	s.Identity.Validate(report)
	s.Pins.Validate(report)
	s.Routing.Validate(report)
	s.Store.Validate(func(key, problem string) { report("store."+key, problem) })
	if s.Store.On() && s.Identity.SecretFile == "" {
		report("store.url", "and there is no session.secret_file: the tethers of a store need the same secret")
	}
}

// Upstream is one vLLM server.
type Upstream struct {
	// Name is the server's identity, 1..128 letters, digits and .:_-@/[]. Default: HOST:PORT of the URL, and its prefix.
	Name string `yaml:"name,omitempty"`
	// URL is http://HOST[:PORT][/PREFIX], https://HOST[:PORT][/PREFIX] or http+unix:///PATH. The prefix stands before the path
	// of every request to the server.
	URL string `yaml:"url"`
	// Weight is 0..100 per cent of a full server. With 0 it gets no new sessions. Default: 100.
	Weight *int `yaml:"weight,omitempty"`
	// Slot is the server's number in the ring, 0..4095. Default: see discovery.Slots. Either all upstreams have one or
	// none. A server with R ranks has the slots Slot*R .. Slot*R+R-1.
	Slot *int `yaml:"slot,omitempty"`
	// DataParallelRanks is the server's number of ranks (vLLM's --data-parallel-size), the same for all upstreams. Each
	// rank is an upstream of its own, NAME@0 and so on. Default: 0, requests name no rank.
	DataParallelRanks int `yaml:"data_parallel_ranks,omitempty"`
	// MaxInFlight is how many requests the server may have in flight, those of all its ranks together, 0..1000000. Default: 0, no limit.
	MaxInFlight int `yaml:"max_in_flight,omitempty"`
	// TLS is the TLS of an https URL.
	TLS tlsfiles.Upstream `yaml:"tls,omitempty"`
	// Drain keeps new sessions away.
	Drain bool `yaml:"drain,omitempty"`
	// HostHeader is the Host that the server gets: upstream, that of the URL, or preserve, that of the client. Default:
	// upstream.
	HostHeader string `yaml:"host_header,omitempty"`
	// APIKeyFile holds the key that is sent to the server as Authorization: Bearer KEY, in probes and for clients that
	// send no Authorization.
	APIKeyFile string `yaml:"api_key_file,omitempty"`
	// APIKeyOverride sends the key for all clients, and removes their Authorization and X-Api-Key.
	APIKeyOverride bool `yaml:"api_key_override,omitempty"`
	// APIKey is the content of APIKeyFile, read by Load.
	APIKey transport.APIKey `yaml:"-"`
	// Models are the models that the server serves. Default: those that it lists in /v1/models.
	Models []string `yaml:"models,omitempty"`
}

// Values of HostHeader.
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
	// Access selects the requests that get a line on standard output: all, errors, off, or 1/N for one in N and all
	// errors.
	Access string `yaml:"access"`
}

// Default returns the configuration for keys that are not set.
func Default() *Config {
	return &Config{
		Listen: ":8080", Admin: admin.Default(), Upstreams: []Upstream{}, Discovery: []Discovery{}, Health: health.Default(), Tracing: tracing.Default(),
		Models:  Models{Identity: identity.Models{Aliases: map[string]string{}}, Prefill: prefill.Default()},
		Session: Session{Identity: identity.Default(), Pins: pins.Default(), Routing: session.Default(), Store: store.Default()},
		Proxy:   proxy.Default(), Log: Log{Level: "info", Format: "json", Access: "errors"},
	}
}
