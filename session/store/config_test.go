package store

import (
	"strings"
	"testing"
	"time"

	"tether/tlsfiles"
)

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.URL = "redis://a" }, ""},
		{func(c *Config) { c.URL = "redis:a" }, "url: " + errScheme.Error()},
		{func(c *Config) { c.Prefix = "" }, `prefix: "", want 1..64 letters, digits and -_.:/`},
		{func(c *Config) { c.Prefix = "a{b}" }, `prefix: "a{b}", want 1..64 letters, digits and -_.:/`},
		{func(c *Config) { c.Timeout = 10 * time.Second }, "timeout: 10s, want 50ms..4s"},
		{func(c *Config) { c.Timeout = 0 }, "timeout: 0s, want 50ms..4s"},
		{func(c *Config) { c.Advertise = "a b" }, `advertise: "a b", want at most 256 bytes of visible ASCII`},
		{func(c *Config) { c.URL, c.PasswordFile = "redis://:p@a", "f" }, `password_file: "f", and the URL has a password: leave one of them out`},
		{func(c *Config) { c.URL, c.SentinelPasswordFile = "redis-sentinel://:p@a/m", "f" }, ""},
		{func(c *Config) { c.URL, c.SentinelPasswordFile = "redis://a", "f" }, `sentinel_password_file: "f", and the URL does not begin with redis-sentinel or rediss-sentinel: there are no sentinels`},
		{func(c *Config) { c.URL, c.TLS = "redis://a", tlsfiles.Upstream{ServerName: "b"} }, "tls: and the URL does not begin with rediss: there is no TLS"},
		{func(c *Config) { c.TLS.Cert = "c" }, `tls.cert: "c", want key as well: a certificate alone is no use`},
		{func(c *Config) { c.Prefix, c.Timeout = "ü", time.Hour }, "prefix: \"ü\", want 1..64 letters, digits and -_.:/\ntimeout: 1h0m0s, want 50ms..4s"},
	} {
		cfg := Default()
		c.change(&cfg)
		var got []string
		cfg.Validate(func(key, problem string) { got = append(got, key+": "+problem) })
		if text := strings.Join(got, "\n"); !strings.HasPrefix(text, c.want) || c.want == "" && text != "" {
			t.Errorf("got  %s\nwant %s", text, c.want)
		}
	}
}
