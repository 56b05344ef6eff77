package app

import (
	"context"
	"net"
	"time"

	"go.uber.org/zap"

	"tether/files"
	"tether/tlsfiles"
)

// certificate is the TLS of the listener or of an upstream, with its name in logs and metrics.
type certificate struct {
	name string
	*tlsfiles.Reloading
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
		tls, err := tlsfiles.ForUpstream(&s.Upstreams[i].TLS, host)
		if err != nil {
			return usageError("upstreams[%d].tls: %w", i, err)
		}
		spec.TLS = tls
		s.certificates = append(s.certificates, certificate{"upstream " + spec.Name, tls})
	}
	return nil
}

// certificatesEvery is how often the files of certificates are looked at.
const certificatesEvery = 5 * time.Second

// followCertificates starts the reloading of certificates, if there are any.
func (a *app) followCertificates() {
	certificates := a.settings.Load().certificates
	if len(certificates) == 0 {
		return
	}
	var all []*files.Follower
	for _, c := range certificates {
		all = append(all, c.Files())
		if !c.Expires().IsZero() {
			a.metrics.Certificate(c.name, c.Expires)
		}
		a.warnOfExpiry(c)
	}
	a.steps.start("certificates", func(ctx context.Context) error {
		return files.Follow(ctx, certificatesEvery, all, func(i int, err error) { a.certificateReloaded(certificates[i], err) })
	})
}

// certificateReloaded is called when the files of a certificate changed; err is why they cannot be used.
func (a *app) certificateReloaded(c certificate, err error) {
	a.metrics.CertificateReloaded(err == nil)
	if err != nil {
		a.log.Error("certificate not reloaded, the previous one stays in force", zap.String("of", c.name), zap.Error(err))
		return
	}
	a.log.Info("certificate reloaded", zap.String("of", c.name), zap.Time("expires", c.Expires()))
	a.warnOfExpiry(c)
}

// expiresSoon is how long before its expiry the log warns of a certificate.
const expiresSoon = 7 * 24 * time.Hour

func (a *app) warnOfExpiry(c certificate) {
	if at := c.Expires(); !at.IsZero() && time.Until(at) < expiresSoon {
		a.log.Warn("certificate expires soon, or has expired", zap.String("of", c.name), zap.Time("expires", at))
	}
}
