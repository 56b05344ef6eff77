package metrics

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/failure"
	"tether/proxy"
	"tether/session"
	"tether/session/balance"
	"tether/session/identity"
	"tether/upstream"
	"tether/upstream/models"
)

func TestRequests(t *testing.T) {
	r := fleet(t, "vllm-0", "vllm-1")
	m := New("v1", r)
	a, b := r.Table().Members[0].Upstream, r.Table().Members[1].Upstream
	m.Done(&proxy.Record{
		Route: "/v1/chat/completions", Model: []byte("tiny"), Outcome: session.Spilled, Status: 200, Attempts: 2, Replays: 1, Wide: true, Hot: 17, Ignored: 3, Unfilled: 1<<identity.FromHeader | 1<<identity.FromBody,
		Surplus: true, Tries: []proxy.Try{{Upstream: a, Failure: failure.Cut}, {Upstream: b, Failure: failure.None}},
		Source:  identity.Source{Kind: identity.FromOpening},
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
		`tether_reported_prompt_tokens_total{model="tiny",outcome="spilled"} 40`,
		`tether_cached_prompt_tokens_total{model="tiny",outcome="spilled"} 32`,
		`tether_session_ids_total{source="opening"} 1`, `tether_session_ids_total{source="none"} 1`,
		`tether_request_body_bytes_total 100`, `tether_response_body_bytes_total 200`, `tether_replays_total 1`,
		`tether_session_ids_unfilled_total{place="header"} 1`, `tether_session_ids_unfilled_total{place="cookie"} 0`, `tether_session_ids_unfilled_total{place="body"} 1`,
		`tether_session_ids_ignored_total 3`, `tether_hot_session_requests_total 1`, `tether_wide_opening_requests_total 1`, `tether_crowd_surplus_total 1`, `tether_clients_left_total 1`,
		`tether_requests_refused_total{reason="head_too_large",status="431"} 1`,
		`tether_probes_total{result="timed_out",upstream="vllm-0"} 1`,
		`tether_certificate_reloads_total{result="failed"} 0`, `tether_api_key_reloads_total{result="failed"} 0`,
	)
}

// Where sessions begin, and why requests go elsewhere.
func TestPlacements(t *testing.T) {
	r := fleet(t, "vllm-0")
	m := New("v1", r)
	for _, rec := range []proxy.Record{
		{Outcome: session.New},
		{Outcome: session.New},
		{Outcome: session.New, Away: balance.Busier},
		{Outcome: session.New, Away: balance.Lost},
		{Outcome: session.Moved, Away: balance.Gone},
		{Outcome: session.Moved, Away: balance.Gone},
		{Outcome: session.Pinned},
		{Outcome: session.Spilled, Away: balance.Full},
		{},
	} {
		m.Done(&rec)
	}
	text := scrape(t, m)
	want(t, text,
		`tether_placements_total{where="home"} 2`, `tether_placements_total{where="away"} 2`,
		`tether_away_total{outcome="new",reason="busier"} 1`, `tether_away_total{outcome="new",reason="down"} 1`,
		`tether_away_total{outcome="moved",reason="gone"} 2`, `tether_away_total{outcome="spilled",reason="full"} 1`,
	)
	if n := strings.Count(text, "tether_away_total{"); n != 4 {
		t.Errorf("%d series of tether_away_total, want 4", n)
	}
}

// A model name that only a client sends creates no series. Names that upstreams list create a bounded number.
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
	var many []models.Model
	for n := range 10 * maxModels {
		many = append(many, models.Model{ID: fmt.Sprint("adapter-", n)})
	}
	r.Table().Members[0].SetModels(models.New(many))
	for _, model := range many {
		m.Done(&proxy.Record{Model: []byte(model.ID), Status: 200})
	}
	if n := strings.Count(scrape(t, m), "\ntether_requests_total{"); n > maxModels+2 {
		t.Errorf("%d series", n)
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
					Tries: []proxy.Try{{Upstream: u, Failure: failure.Kind(n % failure.Count)}},
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

// Counting a request allocates nothing if its labels were used before.
func TestDoneAllocatesNothing(t *testing.T) {
	r := fleet(t, "vllm-0")
	m := New("v1", r)
	rec := ordinaryRecord(r)
	m.Done(rec)
	if n := testing.AllocsPerRun(1000, func() { m.Done(rec) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDone(b *testing.B) {
	r := fleet(b, "vllm-0")
	m := New("v1", r)
	rec := ordinaryRecord(r)
	for b.Loop() {
		m.Done(rec)
	}
}

// ordinaryRecord returns the record of an ordinary request.
func ordinaryRecord(r *upstream.Registry) *proxy.Record {
	return &proxy.Record{
		Route: "/v1/chat/completions", Model: []byte("tiny"), Outcome: session.Pinned, Status: 200, Attempts: 1,
		Source: identity.Source{Kind: identity.FromHeader, Name: "x-session-id"}, Tries: []proxy.Try{{Upstream: r.Table().Members[0].Upstream}},
		BytesIn: 2000, BytesOut: 1000, FirstByte: 20 * time.Millisecond, Duration: time.Second, PromptTokens: 500, CachedTokens: 480,
	}
}
