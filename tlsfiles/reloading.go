package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"sync/atomic"
	"time"

	"tether/files"
)

// Reloading is a TLS configuration that is made again when its files change. Config, Expires and ForServer may be called
// from any goroutine.
type Reloading struct {
	build    func(*material) *tls.Config
	current  atomic.Pointer[version] // written when the files were read
	follower *files.Follower
}

// version is what one content of the files makes. It is immutable.
type version struct {
	config  *tls.Config
	expires time.Time
}

// suites are those of TLS 1.2 with authenticated encryption and forward secrecy. TLS 1.3 has no others.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// ForListener returns the configuration of a listener: TLS 1.2 or newer, HTTP/1.1 or HTTP/1.0.
func ForListener(l *Listener) (*Reloading, error) {
	return open(pems{cert: l.Cert, key: l.Key, ca: l.ClientCA}, func(m *material) *tls.Config {
		c := &tls.Config{
			MinVersion: tls.VersionTLS12, CipherSuites: suites, Certificates: m.certificates,
			NextProtos: []string{"http/1.1", "http/1.0"},
		}
		if m.authorities != nil {
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, m.authorities
		}
		return c
	})
}

// ForUpstream returns the configuration of connections to an upstream; host is the host of the upstream's URL.
func ForUpstream(u *Upstream, host string) (*Reloading, error) {
	name := u.ServerName
	if name == "" {
		name = host
	}
	return open(pems{cert: u.Cert, key: u.Key, ca: u.CA}, func(m *material) *tls.Config {
		return &tls.Config{
			MinVersion: tls.VersionTLS12, CipherSuites: suites, Certificates: m.certificates, RootCAs: m.authorities,
			ServerName: name, NextProtos: []string{"http/1.1"}, ClientSessionCache: tls.NewLRUClientSessionCache(maxSessions),
		}
	})
}

// maxSessions is how many TLS sessions with one upstream are kept for resumption. A few are enough, since connections
// are made one at a time.
const maxSessions = 8

func open(p pems, build func(*material) *tls.Config) (*Reloading, error) {
	r := &Reloading{build: build}
	var err error
	r.follower, err = files.NewFollower(p.set(), func(contents [][]byte) error {
		m, err := p.parse(contents)
		if err == nil {
			r.use(&m)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Reloading) use(m *material) {
	v := version{config: r.build(m)}
	if len(m.certificates) > 0 {
		v.expires = expiry(&m.certificates[0])
	}
	r.current.Store(&v)
}

// expiry returns when the first certificate of a chain expires, the zero time if that is unknown.
func expiry(c *tls.Certificate) time.Time {
	leaf := c.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return time.Time{}
		}
	}
	return leaf.NotAfter
}

// Config returns the configuration in force. It must not be changed.
func (r *Reloading) Config() *tls.Config { return r.current.Load().config }

// Expires returns when the certificate in force expires, the zero time if there is no certificate.
func (r *Reloading) Expires() time.Time { return r.current.Load().expires }

// Files returns the follower of the files, for files.Follow.
func (r *Reloading) Files() *files.Follower { return r.follower }

// ForServer returns a configuration for a listener that takes the one in force for each connection.
func (r *Reloading) ForServer() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return r.Config(), nil },
	}
}
