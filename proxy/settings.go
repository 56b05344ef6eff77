package proxy

import (
	"net/netip"

	"tether/auth"
	"tether/session/identity"
)

// Settings are what may change while the proxy runs. They are replaced as a whole, by Proxy.Use.
type Settings struct {
	// Config is valid.
	Config Config
	// Identifier finds the sessions of requests.
	Identifier *identity.Identifier
	// Keys are the API keys: a client needs one of them. If nil, clients need no key.
	Keys *auth.Keys
	// Final are the header fields that end a conversation when they are true.
	Final []string
}

// settings is one immutable snapshot of Settings and of what follows from them. A request loads it once, when it begins; a
// connection loads it for each head.
type settings struct {
	Config
	identifier *identity.Identifier
	keys       *auth.Keys
	finals     []string // Settings.Final, folded
	exposed    exposed
	cors       *cors // nil for none
	trusted    []netip.Prefix
	bodies     bodyLimits
	parser     *parser
}

// Use replaces the settings. Requests that have begun keep theirs to their end. A connection that is open takes no larger heads than
// before: its parser has its buffer already. ClientWriteTimeout belongs to the listener, not to the proxy.
func (p *Proxy) Use(s Settings) error {
	n := &settings{Config: s.Config, identifier: s.Identifier, keys: s.Keys, finals: foldNames(s.Final), cors: newCORS(s.Config.CORSOrigins)}
	var err error
	if n.exposed, err = parseEach(s.Config.Expose, parseExposed); err != nil {
		return err
	}
	if n.trusted, err = parseEach(s.Config.TrustedProxies, parsePrefix); err != nil {
		return err
	}
	n.bodies = newBodyLimits(n.MaxBodyTotal.Of(p.memoryLimit), int64(n.MaxBody))
	n.parser = newParser(int(n.MaxHeader))
	p.settings.Store(n)
	return nil
}

func parseEach[T any](list []string, parse func(string) (T, error)) (all []T, err error) {
	for _, s := range list {
		one, err := parse(s)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}
