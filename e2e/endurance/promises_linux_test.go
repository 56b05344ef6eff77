package endurance

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/sim"
)

// Clients that promise bodies of 64 MiB and send a byte a second keep nobody from uploading 1 MiB: not others, and not
// those of their own address. All bodies together may take no more here than one of them promises.
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
	const clients, promise = 16, 64 << 20
	var all sync.WaitGroup
	for i := range clients {
		c, err := dialer(slowClients, i/2).Dial("tcp", strings.TrimPrefix(p.URL, "http://")) // two of an address
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n", chatHead, promise)
		all.Go(func() { promises(t, c) })
	}
	began, uploads := time.Now(), 0
	for ; time.Since(began) < slowLimit*8/10; uploads++ {
		upload(t, p.URL, uploads%(clients/2)) // from the addresses of those
		upload(t, p.URL, clients+uploads%100)
	}
	t.Logf("%d pairs of uploads in %v beside %d clients that promise %d MiB each", uploads, time.Since(began).Round(time.Second), clients, promise>>20)
	all.Wait()
}

// promises dribbles until it is answered that it is too slow.
func promises(t *testing.T, c net.Conn) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := wantTimeout(c); err != nil {
			t.Errorf("a client that only promises: %v", err)
		}
	}()
	dribble(c, ended)
}

// upload sends 1 MiB from an address, and must be served.
func upload(t *testing.T, url string, from int) {
	t.Helper()
	client := http.Client{Timeout: slowLimit, Transport: &http.Transport{DialContext: dialer(slowClients, from).DialContext, DisableKeepAlives: true}}
	body := `{"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"` + strings.Repeat("x", 1<<20) + `"}]}`
	res, err := client.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatalf("an upload: %v", err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 {
		t.Fatalf("an upload: %d %s, %v", res.StatusCode, text, err)
	}
}
