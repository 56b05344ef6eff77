package dns

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	dnslib "github.com/miekg/dns"
)

// Config is one name that is resolved again and again.
type Config struct {
	// Name is the name of a headless service, or of SRV records. Without a dot at its end and without Resolver, the
	// search list of /etc/resolv.conf applies.
	Name string `yaml:"name"`
	// Port is the port of every server. With SRV records, only records with this port count; 0 takes all.
	Port int `yaml:"port,omitempty"`
	// Type is A, AAAA or SRV. Default: A.
	Type string `yaml:"type,omitempty"`
	// Resolver is HOST:PORT of a DNS server. Default: the servers of /etc/resolv.conf.
	Resolver string `yaml:"resolver,omitempty"`
	// Interval is the shortest time between two looks: the TTL of the records counts above it, up to a minute. Default: 5s.
	Interval time.Duration `yaml:"interval,omitempty"`
	// Keep is how long a server stays in the set once answers lack it. Default: 30s.
	Keep time.Duration `yaml:"keep,omitempty"`
}

// The values that a missing key stands for.
const (
	defaultType     = typeA
	defaultInterval = 5 * time.Second
	defaultKeep     = 30 * time.Second
)

// Values of Type.
const (
	typeA    = "A"
	typeAAAA = "AAAA"
	typeSRV  = "SRV"
)

var types = map[string]uint16{typeA: dnslib.TypeA, typeAAAA: dnslib.TypeAAAA, typeSRV: dnslib.TypeSRV}

// withDefaults returns c with a value for every key.
func (c Config) withDefaults() Config {
	if c.Type == "" {
		c.Type = defaultType
	}
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.Keep == 0 {
		c.Keep = defaultKeep
	}
	return c
}

// Validate reports every problem: a key, and what is wrong with its value.
func (c Config) Validate(report func(key, problem string)) {
	c = c.withDefaults()
	if _, ok := dnslib.IsDomainName(c.Name); !ok || c.Name == "" || c.Name == "." {
		report("name", fmt.Sprintf("%q, want the name of a service, such as vllm.default.svc", c.Name))
	}
	known := slices.Contains([]string{typeA, typeAAAA, typeSRV}, c.Type)
	if !known {
		report("type", fmt.Sprintf("%q, want A, AAAA or SRV", c.Type))
	}
	switch {
	case c.Port == 0 && known && c.Type != typeSRV:
		report("port", fmt.Sprintf("none, and %s records have no port: want 1..65535", c.Type))
	case c.Port < 0 || c.Port > 65535:
		report("port", fmt.Sprintf("%d, want 1..65535", c.Port))
	}
	if c.Resolver != "" && !isAddress(c.Resolver) {
		report("resolver", fmt.Sprintf("%q, want HOST:PORT", c.Resolver))
	}
	validateTime("interval", c.Interval, report)
	validateTime("keep", c.Keep, report)
}

func validateTime(key string, d time.Duration, report func(key, problem string)) {
	if d < time.Second || d > time.Hour {
		report(key, fmt.Sprintf("%v, want 1s..1h", d))
	}
}

func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	n, bad := strconv.ParseUint(port, 10, 16)
	return err == nil && host != "" && bad == nil && n > 0
}
