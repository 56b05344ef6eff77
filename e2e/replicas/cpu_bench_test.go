package replicas

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/session/store/storetest"
)

const (
	cpuClients = 16
	cpuWindow  = 100 * time.Millisecond
	cpuTalks   = 20 // of each client
)

// BenchmarkCPUOfStore prints what a JSON request of a conversation takes of the CPU of a tether with a store, relative to one without. Both are
// measured alternately, in short windows, so that what else runs on the machine slows both alike. A second tether uses the store too, so
// that reports are received.
func BenchmarkCPUOfStore(b *testing.B) {
	server := storetest.Start(b, storetest.Programs(b)[0])
	upstreams := []string{answering(b), answering(b)}
	secret := filepath.Join(b.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("the secret of all replicas"), 0o600); err != nil {
		b.Fatal(err)
	}
	run := func(store string) *side {
		file := filepath.Join(b.TempDir(), "tether.yaml")
		text := "session: { placement: load, secret_file: " + secret + store + " }\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		transport := &http.Transport{MaxIdleConnsPerHost: cpuClients}
		b.Cleanup(transport.CloseIdleConnections)
		return &side{p: binary.Run(b, upstreams, "-c", file), client: http.Client{Transport: transport, Timeout: patience}}
	}
	store := ", store: { url: 'redis://" + server.Addr + "' }"
	with, without, other := run(store), run(""), run(store)
	with.p.Await(b, "tether_store_load_replicas", patience, func(v float64) bool { return v == 1 })
	for _, one := range []*side{with, without, other} {
		one.serve(b, 10*cpuWindow) // connections are open, and sessions have begun
		one.cpu, one.answers = 0, 0
	}
	b.ResetTimer()
	for range b.N {
		for range 5 { // in both orders
			with.serve(b, cpuWindow)
			without.serve(b, cpuWindow)
			without.serve(b, cpuWindow)
			with.serve(b, cpuWindow)
		}
	}
	b.StopTimer()
	b.ReportMetric(with.perRequest()/without.perRequest(), "with/without")
	b.ReportMetric(with.perRequest(), "us-with")
	b.ReportMetric(without.perRequest(), "us-without")
}

// side is a tether, its client, and what it has done so far.
type side struct {
	p       *binary.Tether
	client  http.Client
	cpu     time.Duration
	answers int64
}

// perRequest returns the microseconds of CPU that the tether has taken for each request.
func (s *side) perRequest() float64 {
	return float64(s.cpu.Microseconds()) / float64(max(1, s.answers))
}

// answering starts a server that answers everything with a short JSON, and returns its URL.
func answering(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answer := `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"answer"},"finish_reason":"stop"}]}`
	s := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-ended })
	return "http://" + l.Addr().String()
}

// serve sends requests for a time, and adds what they take.
func (s *side) serve(t testing.TB, window time.Duration) {
	var answers atomic.Int64
	var stop atomic.Bool
	var all sync.WaitGroup
	before := s.p.CPU(t)
	for c := range cpuClients {
		all.Go(func() {
			for n := 0; !stop.Load(); n++ {
				if err := s.ask(fmt.Sprintf("c%d-%d", c, n%cpuTalks)); err != nil {
					t.Error(err)
					return
				}
				answers.Add(1)
			}
		})
	}
	time.Sleep(window)
	stop.Store(true)
	all.Wait()
	s.cpu += s.p.CPU(t) - before
	s.answers += answers.Load()
}

// ask sends a turn of a conversation.
func (s *side) ask(id string) error {
	messages := `{"role":"user","content":"` + strings.Repeat("hello ", 300) + `"},{"role":"assistant","content":"answer"},{"role":"user","content":"go on"}`
	req, err := http.NewRequest(http.MethodPost, s.p.URL+"/v1/chat/completions", strings.NewReader(`{"model":"tiny","messages":[`+messages+`]}`))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Session-Id", id)
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err = io.Copy(io.Discard, res.Body); err == nil && res.StatusCode != 200 {
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	return err
}
