package tracing

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.Endpoint = "http://collector:4317" }, ""},
		{func(c *Config) { c.Endpoint = "https://collector:4317/" }, ""},
		{func(c *Config) { c.Endpoint, c.Protocol = "https://collector/otlp/v1/traces", "http" }, ""},
		{func(c *Config) { c.Endpoint = "collector:4317" }, "endpoint: want http://HOST:PORT or https://HOST:PORT"},
		{func(c *Config) { c.Endpoint = "http://" }, "endpoint: want http://HOST:PORT or https://HOST:PORT"},
		{func(c *Config) { c.Endpoint = "http://collector:4317?x=1" }, "endpoint: want http://HOST:PORT or https://HOST:PORT"},
		{func(c *Config) { c.Endpoint = "http://collector:4317/v1/traces" }, "endpoint: OTLP over gRPC has no path"},
		{func(c *Config) { c.Endpoint = "http://me:secret@collector:4317" }, "endpoint: credentials do not belong here: OTEL_EXPORTER_OTLP_HEADERS has them"},
		{func(c *Config) { c.Protocol, c.Sample, c.Timeout = "thrift", 1.1, time.Hour }, "protocol: \"thrift\", want grpc or http|sample: 1.1, want 0..1|timeout: 1h0m0s, want 100ms..1m"},
		{func(c *Config) { c.Sample = math.NaN() }, "sample: NaN, want 0..1"},
		{func(c *Config) { c.Sample = -0.1 }, "sample: -0.1, want 0..1"},
	} {
		cfg := Default()
		c.change(&cfg)
		var got []string
		cfg.Validate(func(key, problem string) { got = append(got, key+": "+problem) })
		if text := strings.Join(got, "|"); text != c.want {
			t.Errorf("%+v: %s, want %s", cfg, text, c.want)
		}
	}
}
