package admin

import (
	"fmt"
	"net"
)

// Config is the admin part of the configuration.
type Config struct {
	// Listen is where the admin listener is, HOST:PORT; on another address than loopback what could do harm is
	// closed without a token.
	Listen string `yaml:"listen"`
	// TokenFile holds the token that opens it, "" for none.
	TokenFile string `yaml:"token_file"`
}

// Default is the configuration that is in force where nothing else is said.
func Default() Config { return Config{Listen: "127.0.0.1:8081"} }

// Validate reports every problem: the key below admin, and what is wrong with it.
func (c *Config) Validate(report func(key, problem string)) {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		report("listen", fmt.Sprintf("%q, want HOST:PORT", c.Listen))
	}
}
