package dns

import (
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	for want, cfg := range map[string]Config{
		"": {Name: "vllm.default.svc", Port: 8000},
		"name: \"\", want the name of a service, such as vllm.default.svc\nport: none, and A records have no port: want 1..65535": {},
		"name: \"a..b\", want the name of a service, such as vllm.default.svc":                                                    {Name: "a..b", Port: 1},
		"port: none, and AAAA records have no port: want 1..65535":                                                                {Name: "a", Type: "AAAA"},
		"type: \"MX\", want A, AAAA or SRV":                                                                                       {Name: "a", Type: "MX"},
		"port: 65536, want 1..65535":                                                                                              {Name: "a", Type: "SRV", Port: 65536},
		"port: -1, want 1..65535":                                                                                                 {Name: "a", Port: -1},
		"resolver: \"10.0.0.10\", want HOST:PORT":                                                                                 {Name: "a", Port: 1, Resolver: "10.0.0.10"},
		"resolver: \":53\", want HOST:PORT":                                                                                       {Name: "a", Port: 1, Resolver: ":53"},
		"resolver: \"a:0\", want HOST:PORT":                                                                                       {Name: "a", Port: 1, Resolver: "a:0"},
		"interval: 10ms, want 1s..1h":                                                                                             {Name: "a", Port: 1, Interval: 10 * time.Millisecond},
		"keep: 2h0m0s, want 1s..1h":                                                                                               {Name: "a", Port: 1, Keep: 2 * time.Hour},
	} {
		var problems []string
		cfg.Validate(func(key, problem string) { problems = append(problems, key+": "+problem) })
		if got := strings.Join(problems, "\n"); got != want {
			t.Errorf("%+v\ngot  %s\nwant %s", cfg, got, want)
		}
	}
	for _, cfg := range []Config{{Name: "_http._tcp.vllm.default.svc.cluster.local.", Type: "SRV"}, {Name: "a", Type: "AAAA", Port: 1, Resolver: "[fd00::1]:53", Interval: time.Hour, Keep: time.Second}} {
		cfg.Validate(func(key, problem string) { t.Errorf("%+v: %s: %s", cfg, key, problem) })
	}
}
