package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/sim"
)

const (
	openPages   = 50
	requestRate = 1000 // a second
	measureTime = 4 * time.Second
)

// BenchmarkCostOfPages prints which share of tether's CPU 50 open status pages take beside 1,000 requests a second. Each is measured alone, and
// less an idle tether: their sum varies more than the pages take.
func BenchmarkCostOfPages(b *testing.B) {
	var urls []string
	for range 4 {
		s := sim.New(sim.Config{})
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(s.Stop)
		urls = append(urls, s.URL())
	}
	p := binary.Run(b, urls)
	var snapshots, answers atomic.Int64
	with := func(n int, run func(ctx context.Context, i int)) (cpu time.Duration) {
		ctx, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { run(ctx, i) })
		}
		time.Sleep(time.Second) // pages have got their history, and connections are open
		before := p.CPU(b)
		snapshots.Store(0)
		answers.Store(0)
		time.Sleep(measureTime)
		cpu = p.CPU(b) - before
		cancel()
		all.Wait()
		return cpu
	}
	var requests, pages time.Duration
	var answered int64
	for range b.N {
		idle := with(0, nil)
		pages += with(openPages, func(ctx context.Context, _ int) { readPage(ctx, b, p.Admin, &snapshots) }) - idle
		if least := int64(openPages * (measureTime/time.Second - 1)); snapshots.Load() < least {
			b.Errorf("the pages got %d snapshots, want %d", snapshots.Load(), least)
		}
		requests += with(50, func(ctx context.Context, i int) { request(ctx, p.URL, i, &answers) }) - idle
		answered += answers.Load()
	}
	perSecond := pages.Seconds() / (measureTime.Seconds() * float64(b.N))
	b.ReportMetric(100*perSecond/(perSecond+requestRate*requests.Seconds()/float64(answered)), "%pages")
	b.ReportMetric(1000*perSecond, "ms-pages/s")
}

// readPage reads a status page's stream.
func readPage(ctx context.Context, t testing.TB, admin string, snapshots *atomic.Int64) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/api/live", nil)
	if err != nil {
		t.Error(err)
		return
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil || res.StatusCode != 200 {
		t.Errorf("no page: %v", err)
		return
	}
	defer res.Body.Close()
	for lines := bufio.NewReader(res.Body); ; {
		line, err := lines.ReadSlice('\n')
		if err == nil && string(line) == "event: now\n" {
			snapshots.Add(1)
		}
		if err != nil && err != bufio.ErrBufferFull {
			if ctx.Err() == nil {
				t.Errorf("the stream of a page ended: %v", err)
			}
			return
		}
	}
}

// request sends its share of the requests, those of some conversations.
func request(ctx context.Context, url string, client int, answers *atomic.Int64) {
	pace := time.NewTicker(50 * time.Second / requestRate) // there are 50 clients
	defer pace.Stop()
	c := http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	for n := 0; ctx.Err() == nil; n++ {
		body := strings.NewReader(`{"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"` + strings.Repeat("hello ", 100) + `"}]}`)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", body)
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Session-Id", fmt.Sprintf("c%d-%d", client, n%20))
		if res, err := c.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			answers.Add(1)
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
	}
}
