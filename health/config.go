package health

import (
	"fmt"
	"strings"
	"time"
)

// Config is the health part of the configuration.
type Config struct {
	// Path is the path of a probe, a GET.
	Path string `yaml:"path"`
	// Interval is the time from the start of one probe of a server to the start of the next, give or take 10 %, 100ms..1h.
	Interval time.Duration `yaml:"interval"`
	// Timeout is how long a probe may take to connect, and again to get its answer, 10ms..1m.
	Timeout time.Duration `yaml:"timeout"`
	// Rise is how many successes in a row bring an upstream up, 1..100.
	Rise int `yaml:"rise"`
	// Fall is how many failures in a row take it down, 1..100; a failed connection counts double.
	Fall int `yaml:"fall"`
	// MetricsPath is the path of vLLM's metrics, which tell the load of its engines and the size of their KV caches. Empty: they are not read.
	MetricsPath string `yaml:"metrics_path"`
}

// Default returns the configuration for keys that are not set.
func Default() Config {
	return Config{Path: "/health", Interval: 5 * time.Second, Timeout: 2 * time.Second, Rise: 2, Fall: 3, MetricsPath: "/metrics"}
}

// Validate reports every problem: the key below health, and what is wrong with its value.
func (c *Config) Validate(report func(key, problem string)) {
	if !strings.HasPrefix(c.Path, "/") || strings.ContainsAny(c.Path, " \r\n\t") {
		report("path", fmt.Sprintf("%q, want a path that begins with /", c.Path))
	}
	if c.Interval < 100*time.Millisecond || c.Interval > time.Hour {
		report("interval", fmt.Sprintf("%v, want 100ms..1h", c.Interval))
	}
	if c.Timeout < 10*time.Millisecond || c.Timeout > time.Minute {
		report("timeout", fmt.Sprintf("%v, want 10ms..1m", c.Timeout))
	}
	if c.Rise < 1 || c.Rise > 100 {
		report("rise", fmt.Sprintf("%d, want 1..100", c.Rise))
	}
	if c.Fall < 1 || c.Fall > 100 {
		report("fall", fmt.Sprintf("%d, want 1..100", c.Fall))
	}
	if c.MetricsPath != "" && (c.MetricsPath[0] != '/' || strings.ContainsAny(c.MetricsPath, " \r\n\t?#")) {
		report("metrics_path", fmt.Sprintf("%q, want a path that begins with / and has no query, or empty", c.MetricsPath))
	}
}
