package dns

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dnslib "github.com/miekg/dns"

	"tether/discovery"
)

// Each answer with servers gives a set, and tells what of it did not count.
func TestAnswersWithServers(t *testing.T) {
	const a = "vllm.example. 5 IN A "
	for name, c := range map[string]struct {
		kind         string
		records      []string
		set, problem string
	}{
		"one":                  {"A", []string{a + "10.0.0.1"}, "10.0.0.1:8000=10.0.0.1:8000", ""},
		"any order":            {"A", []string{a + "10.0.0.2", a + "10.0.0.1"}, "10.0.0.1:8000=10.0.0.1:8000 10.0.0.2:8000=10.0.0.2:8000", ""},
		"twice":                {"A", []string{a + "10.0.0.1", a + "10.0.0.1"}, "10.0.0.1:8000=10.0.0.1:8000", ""},
		"IPv6":                 {"AAAA", []string{"vllm.example. 5 IN AAAA fd00::1"}, "[fd00::1]:8000=[fd00::1]:8000", ""},
		"alias":                {"A", []string{"b.example. 5 IN A 10.0.0.1", "c.example. 5 IN CNAME b.example.", "vllm.example. 5 IN CNAME c.example."}, "10.0.0.1:8000=10.0.0.1:8000", ""},
		"letters":              {"A", []string{"VLLM.Example. 5 IN A 10.0.0.1"}, "10.0.0.1:8000=10.0.0.1:8000", ""},
		"foreign":              {"A", []string{a + "10.0.0.1", "evil.example. 5 IN A 10.6.6.6", "vllm.example. 5 CH A 10.6.6.7"}, "10.0.0.1:8000=10.0.0.1:8000", "the answer has records that do not count: 2 of another name"},
		"no server":            {"A", []string{a + "0.0.0.0", a + "224.0.0.1", a + "10.0.0.1"}, "10.0.0.1:8000=10.0.0.1:8000", "the answer has records that do not count: 2 that name no usable server"},
		"other types":          {"A", []string{a + "10.0.0.1", "vllm.example. 5 IN TXT x"}, "10.0.0.1:8000=10.0.0.1:8000", ""},
		"an alias of an alias": {"A", []string{"vllm.example. 5 IN CNAME b.example.", "b.example. 5 IN CNAME vllm.example.", "b.example. 5 IN A 10.0.0.1"}, "10.0.0.1:8000=10.0.0.1:8000", ""},
	} {
		z := newZone(t)
		z.set("vllm.example. "+c.kind, c.records...)
		if set, problem := glance(t, z.source(func(cfg *Config) { cfg.Type = c.kind })); set != c.set || problem != c.problem {
			t.Errorf("%s\ngot  %s; %s\nwant %s; %s", name, set, problem, c.set, c.problem)
		}
	}
}

// An answer without servers is an error, and the next one is asked for again.
func TestAnswersWithoutServers(t *testing.T) {
	for want, change := range map[string]func(z *zone){
		"the name does not exist (NXDOMAIN)":          func(z *zone) { clear(z.records) },
		"the answer has no usable A record":           func(z *zone) { z.records["vllm.example. A"] = nil },
		"the resolver ADDR answered SERVFAIL":         func(z *zone) { z.code = dnslib.RcodeServerFailure },
		"the resolver ADDR answered REFUSED":          func(z *zone) { z.code = dnslib.RcodeRefused },
		"the resolver ADDR answered FORMERR":          func(z *zone) { z.code = dnslib.RcodeFormatError },
		"the resolver ADDR answered another question": func(z *zone) { z.other = true },
		"the resolver ADDR cut its answer over TCP":   func(z *zone) { z.cut = true },
	} {
		z := newZone(t)
		z.set("vllm.example. A", "vllm.example. 5 IN A 10.0.0.1")
		z.set("vllm.example. TXT", "vllm.example. 5 IN TXT x")
		z.change(change)
		want = strings.Replace(want, "ADDR", z.addr, 1)
		if set, problem := glance(t, z.source(nil)); set != "" || problem != want {
			t.Errorf("got %q, %s; want %s", set, problem, want)
		}
	}
}

// A thousand addresses do not fit into a packet: TCP has them all. An answer of more than 4,096 cannot exist: 64 KiB
// hold 4,090.
func TestManyAddresses(t *testing.T) {
	for _, n := range []int{512, 1000, 4000} {
		z := newZone(t)
		var lines []string
		for i := range n {
			lines = append(lines, fmt.Sprintf("vllm.example. 5 IN A 10.0.%d.%d", i/250, i%250+1))
		}
		z.set("vllm.example. A", lines...)
		set, problem := glance(t, z.source(nil))
		if got := len(strings.Fields(set)); got != n || problem != "" || z.count("udp vllm.example. A") != 1 || z.count("tcp vllm.example. A") != 1 {
			t.Errorf("%d servers, want %d; %s; asked %v", got, n, problem, z.asked)
		}
	}
}

// The time to the next look is the shortest TTL, within its bounds.
func TestTTL(t *testing.T) {
	for _, c := range []struct {
		ttls     []int
		interval time.Duration
		want     time.Duration
	}{
		{[]int{20}, 0, 20 * time.Second},
		{[]int{30, 20, 40}, 0, 20 * time.Second},
		{[]int{0}, 0, 5 * time.Second},
		{[]int{1}, 0, 5 * time.Second},
		{[]int{86400}, 0, time.Minute},
		{[]int{10}, 2 * time.Minute, 2 * time.Minute},
		{[]int{600}, 2 * time.Minute, 2 * time.Minute},
	} {
		z := newZone(t)
		lines := []string{"evil.example. 1 IN A 10.6.6.6"}
		for i, ttl := range c.ttls {
			lines = append(lines, fmt.Sprintf("vllm.example. %d IN A 10.0.0.%d", ttl, i+1))
		}
		z.set("vllm.example. A", lines...)
		s := z.source(func(cfg *Config) { cfg.Interval = c.interval })
		if got := s.step(t.Context(), func([]discovery.Found, error) {}); got != c.want {
			t.Errorf("%v, %v: %v, want %v", c.ttls, c.interval, got, c.want)
		}
	}
}

// The search list of the system applies until a name of it has had servers. From then on that name alone is asked.
func TestSearchList(t *testing.T) {
	z := newZone(t)
	host, port, _ := strings.Cut(z.addr, ":")
	file := filepath.Join(t.TempDir(), "resolv.conf")
	conf := "search default.svc.cluster.example svc.cluster.example\noptions ndots:5\nnameserver " + host + "\n"
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := newResolver("", file)
	if err != nil {
		t.Fatal(err)
	}
	r.servers[0] = host + ":" + port // the file has no ports
	s := z.source(func(c *Config) { c.Name = "vllm.default" })
	set := func() string {
		l, err := s.ask(t.Context(), r)
		if err != nil {
			return err.Error()
		}
		return words(l.found)
	}
	if got := set(); got != "the name does not exist (NXDOMAIN)" || z.count("udp vllm.default. A") != 1 {
		t.Error(got, z.asked)
	}
	z.set("vllm.default.svc.cluster.example. A", "vllm.default.svc.cluster.example. 5 IN A 10.0.0.1")
	z.set("vllm.default. A", "vllm.default. 5 IN A 10.6.6.6")
	if got := set(); got != "10.0.0.1:8000=10.0.0.1:8000" {
		t.Error(got)
	}
	z.set("vllm.default.svc.cluster.example. A")
	if got := set(); got != "the answer has no usable A record" || z.count("udp vllm.default. A") != 1 {
		t.Error(got, z.asked)
	}
}
