package app

import (
	"fmt"
	"net"
	"net/netip"

	"go.uber.org/zap"

	"tether/session"
)

// announce logs the warnings of the configuration, the maps, and the listeners: who may use each, and which key changes that.
func (a *app) announce() {
	s := a.settings.Load()
	for _, w := range s.Warnings {
		a.log.Warn("configuration", zap.String("warning", w))
	}
	warnOfDescriptors(a.log, s)
	a.log.Info("listening for clients", zap.Stringer("address", a.listener.Addr()), zap.String("tls", s.tlsForClients()),
		zap.String("open_to", s.openTo(a.listener.Addr())))
	a.log.Info("listening for operators", zap.Stringer("address", a.adminListener.Addr()), zap.String("open_to", s.adminOpenTo(a.admin.Open())))
	if n := s.upstreamsWithKey(); n > 0 && s.keys == nil {
		a.log.Info("API keys of upstreams are sent for clients without keys: every client that can connect here uses them", zap.Int("upstreams", n))
	}
	if len(s.secret) == 0 {
		a.log.Info("no session secret: whoever sees the hash of a guessable session id can find the id; session.secret_file prevents that")
	}
	a.log.Info("session map", zap.Int("pins", s.Session.Pins.Max), zap.Stringer("room", a.pins), zap.Duration("ttl", s.Session.Pins.TTL))
	a.log.Info("map of stored responses", zap.Int("responses", s.Session.Pins.Max), zap.Stringer("room", a.stored), zap.Duration("ttl", session.ResponsesTTL))
}

// adminOpenTo says who may use the admin listener; open tells whether it needs no token.
func (s *settings) adminOpenTo(open bool) string {
	switch {
	case open:
		return "loopback, without a token: admin.token_file closes it"
	case s.Admin.TokenFile == "":
		return "everyone for health and metrics, no one for the rest: admin.token_file opens it"
	}
	return "holders of the token"
}

// openTo says who may use the listener for clients at addr.
func (s *settings) openTo(addr net.Addr) string {
	if s.keys != nil {
		return fmt.Sprintf("holders of %d API keys", len(s.keys.Names()))
	}
	return reach(addr) + ", without API keys: auth.keys_file requires them"
}

// reach says who can connect to a listener on address a.
func reach(a net.Addr) string {
	if addr, err := netip.ParseAddrPort(a.String()); err == nil && addr.Addr().IsLoopback() {
		return "this host"
	}
	return "everyone who can connect"
}

// tlsForClients says whether clients speak TLS.
func (s *settings) tlsForClients() string {
	switch {
	case !s.TLS.On():
		return "off: tls.cert and tls.key turn it on"
	case s.TLS.ClientCA != "":
		return "on, for clients with a certificate of tls.client_ca"
	}
	return "on"
}

// upstreamsWithKey counts the upstreams to which tether sends an API key.
func (s *settings) upstreamsWithKey() (n int) {
	for _, u := range s.Upstreams {
		if u.APIKey != "" {
			n++
		}
	}
	return n
}
