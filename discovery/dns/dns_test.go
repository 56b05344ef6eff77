package dns

import (
	"testing"
	"time"

	dnslib "github.com/miekg/dns"
)

// The set follows the records, and nothing that is wrong with the resolver empties it.
func TestRun(t *testing.T) {
	z := newZone(t)
	s := z.source(func(c *Config) { c.Interval, c.Keep = time.Millisecond, time.Millisecond })
	reports := start(t, s)
	await(t, reports, " the name does not exist (NXDOMAIN)")
	const one, two = "10.0.0.1:8000=10.0.0.1:8000", "10.0.0.2:8000=10.0.0.2:8000"
	z.set("vllm.example. A", "vllm.example. 0 IN A 10.0.0.1")
	await(t, reports, one+" <nil>")
	z.set("vllm.example. A", "vllm.example. 0 IN A 10.0.0.1", "vllm.example. 0 IN A 10.0.0.2")
	await(t, reports, one+" "+two+" <nil>")
	z.change(func(z *zone) { z.code = dnslib.RcodeServerFailure })
	await(t, reports, " the resolver "+z.addr+" answered SERVFAIL")
	z.change(func(z *zone) { z.code = dnslib.RcodeSuccess })
	await(t, reports, one+" "+two+" <nil>")
	z.set("vllm.example. A", "vllm.example. 0 IN A 10.0.0.2")
	await(t, reports, two+" <nil>")
}

// A silent resolver is an error, and the end does not wait for more than one query.
func TestSilentResolver(t *testing.T) {
	t.Parallel()
	z := newZone(t)
	z.change(func(z *zone) { z.silent = true })
	await(t, start(t, z.source(nil)), " the resolver "+z.addr+": no answer in time")
}
