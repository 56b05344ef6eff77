package metrics

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/proxy"
	"tether/session"
	"tether/upstream"
)

var update = flag.Bool("update", false, "write docs/METRICS.md anew")

// fleet is a registry of upstreams that list the model "tiny", the names, and one hostile name.
func fleet(t testing.TB, names ...string) *upstream.Registry {
	t.Helper()
	r := upstream.NewRegistry(nil)
	var specs []upstream.Spec
	for i, name := range names {
		specs = append(specs, upstream.Spec{Name: name, Address: upstream.Address{Network: "tcp", Dial: fmt.Sprint("127.0.0.1:", i+1)}, Slot: i, Weight: 100})
	}
	if _, err := r.Apply(specs); err != nil {
		t.Fatal(err)
	}
	for _, m := range r.Table().Members {
		m.SetModels(upstream.NewModels([]upstream.Model{{ID: "tiny"}, {ID: hostile}}))
	}
	return r
}

const hostile = "evil\"}\n# HELP x y\x1b"

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	return w.Body.String()
}

func want(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
}

func TestRequests(t *testing.T) {
	r := fleet(t, "vllm-0", "vllm-1")
	m := New("v1", r)
	a, b := r.Table().Members[0].Upstream, r.Table().Members[1].Upstream
	m.Done(&proxy.Record{
		Route: "/v1/chat/completions", Model: []byte("tiny"), Outcome: session.Spilled, Status: 200, Attempts: 2, Replays: 1, Ignored: 3,
		Surplus: true, Tries: []proxy.Try{{Upstream: a, Result: proxy.Died}, {Upstream: b, Result: proxy.Answered}},
		Source:  session.Source{Kind: session.FromOpening},
		BytesIn: 100, BytesOut: 200, FirstByte: 20 * time.Millisecond, Duration: time.Second, PromptTokens: 40, CachedTokens: 32,
	})
	m.Done(&proxy.Record{Status: proxy.StatusClientLeft, Reason: "client_left", PromptTokens: -1, CachedTokens: -1})
	m.Refused(431, "head_too_large")
	m.Probed(a.Server, "timed_out")
	want(t, scrape(t, m),
		`tether_requests_total{model="tiny",outcome="spilled",route="/v1/chat/completions",status="200"} 1`,
		`tether_requests_total{model="other",outcome="none",route="",status="499"} 1`,
		`tether_request_failures_total{reason="client_left"} 1`,
		`tether_attempts_total{result="died",upstream="vllm-0"} 1`,
		`tether_attempts_total{result="answered",upstream="vllm-1"} 1`,
		`tether_time_to_first_byte_seconds_bucket{model="tiny",outcome="spilled",le="0.025"} 1`,
		`tether_time_to_first_byte_seconds_bucket{model="tiny",outcome="spilled",le="0.01"} 0`,
		`tether_request_duration_seconds_sum{model="tiny"} 1`,
		`tether_prompt_tokens_total{model="tiny",outcome="spilled"} 40`,
		`tether_cached_prompt_tokens_total{model="tiny",outcome="spilled"} 32`,
		`tether_session_ids_total{source="opening"} 1`, `tether_session_ids_total{source="none"} 1`,
		`tether_request_body_bytes_total 100`, `tether_response_body_bytes_total 200`, `tether_replays_total 1`,
		`tether_session_ids_ignored_total 3`, `tether_crowd_surplus_total 1`, `tether_clients_left_total 1`,
		`tether_requests_refused_total{reason="head_too_large",status="431"} 1`,
		`tether_probes_total{result="timed_out",upstream="vllm-0"} 1`,
		`tether_certificate_reloads_total{result="failed"} 0`, `tether_api_key_reloads_total{result="failed"} 0`,
	)
}

// What clients send makes no series; what upstreams list makes a bounded number.
func TestModelsAreBounded(t *testing.T) {
	r := fleet(t, "vllm-0")
	m := New("v1", r)
	for _, name := range []string{"unknown", "\xff\xfe", strings.Repeat("x", 10<<10), "<script>", "tiny\n"} {
		m.Done(&proxy.Record{Model: []byte(name), Status: 404})
	}
	m.Done(&proxy.Record{Model: []byte(hostile), Status: 200})
	text := scrape(t, m)
	want(t, text, `tether_requests_total{model="other",outcome="none",route="",status="404"} 5`,
		`tether_requests_total{model="evil\"}\n# HELP x y`+"\x1b"+`",outcome="none",route="",status="200"} 1`)
	var many []upstream.Model
	for n := range 10 * maxModels {
		many = append(many, upstream.Model{ID: fmt.Sprint("adapter-", n)})
	}
	r.Table().Members[0].SetModels(upstream.NewModels(many))
	for _, model := range many {
		m.Done(&proxy.Record{Model: []byte(model.ID), Status: 200})
	}
	if n := strings.Count(scrape(t, m), "\ntether_requests_total{"); n > maxModels+2 {
		t.Errorf("%d series", n)
	}
}

// Series of an upstream that is gone vanish, and do not come back with the end of its last request.
func TestSeriesVanish(t *testing.T) {
	r := fleet(t, "vllm-0", "vllm-1")
	m := New("v1", r)
	gone := r.Table().Members[1].Upstream
	try := proxy.Record{Tries: []proxy.Try{{Upstream: gone, Result: proxy.Answered}}}
	m.Done(&try)
	m.Probed(gone.Server, "succeeded")
	if _, err := r.Apply([]upstream.Spec{{Name: "vllm-0", Address: upstream.Address{Network: "tcp", Dial: "127.0.0.1:1"}, Weight: 100}}); err != nil {
		t.Fatal(err)
	}
	m.Forget("vllm-1")
	m.Done(&try)
	if text := scrape(t, m); strings.Contains(text, "vllm-1") {
		t.Errorf("still there:\n%s", text)
	}
}

