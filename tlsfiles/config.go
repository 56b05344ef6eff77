// Package tlsfiles makes TLS configurations from files, and makes them again when the files change, so that
// certificates are renewed without a restart. Package app gives them to the listener and to the upstreams;
// this package does not know who listens or dials with them.
//
// The rules of pems.go are tested by config_test.go.
package tlsfiles

import "fmt"

// Listener is the TLS part of a listener's configuration. Without Cert and Key the listener does not speak TLS.
type Listener struct {
	// Cert is a PEM file with the certificate, followed by the intermediate ones. Key is a PEM file with its key.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// ClientCA is a PEM file with authorities: clients must show a certificate of one of them. If empty, clients need
	// no certificate.
	ClientCA string `yaml:"client_ca"`
}

// On reports whether clients are to speak TLS.
func (l *Listener) On() bool { return l.Cert != "" }

// Validate reports every problem: a key below tls, and what is wrong with its value.
func (l *Listener) Validate(report func(key, problem string)) {
	pair(l.Cert, l.Key, report)
	if l.ClientCA != "" && l.Cert == "" {
		report("client_ca", fmt.Sprintf("%q, and there is no TLS without cert and key", l.ClientCA))
	}
	if !l.On() || l.Key == "" {
		return
	}
	p := pems{cert: l.Cert, key: l.Key, ca: l.ClientCA}
	p.validate("client_ca", report)
}

// Upstream is the TLS part of an https upstream's configuration.
type Upstream struct {
	// CA is a PEM file with authorities: the server's certificate must come from one of them. If empty, the system's
	// authorities count.
	CA string `yaml:"ca,omitempty"`
	// ServerName is the name that the server's certificate must have. If empty, that is the URL's host.
	ServerName string `yaml:"server_name,omitempty"`
	// Cert and Key are PEM files with a client certificate, which is shown to a server that asks. They may be empty.
	Cert string `yaml:"cert,omitempty"`
	Key  string `yaml:"key,omitempty"`
}

// Validate reports every problem: a key below tls, and what is wrong with its value.
func (u *Upstream) Validate(report func(key, problem string)) {
	pair(u.Cert, u.Key, report)
	p := pems{cert: u.Cert, key: u.Key, ca: u.CA}
	p.validate("ca", report)
}

func pair(cert, key string, report func(key, problem string)) {
	switch {
	case cert == "" && key != "":
		report("key", fmt.Sprintf("%q, want cert as well: a key alone is no use", key))
	case cert != "" && key == "":
		report("cert", fmt.Sprintf("%q, want key as well: a certificate alone is no use", cert))
	}
}
