package main

import (
	"context"
	"fmt"
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
func (t *tether) loadCertificates() error {
	t.certificates = map[string]*tlsfiles.Kept{}
	if t.cfg.TLS.On() {
		kept, err := tlsfiles.ForListener(&t.cfg.TLS)
		if err != nil {
			return usageError{fmt.Errorf("tls: %w", err)}
		}
		t.certificates[listenerCertificate] = kept
	}
	for i, s := range t.cfg.Specs() {
		if !s.Address.Secure {
			continue
		}
		host, _, _ := net.SplitHostPort(s.Address.Dial) // a valid address has both
		kept, err := tlsfiles.ForUpstream(&t.cfg.Upstreams[i].TLS, host)
		if err != nil {
			return usageError{fmt.Errorf("upstreams[%d].tls: %w", i, err)}
		}
		t.certificates[upstreamCertificate+s.Name] = kept
	}
	return nil
}

// specs are the upstreams with what they need to be spoken to.
func (t *tether) specs() []upstream.Spec {
	specs := t.cfg.Specs()
	for i := range specs {
		if kept := t.certificates[upstreamCertificate+specs[i].Name]; kept != nil {
			specs[i].TLS = kept
		}
	}
	return specs
}

// keepCertificates starts what reloads certificates, where there are any.
func (t *tether) keepCertificates() {
	if len(t.certificates) == 0 {
		return
	}
	names := map[*tlsfiles.Kept]string{}
	for name, k := range t.certificates {
		names[k] = name
		if !k.Expires().IsZero() {
			t.metrics.Certificate(name, k.Expires)
		}
		t.warnOfExpiry(name, k)
	}
	t.steps.start("certificates", func(ctx context.Context) error {
		return tlsfiles.Run(ctx, slices.Collect(maps.Values(t.certificates)), tlsfiles.Every, func(k *tlsfiles.Kept, err error) {
			t.reloaded(names[k], k, err)
		})
	})
}

// reloaded hears of certificates whose files changed.
func (t *tether) reloaded(name string, k *tlsfiles.Kept, err error) {
	t.metrics.CertificateReloaded(err == nil)
	if err != nil {
		t.log.Error("certificate not reloaded, the one before stays in force", zap.String("of", name), zap.Error(err))
		return
	}
	t.log.Info("certificate reloaded", zap.String("of", name), zap.Time("expires", k.Expires()))
	t.warnOfExpiry(name, k)
}

// expiresSoon is when the log warns of a certificate.
const expiresSoon = 7 * 24 * time.Hour

func (t *tether) warnOfExpiry(name string, k *tlsfiles.Kept) {
	if at := k.Expires(); !at.IsZero() && time.Until(at) < expiresSoon {
		t.log.Warn("certificate expires soon, or has", zap.String("of", name), zap.Time("expires", at))
	}
}
