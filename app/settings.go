package app

import (
	"crypto/tls"
	"net"

	"tether/auth"
	"tether/config"
	"tether/proxy"
	"tether/session/identity"
	"tether/tlsfiles"
	"tether/upstream"
	"tether/wire"
)

// settings is a valid configuration and what was opened for it. It is immutable: another configuration makes another
// settings. The contents of keys and certificates follow their files.
type settings struct {
	*config.Config
	secret     []byte // of session ids; empty for none
	token      []byte // of the admin listener; empty for none
	identifier *identity.Identifier
	keys       *auth.Keys // nil if clients need none
	// connections is proxy.max_connections, or what the descriptors of the process allow if that is less.
	connections int

	specs        []upstream.Spec     // each https upstream with its TLS
	clientTLS    *tlsfiles.Reloading // nil if clients do not speak TLS
	certificates []certificate       // clientTLS and those of specs
}

// open reads the files that cfg names. It changes nothing of a tether that runs.
func open(cfg *config.Config) (*settings, error) {
	s := &settings{Config: cfg, specs: cfg.Specs()}
	s.limitConnections()
	var err error
	if s.secret, err = config.ReadSecret(cfg.Session.Identity.SecretFile); err != nil {
		return nil, usageError("session.secret_file: %w", err)
	}
	if s.token, err = config.ReadSecret(cfg.Admin.TokenFile); err != nil {
		return nil, usageError("admin.token_file: %w", err)
	}
	if err = s.openCertificates(); err != nil {
		return nil, err
	}
	if cfg.Auth.KeysFile != "" {
		if s.keys, err = auth.Open(cfg.Auth.KeysFile); err != nil {
			return nil, usageError("auth.keys_file: %w", err)
		}
	}
	s.identifier, err = identity.NewIdentifier(&cfg.Session.Identity, &cfg.Models.Identity, s.secret)
	return s, err
}

// withUpstreams returns the settings with other upstreams.
func (s *settings) withUpstreams(specs []upstream.Spec) *settings {
	other := *s
	other.specs = specs
	other.limitConnections()
	return &other
}

func (s *settings) limitConnections() {
	s.connections = s.Proxy.ConnectionsWithin(wire.DescriptorLimit(), len(s.specs))
}

// openCertificates opens the TLS of the listener, and gives each https upstream its TLS.
func (s *settings) openCertificates() (err error) {
	if s.TLS.On() {
		if s.clientTLS, err = tlsfiles.ForListener(&s.TLS); err != nil {
			return usageError("tls: %w", err)
		}
		s.certificates = append(s.certificates, certificate{"listener", s.clientTLS})
	}
	for i := range s.specs {
		spec := &s.specs[i]
		if !spec.Address.Secure {
			continue
		}
		host, _, _ := net.SplitHostPort(spec.Address.Dial) // a valid address has both
		secure, err := tlsfiles.ForUpstream(&s.Upstreams[i].TLS, host)
		if err != nil {
			return usageError("upstreams[%d].tls: %w", i, err)
		}
		spec.TLS = secure
		s.certificates = append(s.certificates, certificate{"upstream " + spec.Name, secure})
	}
	return nil
}

// tlsOfListener returns the TLS that clients must speak, nil for none.
func (s *settings) tlsOfListener() *tls.Config {
	if s.clientTLS == nil {
		return nil
	}
	return s.clientTLS.ForServer()
}

// proxy returns the settings of the proxy.
func (s *settings) proxy() proxy.Settings {
	cfg := s.Proxy
	cfg.MaxConnections = s.connections
	return proxy.Settings{Config: cfg, Identifier: s.identifier, Keys: s.keys}
}
