package app

import (
	"context"
	"maps"
	"net"
	"slices"
	"time"

	"go.uber.org/zap"

	"tether/tlsfiles"
	"tether/upstream"
)

// Names of certificates, by what they are for.
const (
	listenerCertificate = "listener"
	upstreamCertificate = "upstream " // and its name
)

// loadCertificates makes the TLS configurations of the listener and of upstreams.
func (a *app) loadCertificates() error {
	a.certificates = map[string]*tlsfiles.Kept{}
	if a.cfg.TLS.On() {
		kept, err := tlsfiles.ForListener(&a.cfg.TLS)
		if err != nil {
			return usageError("tls: %w", err)
		}
		a.certificates[listenerCertificate] = kept
	}
	for i, s := range a.cfg.Specs() {
		if !s.Address.Secure {
			continue
		}
		host, _, _ := net.SplitHostPort(s.Address.Dial) // a valid address has both
		kept, err := tlsfiles.ForUpstream(&a.cfg.Upstreams[i].TLS, host)
		if err != nil {
			return usageError("upstreams[%d].tls: %w", i, err)
		}
		a.certificates[upstreamCertificate+s.Name] = kept
	}
	return nil
}

// specs are the upstreams with what they need to be spoken to.
func (a *app) specs() []upstream.Spec {
	specs := a.cfg.Specs()
	for i := range specs {
		if kept := a.certificates[upstreamCertificate+specs[i].Name]; kept != nil {
			specs[i].TLS = kept
		}
	}
	return specs
}

// keepCertificates starts what reloads certificates, where there are any.
func (a *app) keepCertificates() {
	if len(a.certificates) == 0 {
		return
	}
	names := map[*tlsfiles.Kept]string{}
	for name, k := range a.certificates {
		names[k] = name
		if !k.Expires().IsZero() {
			a.metrics.Certificate(name, k.Expires)
		}
		a.warnOfExpiry(name, k)
	}
	a.steps.start("certificates", func(ctx context.Context) error {
		return tlsfiles.Run(ctx, slices.Collect(maps.Values(a.certificates)), tlsfiles.Every, func(k *tlsfiles.Kept, err error) {
			a.reloaded(names[k], k, err)
		})
	})
}

// reloaded hears of certificates whose files changed.
func (a *app) reloaded(name string, k *tlsfiles.Kept, err error) {
	a.metrics.CertificateReloaded(err == nil)
	if err != nil {
		a.log.Error("certificate not reloaded, the one before stays in force", zap.String("of", name), zap.Error(err))
		return
	}
	a.log.Info("certificate reloaded", zap.String("of", name), zap.Time("expires", k.Expires()))
	a.warnOfExpiry(name, k)
}

// expiresSoon is when the log warns of a certificate.
const expiresSoon = 7 * 24 * time.Hour

func (a *app) warnOfExpiry(name string, k *tlsfiles.Kept) {
	if at := k.Expires(); !at.IsZero() && time.Until(at) < expiresSoon {
		a.log.Warn("certificate expires soon, or has", zap.String("of", name), zap.Time("expires", at))
	}
}
