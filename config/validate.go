package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"tether/accesslog"
	"tether/auth"
	"tether/session/identity"
)

func (l *loader) validate(memory int64) {
	c := l.cfg
	below := func(parent string) func(key, problem string) {
		return func(key, problem string) { l.problem(join(parent, key), problem) }
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		l.problem("listen", fmt.Sprintf("%q, want HOST:PORT or :PORT", c.Listen))
	}
	l.port("listen", c.Listen)
	c.TLS.Validate(below("tls"))
	c.Admin.Validate(below("admin"))
	l.port("admin.listen", c.Admin.Listen)
	if c.Listen == c.Admin.Listen && !strings.HasSuffix(c.Listen, ":0") {
		l.problem("admin.listen", fmt.Sprintf("%q is where clients are served, want another", c.Admin.Listen))
	}
	l.readable("admin.token_file", c.Admin.TokenFile)
	l.keys()
	l.upstreams()
	l.discovery()
	c.Models.Validate(below("models"))
	l.modelNames()
	c.Session.Validate(below("session"))
	l.readable("session.secret_file", c.Session.Identity.SecretFile)
	l.readable("session.store.password_file", c.Session.Store.PasswordFile)
	l.readable("session.store.sentinel_password_file", c.Session.Store.SentinelPasswordFile)
	c.Health.Validate(below("health"))
	c.Tracing.Validate(below("tracing"))
	c.Proxy.Validate(memory, below("proxy"))
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		l.problem("log.level", fmt.Sprintf("%q, want debug, info, warn or error", c.Log.Level))
	}
	if _, ok := accesslog.ParseMode(c.Log.Access); !ok {
		l.problem("log.access", fmt.Sprintf("%q, want all, errors, off or 1/N", c.Log.Access))
	}
	if c.Log.Format != "json" && c.Log.Format != "console" {
		l.problem("log.format", fmt.Sprintf("%q, want json or console", c.Log.Format))
	}
}

// problem adds a problem with the value at path. Its place is where the value, or else the closest value above it, was
// set. An unreadable value has a problem already, and gets no second one.
func (l *loader) problem(path, text string) {
	for at := path; at != ""; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
		if l.broken[at] {
			return
		}
		if place, ok := l.places[at]; ok {
			l.problems.add(place, path+": "+text)
			return
		}
	}
	l.problems.add(place{}, path+": "+text)
}

// port checks that the port is a number: a listener would look a word up as the name of a service.
func (l *loader) port(path, address string) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return // the address has a problem already
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		l.problem(path, fmt.Sprintf("%q has the port %q, want 0..65535", address, port))
	}
}

func (l *loader) readable(path, file string) {
	if _, err := ReadSecret(file); err != nil {
		l.problem(path, err.Error())
	}
}

// keys checks the file of API keys. With such a file the names of keys are the scope of derived ids.
func (l *loader) keys() {
	c := l.cfg
	if c.Auth.KeysFile == "" {
		return
	}
	if _, err := auth.Open(c.Auth.KeysFile); err != nil {
		l.problem("auth.keys_file", err.Error())
	}
	if c.Session.Identity.Scope != identity.Default().Scope {
		l.problem("session.scope", fmt.Sprintf("%q, and auth.keys_file names the callers: leave the key out", c.Session.Identity.Scope))
	}
}
