package endurance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/sim"
)

// Clients that promise bodies of 64 MiB, send more than 16 of them and then a byte a second keep nobody from uploading 1 MiB: not
// others at any time, and not those of their own addresses once they have what they get. All bodies together may take no more here
// than one of them promises, so most of these clients are refused.
func TestPromisesKeepNobodyOut(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a limit")
	}
	s := sim.New(sim.Config{})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	t.Setenv("TETHER_PROXY_MAX_BODY_TOTAL", "64MiB")
	p := binary.Run(t, []string{s.URL()})
	const clients, promise, part = 16, 64 << 20, 16<<20 + 1
	promises := make([]net.Conn, clients)
	for i := range promises {
		c, err := dialer(slowClients, i/2).Dial("tcp", strings.TrimPrefix(p.URL, "http://")) // two of an address
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		promises[i] = c
	}
	over := make(chan struct{})
	var sent, ended sync.WaitGroup
	var refused, held atomic.Int64
	sent.Add(clients)
	begin := func(c net.Conn) {
		ended.Go(func() {
			_, err := fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", chatHead, promise, strings.Repeat("x", part))
			sent.Done()
			if err != nil || refusedWithin(c, settled) {
				refused.Add(1)
				return
			}
			held.Add(1)
			dribble(c, over)
		})
	}
	others := 0
	other := func() {
		upload(t, p.URL, clients+others%100)
		others++
	}
	begin(promises[0])
	for deadline := time.Now().Add(lateness); p.Metric(t, bodiesNow) < part; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%.0f bytes of bodies", p.Metric(t, bodiesNow))
		}
	}
	other() // beside one
	for _, c := range promises[1:] {
		begin(c)
	}
	other() // while they come
	sent.Wait()
	began, own := time.Now(), 0
	for time.Since(began) < 2*settled {
		other()
	}
	for ; time.Since(began) < slowLimit*8/10; own++ {
		other()
		upload(t, p.URL, own%(clients/2))
	}
	bodies := p.Metric(t, bodiesNow)
	t.Logf("%d uploads of others, %d from the addresses of %d clients that promise %d MiB each: %d were refused, %d hold %.0f bytes",
		others, own, clients, promise>>20, refused.Load(), held.Load(), bodies)
	if bodies < part || bodies > promise {
		t.Errorf("%.0f bytes of bodies", bodies)
	}
	close(over)
	ended.Wait()
}

const bodiesNow = "tether_request_body_buffer_bytes"

// settled is how long it takes at most until a client is told that it is refused.
const settled = time.Second

// refusedWithin reports whether a client is answered that there are too many.
func refusedWithin(c net.Conn, limit time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(limit))
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.HasPrefix(line, "HTTP/1.1 503 ")
}

// upload sends a body of 1 MiB from an address, and must be served.
func upload(t *testing.T, url string, from int) {
	t.Helper()
	client := http.Client{Timeout: slowLimit, Transport: &http.Transport{DialContext: dialer(slowClients, from).DialContext, DisableKeepAlives: true}}
	const before, after = `{"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"`, `"}]}`
	body := before + strings.Repeat("x", 1<<20-len(before)-len(after)) + after
	res, err := client.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatalf("an upload: %v", err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 {
		t.Fatalf("an upload: %d %s, %v", res.StatusCode, text, err)
	}
}
