package tlsfiles

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"sync/atomic"
	"time"

	"tether/files"
)

// Kept is a TLS configuration that follows its files. It may be used by everybody.
type Kept struct {
	files   set
	build   func(*material) *tls.Config
	current atomic.Pointer[version]
	changes files.Changes // Run's alone
}

// version is a configuration and what it was made of.
type version struct {
	config  *tls.Config
	expires time.Time
}

// ForListener keeps the configuration of a listener: TLS 1.2 or newer, HTTP/1.1.
func ForListener(l *Listener) (*Kept, error) {
	return keep(set{cert: l.Cert, key: l.Key, ca: l.ClientCA}, func(m *material) *tls.Config {
		c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: m.certificates, NextProtos: []string{"http/1.1"}}
		if m.authorities != nil {
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, m.authorities
		}
		return c
	})
}

// ForUpstream keeps the configuration of connections to an upstream whose URL has that host.
func ForUpstream(u *Upstream, host string) (*Kept, error) {
	name := u.ServerName
	if name == "" {
		name = host
	}
	return keep(set{cert: u.Cert, key: u.Key, ca: u.CA}, func(m *material) *tls.Config {
		return &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: m.certificates, RootCAs: m.authorities, ServerName: name,
			NextProtos: []string{"http/1.1"}, ClientSessionCache: tls.NewLRUClientSessionCache(sessions),
		}
	})
}

// sessions is how many TLS sessions with one upstream are remembered, to resume them: connections are made one at a time.
const sessions = 8

func keep(f set, build func(*material) *tls.Config) (*Kept, error) {
	k := &Kept{files: f, build: build}
	m, err := f.load()
	if err != nil {
		return nil, err
	}
	k.changes.Judge(m.look)
	k.use(&m)
	return k, nil
}

func (k *Kept) use(m *material) {
	v := version{config: k.build(m)}
	if len(m.certificates) > 0 {
		v.expires = expiry(&m.certificates[0])
	}
	k.current.Store(&v)
}

// expiry is when the first certificate of a chain is no longer valid, the zero time if that is unknown.
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

// Config is the configuration now. It must not be changed.
func (k *Kept) Config() *tls.Config { return k.current.Load().config }

// Expires is when the certificate is no longer valid, the zero time where there is none.
func (k *Kept) Expires() time.Time { return k.current.Load().expires }

// ForServer is a configuration for a listener that asks Config for each connection.
func (k *Kept) ForServer() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return k.Config(), nil },
	}
}

// refresh looks at the files, and reports whether there is something new in them. With an error the configuration stays what
// it was.
func (k *Kept) refresh() (changed bool, err error) {
	m, err := k.files.load()
	if !k.changes.New(m.look) {
		return false, nil // as before, good or bad
	}
	if err == nil {
		k.use(&m)
	}
	return true, err
}

// Every is how often Run looks at the files.
const Every = 5 * time.Second

// Run keeps the configurations of all as their files are, until ctx ends. told is told of each that changed, and of each
// whose files cannot be used any more: then what it had stays in force, and the error says why. Every error is told once.
func Run(ctx context.Context, all []*Kept, every time.Duration, told func(k *Kept, err error)) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			for _, k := range all {
				if changed, err := k.refresh(); changed {
					told(k, err)
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}
