package app

import (
	"crypto/tls"
	"net"

	"tether/auth"
	"tether/config"
	"tether/proxy"
	"tether/session/identity"
	"tether/session/store"
	"tether/tlsfiles"
	"tether/upstream"
)

// settings is a valid configuration and what was opened for it. It is immutable: another configuration makes another
// settings. The contents of keys and certificates follow their files.
type settings struct {
	*config.Config
	secret        []byte // of session ids; empty for none
	storePassword string // of session.store; "" for none, or if the URL has it
	sentinels     string // the password of session.store's sentinels, "" for none
	token         []byte // of the admin listener; empty for none
	identifier    *identity.Identifier
	keys          *auth.Keys // nil if clients need none
	// connections is proxy.max_connections, or what the descriptors of the process allow if that is less.
	connections int
	descriptors int // the limit of the process when s was made

	upstreams    []config.Upstream   // those of the configuration, and those that its sources have found
	specs        []upstream.Spec     // of upstreams, each https upstream with its TLS
	clientTLS    *tlsfiles.Reloading // nil if clients do not speak TLS
	storeTLS     *tlsfiles.Reloading // nil if the store does not speak TLS
	certificates []certificate       // clientTLS and those of specs
}

// open reads the files that cfg names. It changes nothing of a tether that runs.
func open(cfg *config.Config) (*settings, error) {
	s := &settings{Config: cfg, upstreams: cfg.Upstreams, specs: cfg.Specs()}
	limitConnections(s)
	var err error
	if s.secret, err = config.ReadSecret(cfg.Session.Identity.SecretFile); err != nil {
		return nil, usageError("session.secret_file: %w", err)
	}
	if s.token, err = config.ReadSecret(cfg.Admin.TokenFile); err != nil {
		return nil, usageError("admin.token_file: %w", err)
	}
	password, err := config.ReadSecret(cfg.Session.Store.PasswordFile)
	if err != nil {
		return nil, usageError("session.store.password_file: %w", err)
	}
	s.storePassword = string(password)
	if password, err = config.ReadSecret(cfg.Session.Store.SentinelPasswordFile); err != nil {
		return nil, usageError("session.store.sentinel_password_file: %w", err)
	}
	s.sentinels = string(password)
	if err = s.openCertificates(nil); err != nil {
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

// withUpstreams returns the settings with other upstreams. The certificates of upstreams that stay are not opened again.
func (s *settings) withUpstreams(all []config.Upstream) (*settings, error) {
	other := *s
	other.upstreams, other.specs, other.certificates = all, s.SpecsOf(all), nil
	limitConnections(&other)
	return &other, other.openCertificates(s)
}

// openCertificates opens the TLS of the listener, and gives each https upstream its TLS. It takes what before has open already; nil for
// nothing.
func (s *settings) openCertificates(before *settings) (err error) {
	if s.TLS.On() {
		if before != nil {
			s.clientTLS = before.clientTLS
		} else if s.clientTLS, err = tlsfiles.ForListener(&s.TLS); err != nil {
			return usageError("tls: %w", err)
		}
		s.certificates = append(s.certificates, certificate{"listener", s.clientTLS})
	}
	if address, _ := store.ParseURL(string(s.Session.Store.URL)); address.Secure {
		if before != nil {
			s.storeTLS = before.storeTLS
		} else if s.storeTLS, err = tlsfiles.ForUpstream(&s.Session.Store.TLS, ""); err != nil {
			return usageError("session.store.tls: %w", err)
		}
		s.certificates = append(s.certificates, certificate{"session store", s.storeTLS})
	}
	for i := range s.specs {
		spec := &s.specs[i]
		if !spec.Address.Secure {
			continue
		}
		secure, err := s.tlsOfUpstream(i, before)
		if err != nil {
			return usageError("upstreams[%d].tls: %w", i, err)
		}
		spec.TLS = secure
		s.certificates = append(s.certificates, certificate{"upstream " + spec.Name, secure})
	}
	return nil
}

// tlsOfUpstream returns the TLS of an upstream: that of before, if it has the same upstream.
func (s *settings) tlsOfUpstream(i int, before *settings) (*tlsfiles.Reloading, error) {
	address := s.specs[i].Address
	if before != nil {
		for k := range before.specs {
			if old := &before.specs[k]; old.Name == s.specs[i].Name && old.Address == address && before.upstreams[k].TLS == s.upstreams[i].TLS {
				return old.TLS.(*tlsfiles.Reloading), nil // openCertificates set it
			}
		}
	}
	host, _, _ := net.SplitHostPort(address.Dial) // a valid address has both
	return tlsfiles.ForUpstream(&s.upstreams[i].TLS, host)
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
	return proxy.Settings{Config: cfg, Identifier: s.identifier, Keys: s.keys, Final: s.Session.Identity.FinalHeaders}
}
