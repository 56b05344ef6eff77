package admin

import (
	"fmt"
	"net"
)

// Config is the admin part of the configuration.
type Config struct {
	// Listen is the address of the admin listener, HOST:PORT. On an address other than loopback, what could do harm is
	// closed without a token.
	Listen string `yaml:"listen"`
	// TokenFile holds the token that opens it. If empty, there is no token.
	TokenFile string `yaml:"token_file"`
}

// Default returns the configuration for keys that are not set.
func Default() Config { return Config{Listen: "127.0.0.1:8081"} }

// Validate reports every problem: a key below admin, and what is wrong with its value.
func (c *Config) Validate(report func(key, problem string)) {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		report("listen", fmt.Sprintf("%q, want HOST:PORT", c.Listen))
	}
}
