// Package tlsfiles makes TLS configurations of files, and makes them anew when the files change, so that certificates
// are renewed without a restart. It knows nothing of who listens or dials with them.
//
// Goroutines: Run, started and awaited by the caller.
package tlsfiles

import "fmt"

// Listener is the TLS part of a listener's configuration. Without Cert and Key clients speak no TLS.
type Listener struct {
	// Cert and Key are PEM files with the certificate, followed by the intermediate ones, and its key.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// ClientCA is a PEM file with the authorities whose certificates clients must show. "" asks for none.
	ClientCA string `yaml:"client_ca"`
}

// On reports whether clients are to speak TLS.
func (l *Listener) On() bool { return l.Cert != "" }

// Validate reports every problem: the key below tls, and what is wrong with it.
func (l *Listener) Validate(report func(key, problem string)) {
	pair(l.Cert, l.Key, report)
	if l.ClientCA != "" && l.Cert == "" {
		report("client_ca", fmt.Sprintf("%q, and there is no TLS without cert and key", l.ClientCA))
	}
	if !l.On() || l.Key == "" {
		return
	}
	files := set{cert: l.Cert, key: l.Key, ca: l.ClientCA}
	files.validate("client_ca", report)
}

// Upstream is the TLS part of an https upstream's configuration.
type Upstream struct {
	// CA is a PEM file with the authorities that the server's certificate must come from. "" is the system's.
	CA string `yaml:"ca,omitempty"`
	// ServerName is the name that the certificate must have. "" is the URL's host.
	ServerName string `yaml:"server_name,omitempty"`
	// Cert and Key are PEM files with a client's certificate to show, if the server asks. "" is none.
	Cert string `yaml:"cert,omitempty"`
	Key  string `yaml:"key,omitempty"`
}

// Validate reports every problem: the key below tls, and what is wrong with it.
func (u *Upstream) Validate(report func(key, problem string)) {
	pair(u.Cert, u.Key, report)
	files := set{cert: u.Cert, key: u.Key, ca: u.CA}
	files.validate("ca", report)
}

func pair(cert, key string, report func(key, problem string)) {
	switch {
	case cert == "" && key != "":
		report("key", fmt.Sprintf("%q, want cert as well: a key alone is no use", key))
	case cert != "" && key == "":
		report("cert", fmt.Sprintf("%q, want key as well: a certificate alone is no use", cert))
	}
}
