package store

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"tether/tlsfiles"
)

// Config is the part of the session configuration that says where several tethers share their sessions.
type Config struct {
	// URL is that of a Redis or Valkey, see Address; "" for none.
	URL URL `yaml:"url"`
	// PasswordFile holds the password, if the URL has none.
	PasswordFile string `yaml:"password_file"`
	// SentinelPasswordFile holds the password of the sentinels, which may be another one; "" for none.
	SentinelPasswordFile string `yaml:"sentinel_password_file"`
	// Prefix begins the names of all keys and channels: 1..64 letters, digits and -_.:/
	Prefix string `yaml:"prefix"`
	// Timeout is how long an answer may take, 50ms..4s.
	Timeout time.Duration `yaml:"timeout"`
	// TLS is the TLS of a rediss URL.
	TLS tlsfiles.Upstream `yaml:"tls"`
	// Advertise is shown by the other tethers as the address of this one's admin listener, "" for none: at most 256 bytes of visible ASCII.
	Advertise string `yaml:"advertise"`
}

// Default returns the default configuration: no store.
func Default() Config { return Config{Prefix: "tether", Timeout: time.Second} }

// Limits of Timeout. The longest one is shorter than the time that a part of the process gets to end.
const (
	minTimeout = 50 * time.Millisecond
	maxTimeout = 4 * time.Second
)

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9._:/-]{1,64}$`)

// On reports whether there is a store.
func (c *Config) On() bool { return c.URL != "" }

// Validate reports every problem: its key below session.store, and its text, which never has a part of the URL.
func (c *Config) Validate(report func(key, problem string)) {
	if !validPrefix.MatchString(c.Prefix) {
		report("prefix", fmt.Sprintf("%.80q, want 1..64 letters, digits and -_.:/", c.Prefix))
	}
	if c.Timeout < minTimeout || c.Timeout > maxTimeout {
		report("timeout", fmt.Sprintf("%v, want 50ms..4s", c.Timeout))
	}
	c.TLS.Validate(func(key, problem string) { report("tls."+key, problem) })
	if len(c.Advertise) > 256 || strings.ContainsFunc(c.Advertise, func(r rune) bool { return r <= ' ' || r > '~' }) {
		report("advertise", fmt.Sprintf("%.80q, want at most 256 bytes of visible ASCII", c.Advertise))
	}
	if !c.On() {
		return
	}
	a, err := ParseURL(string(c.URL))
	if err != nil {
		report("url", err.Error())
		return
	}
	if c.TLS != (tlsfiles.Upstream{}) && !a.Secure {
		report("tls", "and the URL does not begin with rediss: there is no TLS")
	}
	if c.PasswordFile != "" && a.Password != "" {
		report("password_file", fmt.Sprintf("%q, and the URL has a password: leave one of them out", c.PasswordFile))
	}
	if c.SentinelPasswordFile != "" && a.Master == "" {
		report("sentinel_password_file", fmt.Sprintf("%q, and the URL does not begin with redis-sentinel or rediss-sentinel: there are no sentinels", c.SentinelPasswordFile))
	}
}
