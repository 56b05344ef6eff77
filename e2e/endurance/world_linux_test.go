package endurance

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/sim"
)

// world is a tether that is attacked and a twin that is not. Both have the same upstreams: a simulated server, and one whose streams
// are endless.
type world struct {
	t              *testing.T
	n              scale
	attacked, twin *side
}

// side is a tether and its ordinary clients.
type side struct {
	t       *testing.T
	proxy   *binary.Tether
	address string
	clients []*http.Client
}

// farBuffer limits what the kernel buffers at the far ends of streams that are not read. By default it buffers megabytes for each.
// This host would have to move them, and they are not tether's.
const farBuffer = 64 << 10

func newWorld(t *testing.T, n scale) *world {
	t.Helper()
	s := sim.New(sim.Config{})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	endless := httptest.NewUnstartedServer(http.HandlerFunc(endless))
	endless.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(farBuffer) // on an error the kernel only buffers more
		return ctx
	}
	endless.Start()
	t.Cleanup(endless.Close)
	text := fmt.Sprintf(`
upstreams:
  - { url: %q, models: [tiny] }
  - { url: %q, models: [endless] }
proxy: { client_idle_timeout: %v, client_write_timeout: %v, max_connections_per_address: 4, max_in_flight: 1000 }
`, s.URL(), endless.URL, n.idleLimit, n.deafLimit)
	return &world{t: t, n: n, attacked: newSide(t, n.ordinary, text), twin: newSide(t, n.ordinary, text)}
}

func newSide(t *testing.T, clients int, config string) *side {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &side{t: t, proxy: binary.Run(t, nil, "-c", file)}
	s.address = strings.TrimPrefix(s.proxy.URL, "http://")
	for i := range clients {
		s.clients = append(s.clients, &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dialer(ordinaryClients, i).DialContext}})
	}
	t.Cleanup(s.close)
	return s
}

// close ends the connections of the ordinary clients.
func (s *side) close() {
	for _, c := range s.clients {
		c.CloseIdleConnections()
	}
}

// endless is the handler of a server whose streams do not end.
func endless(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/health":
	case "/v1/models":
		fmt.Fprint(w, `{"object":"list","data":[{"id":"endless","object":"model"}]}`)
	default:
		w.Header().Set("Content-Type", "text/event-stream")
		event := []byte("data: " + strings.Repeat("x", 4<<10) + "\n\n")
		for {
			if _, err := w.Write(event); err != nil {
				return
			}
		}
	}
}

// measure has the ordinary clients send requests to both tethers, in several windows. Every request must be served.
func (w *world) measure() (m measured) {
	w.t.Helper()
	var ofAttacked, ofTwin []time.Duration
	began, cpu, twinCPU := time.Now(), w.attacked.cpu(), w.twin.cpu()
	for range w.n.windows {
		attacked, twin := w.window()
		ofAttacked, ofTwin = append(ofAttacked, attacked), append(ofTwin, twin)
	}
	took := time.Since(began).Seconds()
	m.attacked, m.twin = spreadOf(ofAttacked), spreadOf(ofTwin)
	m.cpu, m.twinCPU = (w.attacked.cpu()-cpu)/took, (w.twin.cpu()-twinCPU)/took
	return m
}

func spreadOf(all []time.Duration) spread {
	slices.Sort(all)
	return spread{all[len(all)/2], all[0], all[len(all)-1]}
}

// pace is the time between two pairs of requests of a client. A pair has one request for each tether.
const pace = 200 * time.Millisecond

