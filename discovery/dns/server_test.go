package dns

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dnslib "github.com/miekg/dns"
	"go.uber.org/goleak"

	"tether/discovery"
	"tether/discovery/dns/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// zone is a DNS server on loopback, over UDP and TCP, with records that tests change.
type zone struct {
	t    testing.TB
	addr string

	mu      sync.Mutex
	records map[string][]dnslib.RR // guarded by mu: by name and type, "a.example. A"
	extra   []dnslib.RR            // guarded by mu: in each answer to SRV
	code    int                    // guarded by mu: of every answer
	failing string                 // guarded by mu: the name whose answers are SERVFAIL
	silent  bool                   // guarded by mu: no answer
	other   bool                   // guarded by mu: answers another question
	cut     bool                   // guarded by mu: says that each answer is cut, over TCP too
	asked   map[string]int         // guarded by mu: by network, name and type, "udp a.example. A"
}

func newZone(t testing.TB) *zone {
	t.Helper()
	z := &zone{t: t, records: map[string][]dnslib.RR{}, asked: map[string]int{}}
	z.addr = dnstest.Serve(t, z)
	return z
}

// ServeDNS implements dnslib.Handler.
func (z *zone) ServeDNS(w dnslib.ResponseWriter, q *dnslib.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	question := q.Question[0].Name + " " + dnslib.TypeToString[q.Question[0].Qtype]
	z.asked[w.RemoteAddr().Network()+" "+question]++
	if z.silent {
		return
	}
	a := new(dnslib.Msg).SetRcode(q, z.code)
	if z.failing == q.Question[0].Name {
		a.Rcode = dnslib.RcodeServerFailure
	}
	a.Answer = slices.Clone(z.records[question])
	if q.Question[0].Qtype == dnslib.TypeSRV {
		a.Extra = slices.Clone(z.extra)
	}
	if a.Rcode == dnslib.RcodeSuccess && len(a.Answer) == 0 && !z.has(q.Question[0].Name) {
		a.Rcode = dnslib.RcodeNameError
	}
	if z.other {
		a.Question[0].Name = "other.example."
	}
	a.Compress = true
	if o := q.IsEdns0(); w.RemoteAddr().Network() == "udp" && o != nil {
		a.Truncate(int(o.UDPSize()))
	}
	a.Truncated = a.Truncated || z.cut
	if err := w.WriteMsg(a); err != nil {
		z.t.Error(err)
	}
}

// has reports whether there is a record of any type with that name; z.mu is held.
func (z *zone) has(name string) bool {
	for question := range z.records {
		if strings.HasPrefix(question, name+" ") {
			return true
		}
	}
	return false
}

// change changes the server between two queries.
func (z *zone) change(f func(z *zone)) {
	z.mu.Lock()
	defer z.mu.Unlock()
	f(z)
}

// set replaces the records of a name and type, as the lines of a zone file.
func (z *zone) set(question string, lines ...string) {
	z.t.Helper()
	records := parse(z.t, lines...)
	z.change(func(z *zone) { z.records[question] = records })
}

// add replaces what answers to SRV have besides.
func (z *zone) add(lines ...string) {
	z.t.Helper()
	records := parse(z.t, lines...)
	z.change(func(z *zone) { z.extra = records })
}

func parse(t testing.TB, lines ...string) (records []dnslib.RR) {
	t.Helper()
	for _, line := range lines {
		r, err := dnslib.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

func (z *zone) count(query string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[query]
}

// source is a source of this server's records.
func (z *zone) source(change func(*Config)) *Source {
	cfg := Config{Name: "vllm.example", Port: 8000, Resolver: z.addr}
	if change != nil {
		change(&cfg)
	}
	return New(cfg)
}

// glance makes one look, and returns the set and the problem as text.
func glance(t testing.TB, s *Source) (set, problem string) {
	t.Helper()
	calls := 0
	s.step(t.Context(), func(found []discovery.Found, err error) {
		calls++
		set = words(found)
		if err != nil {
			problem = err.Error()
		}
	})
	if calls != 1 {
		t.Errorf("%d reports of one look", calls)
	}
	return set, problem
}

// words writes a set as NAME=ADDRESS.
func words(found []discovery.Found) string {
	var parts []string
	for _, f := range found {
		parts = append(parts, f.Name+"="+f.Address)
	}
	return strings.Join(parts, " ")
}

// start runs a source, and returns its reports. The source ends with the test.
func start(t testing.TB, s *Source) <-chan string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	reports, ended := make(chan string), make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, func(found []discovery.Found, err error) {
			select {
			case reports <- fmt.Sprint(words(found), " ", err):
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return reports
}

// await waits for a report.
func await(t testing.TB, reports <-chan string, want string) {
	t.Helper()
	last, limit := "", time.After(patience)
	for {
		select {
		case last = <-reports:
			if last == want {
				return
			}
		case <-limit:
			t.Fatalf("the last report is %q, want %q", last, want)
		}
	}
}