func TestConcurrentCounting(t *testing.T) {
	r := fleet(t, "vllm-0")
	m := New("v1", r)
	u := r.Table().Members[0].Upstream
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for n := range 500 {
				m.Done(&proxy.Record{
					Model: []byte("tiny"), Outcome: session.Outcome(n % 5), Status: 200 + n%3, Route: fmt.Sprint(w % 3),
					Tries: []proxy.Try{{Upstream: u, Result: proxy.Result(n % len(proxy.Results))}},
				})
			}
		})
	}
	all.Wait()
	total := 0
	for _, n := range regexp.MustCompile(`(?m)^tether_requests_total\{.*\} (\d+)$`).FindAllStringSubmatch(scrape(t, m), -1) {
		var k int
		fmt.Sscan(n[1], &k)
		total += k
	}
	if total != 8*500 {
		t.Errorf("counted %d of %d", total, 8*500)
	}
}

// Counting a request allocates nothing once its labels have come before.
func TestDoneAllocatesNothing(t *testing.T) {
	r := fleet(t, "vllm-0")
	m := New("v1", r)
	rec := usual(r)
	m.Done(rec)
	if n := testing.AllocsPerRun(1000, func() { m.Done(rec) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDone(b *testing.B) {
	r := fleet(b, "vllm-0")
	m := New("v1", r)
	rec := usual(r)
	for b.Loop() {
		m.Done(rec)
	}
}

// usual is the record of an ordinary request.
func usual(r *upstream.Registry) *proxy.Record {
	return &proxy.Record{
		Route: "/v1/chat/completions", Model: []byte("tiny"), Outcome: session.Pinned, Status: 200, Attempts: 1,
		Source: session.Source{Kind: session.FromHeader, Name: "x-session-id"}, Tries: []proxy.Try{{Upstream: r.Table().Members[0].Upstream}},
		BytesIn: 2000, BytesOut: 1000, FirstByte: 20 * time.Millisecond, Duration: time.Second, PromptTokens: 500, CachedTokens: 480,
	}
}

// Prometheus' own checker has nothing to say.
func TestPromtool(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not installed (Debian's package prometheus has it)")
	}
	r := fleet(t, "vllm-0")
	m := New("v1", r)
	m.Done(&proxy.Record{Model: []byte("tiny"), Tries: []proxy.Try{{Upstream: r.Table().Members[0].Upstream}}, FirstByte: 1, Reason: "x", CachedTokens: 1})
	m.Probed(r.Table().Servers[0], "succeeded")
	m.Refused(400, "malformed")
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(scrape(t, m))
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// docs/METRICS.md is what the definitions say; go test ./metrics -run Documentation -update writes it.
func TestDocumentation(t *testing.T) {
	const file = "../docs/METRICS.md"
	var b strings.Builder
	b.WriteString("# Metrics\n\nWhat `/metrics` of the admin listener shows, besides the `go_*` and `process_*` metrics of every Go program.\n" +
		"This file is generated: `go test ./metrics -run Documentation -update`.\n\n| metric | type | labels | what |\n|---|---|---|---|\n")
	for _, d := range definitions {
		labels := ""
		if len(d.labels) > 0 {
			labels = "`" + strings.Join(d.labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, d.kind, labels, d.help)
	}
	b.WriteString("\nValues of labels:\n\n- `outcome`: " + outcomes() + "\n- `result` of attempts: " + strings.Join(proxy.Results[:], ", ") +
		"\n- `result` of reloads: ok, failed\n- `cause`: " + strings.Join(session.Causes[:], ", ") + "\n- `model`: at most " + fmt.Sprint(maxModels) + ", then `other`\n\n" + questions)
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != b.String() {
		t.Errorf("%s is not what the definitions say: write it anew with -update", file)
	}
}

func outcomes() string {
	var words []string
	for o := session.None; o <= session.Spilled; o++ {
		words = append(words, o.String())
	}
	return strings.Join(words, ", ")
}

// questions are what operators ask first, with the query that answers.
const questions = `## Questions and queries

Do turns find their cache? The share of prompt tokens that the servers had cached, for pinned requests and others:

` + "```" + `
sum by (outcome) (rate(tether_cached_prompt_tokens_total[5m])) / sum by (outcome) (rate(tether_prompt_tokens_total[5m]))
` + "```" + `

What is affinity worth? Time to first byte of pinned requests beside that of new ones:

` + "```" + `
histogram_quantile(0.5, sum by (outcome, le) (rate(tether_time_to_first_byte_seconds_bucket[5m])))
` + "```" + `

Do conversations move more than they should? Those that go on with a response which another server made move too.

` + "```" + `
sum(rate(tether_requests_total{outcome="moved"}[5m])) / sum(rate(tether_requests_total[5m]))
` + "```" + `

Which server makes trouble?

` + "```" + `
sum by (upstream, result) (rate(tether_attempts_total{result!="answered"}[5m]))
` + "```" + `

Do all replicas place alike? More than one line is a no:

` + "```" + `
count by (digest) (tether_ring_info)
` + "```" + `
`
