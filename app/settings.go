package app

import (
	"tether/auth"
	"tether/config"
	"tether/proxy"
	"tether/session/identity"
	"tether/tlsfiles"
	"tether/upstream"
)

// settings is a valid configuration and what was opened for it. It is immutable: another configuration makes another
// settings. The contents of keys and certificates follow their files.
type settings struct {
	*config.Config
	secret     []byte // of session ids; empty for none
	token      []byte // of the admin listener; empty for none
	identifier *identity.Identifier
	keys       *auth.Keys // nil if clients need none

	specs        []upstream.Spec     // each https upstream with its TLS
	clientTLS    *tlsfiles.Reloading // nil if clients do not speak TLS
	certificates []certificate       // clientTLS and those of specs
}

// proxy returns the settings of the proxy.
func (s *settings) proxy() proxy.Settings {
	return proxy.Settings{Config: s.Proxy, Identifier: s.identifier, Keys: s.keys}
}

// open reads the files that cfg names. It changes nothing of a tether that runs.
func open(cfg *config.Config) (*settings, error) {
	s := &settings{Config: cfg, specs: cfg.Specs()}
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
	if s.keys, err = openKeys(cfg); err != nil {
		return nil, err
	}
	s.identifier, err = identity.NewIdentifier(&cfg.Session.Identity, &cfg.Models, s.secret)
	return s, err
}
