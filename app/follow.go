package app

import (
	"context"
	"time"

	"go.uber.org/zap"

	"tether/auth"
	"tether/files"
	"tether/tlsfiles"
)

// The intervals at which files are checked for changes.
const (
	keysEvery         = time.Second
	certificatesEvery = 5 * time.Second
)

// followKeys starts the reloading of API keys, if clients need one.
func (a *app) followKeys(keys *auth.Keys) {
	if keys == nil {
		return
	}
	a.metrics.Keys(keys.Names())
	a.steps.start("API keys", func(ctx context.Context) error {
		return files.Follow(ctx, keysEvery, []*files.Follower{keys.Files()}, func(_ int, err error) { a.keysReloaded(keys.Names(), err) })
	})
}

// keysReloaded is called when the file of API keys changed. names are the keys in force; err is why the new contents
// cannot be used.
func (a *app) keysReloaded(names []string, err error) {
	a.metrics.KeysReloaded(err == nil)
	if err != nil {
		a.log.Error("API keys not reloaded, the previous ones stay in force", zap.Int("keys", len(names)), zap.Error(err))
		return
	}
	a.metrics.Keys(names)
	a.log.Info("API keys reloaded", zap.Int("keys", len(names)))
}

// certificate is the TLS of the listener or of an upstream, with its name in logs and metrics.
type certificate struct {
	name string
	*tlsfiles.Reloading
}

// followCertificates starts the reloading of certificates, if there are any.
func (a *app) followCertificates(certificates []certificate) {
	if len(certificates) == 0 {
		return
	}
	var all []*files.Follower
	for _, c := range certificates {
		all = append(all, c.Files())
		if !c.Expires().IsZero() {
			a.metrics.Certificate(c.name, c.Expires)
		}
		c.warnOfExpiry(a.log)
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
	c.warnOfExpiry(a.log)
}

// expiresSoon is how long before its expiry the log warns of a certificate.
const expiresSoon = 7 * 24 * time.Hour

func (c certificate) warnOfExpiry(log *zap.Logger) {
	if at := c.Expires(); !at.IsZero() && time.Until(at) < expiresSoon {
		log.Warn("certificate expires soon, or has expired", zap.String("of", c.name), zap.Time("expires", at))
	}
}
