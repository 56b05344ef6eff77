package app

import (
	"fmt"
	"net"
	"net/netip"

	"go.uber.org/zap"

	"tether/session"
)

// announce says what listens where, what is open to whom and what closes it, and what was built.
func (a *app) announce() {
	a.log.Info("listening for clients", zap.Stringer("address", a.listener.Addr()), zap.String("tls", a.clientsTLS()),
		zap.String("open_to", a.openTo()))
	open := "loopback, without a token: admin.token_file closes it"
	switch {
	case !a.admin.Open() && a.settings.Admin.TokenFile == "":
		open = "nobody but for health and metrics: admin.token_file opens it"
	case !a.admin.Open():
		open = "holders of the token"
	}
	a.log.Info("listening for operators", zap.Stringer("address", a.adminListener.Addr()), zap.String("open_to", open))
	if n := a.keyed(); n > 0 && a.settings.keys == nil {
		a.log.Info("upstreams' keys are sent for clients that have none: they keep nobody out who can connect here", zap.Int("upstreams", n))
	}
	if len(a.settings.secret) == 0 {
		a.log.Info("no session secret: hashes of guessable session ids can be guessed too; session.secret_file closes that")
	}
	a.log.Info("session map", zap.Int("pins", a.settings.Session.Pins.Max), zap.Stringer("room", a.pins), zap.Duration("ttl", a.settings.Session.Pins.TTL))
	a.log.Info("map of stored responses", zap.Int("responses", a.settings.Session.Pins.Max), zap.Stringer("room", a.stored), zap.Duration("ttl", session.ResponsesTTL))
	a.log.Info("ring", zap.Int("upstreams", len(a.registry.Table().Members)), zap.String("digest", fmt.Sprintf("%016x", a.router.Digest())),
		zap.Bool("affinity", a.settings.Session.Routing.Affinity))
}

// keyed counts the upstreams that get a key from tether.
func (a *app) keyed() (n int) {
	for _, u := range a.settings.Upstreams {
		if u.APIKey != "" {
			n++
		}
	}
	return n
}

// clientsTLS says whether clients speak TLS.
func (a *app) clientsTLS() string {
	switch {
	case !a.settings.TLS.On():
		return "off: tls.cert and tls.key turn it on"
	case a.settings.TLS.ClientCA != "":
		return "on, for clients with a certificate of tls.client_ca"
	}
	return "on"
}

func reach(a net.Addr) string {
	if addr, err := netip.ParseAddrPort(a.String()); err == nil && addr.Addr().IsLoopback() {
		return "this host"
	}
	return "everybody who can connect"
}
