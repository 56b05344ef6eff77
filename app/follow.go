package app

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"tether/files"
	"tether/metrics"
	"tether/tlsfiles"
)

// The intervals at which files are checked for changes.
const (
	keysEvery         = time.Second
	certificatesEvery = 5 * time.Second
)

// followed is the files whose contents change without a reload of the configuration: API keys and certificates.
type followed struct {
	settings *atomic.Pointer[settings] // those in force
	log      *zap.Logger
	metrics  *metrics.Metrics
}

// followKeys reloads the API keys in force when their file changes, until ctx ends.
func (f *followed) followKeys(ctx context.Context) error {
	return files.Follow(ctx, keysEvery, func() []files.Followed {
		keys := f.settings.Load().keys
		if keys == nil {
			return nil
		}
		return []files.Followed{{Follower: keys.Files(), OnChange: func(err error) { f.keysReloaded(keys.Names(), err) }}}
	})
}

// keysReloaded is called when the file of API keys changed. names are the keys in force; err is why the new contents
// cannot be used.
func (f *followed) keysReloaded(names []string, err error) {
	f.metrics.KeysReloaded(err == nil)
	if err != nil {
		f.log.Error("API keys not reloaded, the previous ones stay in force", zap.Int("keys", len(names)), zap.Error(err))
		return
	}
	f.metrics.Keys(names)
	f.log.Info("API keys reloaded", zap.Int("keys", len(names)))
}

// certificate is the TLS of the listener or of an upstream, with its name in logs and metrics.
type certificate struct {
	name string
	*tlsfiles.Reloading
}

// followCertificates reloads the certificates in force when their files change, until ctx ends.
func (f *followed) followCertificates(ctx context.Context) error {
	return files.Follow(ctx, certificatesEvery, func() (all []files.Followed) {
		for _, c := range f.settings.Load().certificates {
			all = append(all, files.Followed{Follower: c.Files(), OnChange: func(err error) { f.certificateReloaded(c, err) }})
		}
		return all
	})
}

// show brings the keys and certificates of s into the metrics, and warns of certificates that expire soon.
func (f *followed) show(s *settings) {
	var names []string
	if s.keys != nil {
		names = s.keys.Names()
	}
	f.metrics.Keys(names)
	var shown []metrics.Certificate
	for _, c := range s.certificates {
		shown = append(shown, metrics.Certificate{Of: c.name, Expires: c.Expires})
		c.warnOfExpiry(f.log)
	}
	f.metrics.Certificates(shown)
}

// certificateReloaded is called when the files of a certificate changed; err is why they cannot be used.
func (f *followed) certificateReloaded(c certificate, err error) {
	f.metrics.CertificateReloaded(err == nil)
	if err != nil {
		f.log.Error("certificate not reloaded, the previous one stays in force", zap.String("of", c.name), zap.Error(err))
		return
	}
	f.log.Info("certificate reloaded", zap.String("of", c.name), zap.Time("expires", c.Expires()))
	c.warnOfExpiry(f.log)
}

// expiresSoon is how long before its expiry the log warns of a certificate.
const expiresSoon = 7 * 24 * time.Hour

func (c certificate) warnOfExpiry(log *zap.Logger) {
	if at := c.Expires(); !at.IsZero() && time.Until(at) < expiresSoon {
		log.Warn("certificate expires soon, or has expired", zap.String("of", c.name), zap.Time("expires", at))
	}
}
