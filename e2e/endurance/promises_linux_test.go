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

// Clients announce bodies of 64 MiB, send a little more than 16 MiB, and then one byte a second. They do not prevent other clients
// from uploading 1 MiB: clients of other addresses at any time, and clients of the same addresses once the announced bodies were
// accepted or refused. All bodies together may take only 64 MiB here, so most of the announced ones are refused.
func TestAnnouncedBodiesKeepNoClientOut(t *testing.T) {
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
	const clients, announced, part = 16, 64 << 20, 16<<20 + 1
	slow := make([]net.Conn, clients)
	for i := range slow {
		c, err := dialer(slowClients, i/2).Dial("tcp", strings.TrimPrefix(p.URL, "http://")) // two clients for each address
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		slow[i] = c
	}
	over := make(chan struct{})
	var sent, ended sync.WaitGroup
	var refused, held atomic.Int64
	sent.Add(clients)
	begin := func(c net.Conn) {
		ended.Go(func() {
			_, err := fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", chatHead, announced, strings.Repeat("x", part))
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
	begin(slow[0])
	for deadline := time.Now().Add(lateness); p.Metric(t, bodiesNow) < part; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%.0f bytes of bodies", p.Metric(t, bodiesNow))
		}
	}
	other() // beside one slow client
	for _, c := range slow[1:] {
		begin(c)
	}
	other() // while the others connect
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
	t.Logf("%d uploads of other clients, %d from the addresses of %d clients that announce %d MiB each: %d were refused, %d hold %.0f bytes",
		others, own, clients, announced>>20, refused.Load(), held.Load(), bodies)
	if bodies < part || bodies > announced {
		t.Errorf("%.0f bytes of bodies", bodies)
	}
	close(over)
	ended.Wait()
}

const bodiesNow = "tether_request_body_buffer_bytes"

// settled is the longest time until a client learns that it is refused.
const settled = time.Second

// refusedWithin reports whether the client receives a 503 within limit.
func refusedWithin(c net.Conn, limit time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(limit))
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.HasPrefix(line, "HTTP/1.1 503 ")
}

// upload sends a body of 1 MiB from an address. It must be answered with 200.
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
