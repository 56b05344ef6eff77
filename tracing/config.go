package tracing

import (
	"fmt"
	"math"
	"net/url"
	"time"
)

// Config is the tracing part of the configuration.
type Config struct {
	// Endpoint is where the collector takes traces: http://HOST:PORT, or https:// with TLS, with a path for the protocol http only. Empty:
	// nothing is traced.
	Endpoint string `yaml:"endpoint"`
	// Protocol is that of OTLP: grpc, or http for protobuf over HTTP.
	Protocol string `yaml:"protocol"`
	// Sample is the part of the requests that is traced, 0..1, of those without a traceparent. A request with one is traced if its
	// traceparent says so.
	Sample float64 `yaml:"sample"`
	// Timeout limits one export, 100ms..1m. No request waits for an export.
	Timeout time.Duration `yaml:"timeout"`
}

// The protocols.
const (
	protocolGRPC = "grpc"
	protocolHTTP = "http"
)

// Default returns the configuration for keys that are not set.
func Default() Config { return Config{Protocol: protocolGRPC, Sample: 0.01, Timeout: 10 * time.Second} }

// Validate reports every problem: the key below tracing, and what is wrong with its value.
func (c *Config) Validate(report func(key, problem string)) {
	if c.Endpoint != "" {
		if problem := c.endpointProblem(); problem != "" {
			report("endpoint", problem)
		}
	}
	if c.Protocol != protocolGRPC && c.Protocol != protocolHTTP {
		report("protocol", fmt.Sprintf("%q, want grpc or http", c.Protocol))
	}
	if math.IsNaN(c.Sample) || c.Sample < 0 || c.Sample > 1 {
		report("sample", fmt.Sprintf("%v, want 0..1", c.Sample))
	}
	if c.Timeout < 100*time.Millisecond || c.Timeout > time.Minute {
		report("timeout", fmt.Sprintf("%v, want 100ms..1m", c.Timeout))
	}
}

// endpointProblem says what is wrong with the endpoint, "" for nothing. It does not show the endpoint, which may hold a password.
func (c *Config) endpointProblem() string {
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		return "want http://HOST:PORT or https://HOST:PORT"
	case u.User != nil:
		return "credentials do not belong here: OTEL_EXPORTER_OTLP_HEADERS has them"
	case c.Protocol == protocolGRPC && u.Path != "" && u.Path != "/":
		return "OTLP over gRPC has no path"
	}
	return ""
}