// window returns the p99 of the latency of both tethers.
func (w *world) window() (attacked, twin time.Duration) {
	w.t.Helper()
	var mu sync.Mutex
	took := map[*side][]time.Duration{}
	began := time.Now()
	var wg sync.WaitGroup
	for i := range w.n.ordinary {
		wg.Go(func() {
			sides := []*side{w.attacked, w.twin}
			next := began.Add(pace * time.Duration(i) / time.Duration(w.n.ordinary))
			for ; next.Before(began.Add(w.n.window)); next = next.Add(pace) {
				time.Sleep(time.Until(next)) // no synchronisation: this is the pace of the client
				slices.Reverse(sides)
				for _, s := range sides {
					one := s.ask(i)
					mu.Lock()
					took[s] = append(took[s], one)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	p99 := func(all []time.Duration) time.Duration {
		slices.Sort(all)
		return all[len(all)*99/100]
	}
	return p99(took[w.attacked]), p99(took[w.twin])
}

// ask sends a request of the n-th client and returns how long it took.
func (s *side) ask(n int) time.Duration {
	body := fmt.Sprintf(`{"model":"tiny","max_tokens":4,"messages":[{"role":"user","content":"client %d"}]}`, n)
	began := time.Now()
	res, err := s.clients[n].Post(s.proxy.URL+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Errorf("an ordinary client: %v", err)
		return time.Since(began)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 {
		s.t.Errorf("an ordinary client: %d %s, %v", res.StatusCode, text, err)
	}
	return time.Since(began)
}

func (s *side) metric(series string) float64 {
	s.t.Helper()
	return s.proxy.Metric(s.t, series)
}

func (s *side) await(series string, holds func(float64) bool) {
	s.t.Helper()
	s.proxy.Await(s.t, series, 2*time.Minute, holds)
}

// resources are those of tether's process, and the memory of all sockets of the host.
type resources struct {
	rss, peak   int64 // bytes of memory: now, and at most since the start
	sockets     int64 // bytes
	heap        int64 // bytes in use after a collection; only settled reads it
	descriptors int
	goroutines  float64
}

func (s *side) resources() (r resources) {
	s.t.Helper()
	r.rss = s.figure(s.proc("status"), `VmRSS:\s+(\d+) kB`) << 10
	r.peak = s.figure(s.proc("status"), `VmHWM:\s+(\d+) kB`) << 10
	r.sockets = s.figure("/proc/net/sockstat", `TCP: .* mem (\d+)`) * int64(os.Getpagesize())
	list, err := os.ReadDir(s.proc("fd"))
	if err != nil {
		s.t.Fatal(err)
	}
	r.descriptors, r.goroutines = len(list), s.metric("go_goroutines")
	return r
}

// cpu returns the processor time that tether has used, in seconds.
func (s *side) cpu() float64 {
	s.t.Helper()
	const ticks = 100 // per second, on every Linux
	stat := `\) \S+(?: \S+){10} (\d+) (\d+) `
	return float64(s.figure(s.proc("stat"), stat)) / ticks
}

func (s *side) proc(file string) string { return fmt.Sprintf("/proc/%d/%s", s.proxy.PID, file) }

// figure returns the sum of the numbers that the groups of the pattern match in a file.
func (s *side) figure(path, pattern string) (sum int64) {
	s.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	m := regexp.MustCompile(pattern).FindSubmatch(text)
	if m == nil {
		s.t.Fatalf("%s has no %s", path, pattern)
	}
	for _, digits := range m[1:] {
		n, _ := strconv.ParseInt(string(digits), 10, 64)
		sum += n
	}
	return sum
}

// slack is for the descriptors and goroutines of probes and scrapes, which come and go.
const slack = 8

// leftNothing fails the test unless tether has the same resources as before, once its ordinary clients are gone too.
func (s *side) leftNothing(before resources) {
	s.t.Helper()
	s.close()
	s.await("tether_client_connections", func(c float64) bool { return c == 0 })
	var now resources
	for deadline := time.Now().Add(lateness); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if now = s.resources(); now.descriptors <= before.descriptors+slack && now.goroutines <= before.goroutines+slack {
			return
		}
	}
	s.t.Errorf("%d descriptors, %v goroutines left; %d and %v before", now.descriptors, now.goroutines, before.descriptors, before.goroutines)
}
