package dns

import (
	"fmt"
	"strings"
	"testing"

	dnslib "github.com/miekg/dns"
)

// Targets become servers with the names of their pods.
func TestTargets(t *testing.T) {
	const srv = "_http._tcp.vllm.example. 5 IN SRV "
	for name, c := range map[string]struct {
		records, extra []string
		port           int
		set, problem   string
	}{
		"StatefulSet": {
			records: []string{srv + "0 50 8000 vllm-1.vllm.example.", srv + "0 50 8000 vllm-0.vllm.example."},
			extra:   []string{"vllm-0.vllm.example. 5 IN A 10.0.0.1", "vllm-1.vllm.example. 5 IN A 10.0.0.2"},
			set:     "vllm-0=10.0.0.1:8000 vllm-1=10.0.0.2:8000",
		},
		"other domain": {
			records: []string{srv + "0 1 8001 Node1.dc1.example.", srv + "0 1 8000 node1.dc1.example.", srv + "0 1 8000 a.b.vllm.example."},
			extra:   []string{"node1.dc1.example. 5 IN A 10.0.0.1", "a.b.vllm.example. 5 IN AAAA fd00::1"},
			set:     "a.b.vllm.example:8000=[fd00::1]:8000 node1.dc1.example:8000=10.0.0.1:8000 node1.dc1.example:8001=10.0.0.1:8001",
		},
		"addresses of their own": {
			records: []string{srv + "0 1 8000 v4.vllm.example.", srv + "0 1 8000 v6.vllm.example.", srv + "0 1 8000 none.vllm.example."},
			set:     "v4=10.0.1.1:8000 v6=[fd00::2]:8000",
			problem: "the answer has records that do not count: 1 whose target has no address",
		},
		"several addresses": {
			records: []string{srv + "0 1 8000 a.vllm.example."},
			extra:   []string{"a.vllm.example. 5 IN AAAA fd00::1", "a.vllm.example. 5 IN A 10.0.0.9", "a.vllm.example. 5 IN A 10.0.0.10"},
			set:     "a=10.0.0.9:8000",
		},
		"two ports": {
			records: []string{srv + "0 1 9000 vllm-0.vllm.example.", srv + "0 1 8000 vllm-0.vllm.example."},
			extra:   []string{"vllm-0.vllm.example. 5 IN A 10.0.0.1"},
			set:     "vllm-0=10.0.0.1:8000",
			problem: "the answer has records that do not count: 1 of one more port of a target",
		},
		"one port of two": {
			records: []string{srv + "0 1 9000 vllm-0.vllm.example.", srv + "0 1 8000 vllm-0.vllm.example."},
			extra:   []string{"vllm-0.vllm.example. 5 IN A 10.0.0.1"},
			port:    9000,
			set:     "vllm-0=10.0.0.1:9000",
		},
		"best priority": {
			records: []string{srv + "10 1 8000 backup.vllm.example.", srv + "5 1 8000 a.vllm.example.", srv + "5 99 8000 b.vllm.example."},
			extra:   []string{"backup.vllm.example. 5 IN A 10.0.0.9", "a.vllm.example. 5 IN A 10.0.0.1", "b.vllm.example. 5 IN A 10.0.0.2"},
			set:     "a=10.0.0.1:8000 b=10.0.0.2:8000",
		},
		"not available": {records: []string{srv + "0 0 0 ."}, problem: "the answer has no usable SRV record"},
		"port 0":        {records: []string{srv + "0 0 0 v4.vllm.example."}, problem: "the answer has no usable SRV record"},
	} {
		z := newZone(t)
		z.set("v4.vllm.example. A", "v4.vllm.example. 5 IN A 10.0.1.1")
		z.set("v6.vllm.example. AAAA", "v6.vllm.example. 5 IN AAAA fd00::2")
		z.set("_http._tcp.vllm.example. SRV", c.records...)
		z.add(c.extra...)
		s := z.source(func(cfg *Config) { cfg.Name, cfg.Type, cfg.Port = "_http._tcp.vllm.example.", "SRV", c.port })
		if set, problem := glance(t, s); set != c.set || problem != c.problem {
			t.Errorf("%s\ngot  %s; %s\nwant %s; %s", name, set, problem, c.set, c.problem)
		}
	}
}

// Hundreds of targets whose addresses are not in the answer are asked for one by one.
func TestManyTargets(t *testing.T) {
	z := newZone(t)
	var lines []string
	for i := range 512 {
		target := fmt.Sprintf("vllm-%d.vllm.example.", i)
		lines = append(lines, fmt.Sprintf("vllm.example. 5 IN SRV 0 1 8000 %s", target))
		z.set(target+" A", fmt.Sprintf("%s 5 IN A 10.0.%d.%d", target, i/250, i%250+1))
	}
	z.set("vllm.example. SRV", lines...)
	s := z.source(func(cfg *Config) { cfg.Type = "SRV" })
	set, problem := glance(t, s)
	if names := strings.Fields(set); len(names) != 512 || names[2] != "vllm-2=10.0.0.3:8000" || problem != "" {
		t.Errorf("%d servers, %s, %s", len(names), set, problem)
	}
}

// While the resolver does not say where one target is, the whole set stays.
func TestTargetWithoutAnAnswer(t *testing.T) {
	z := newZone(t)
	z.set("vllm.example. SRV", "vllm.example. 5 IN SRV 0 1 8000 a.vllm.example.", "vllm.example. 5 IN SRV 0 1 8000 b.vllm.example.")
	z.add("a.vllm.example. 5 IN A 10.0.0.1", "b.vllm.example. 5 IN A 10.0.0.2")
	s := z.source(func(cfg *Config) { cfg.Type = "SRV" })
	if set, problem := glance(t, s); set != "a=10.0.0.1:8000 b=10.0.0.2:8000" || problem != "" {
		t.Fatal(set, problem)
	}
	z.change(func(z *zone) { z.extra, z.failing = z.extra[:1], "b.vllm.example." })
	if set, problem := glance(t, s); set != "" || problem != "the resolver "+z.addr+" answered "+dnslib.RcodeToString[dnslib.RcodeServerFailure] {
		t.Error(set, problem)
	}
}
