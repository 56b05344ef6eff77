package cli

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/demo"
)

// quick is a demonstration of a second or two. Each of its parts ends as soon as what it waits for has happened.
func quick(o *demoOptions, out *display) demo.Config {
	return demo.Config{
		Upstreams: 4, Affinity: o.affinity == "on", Out: out,
		Pace: demo.Pace{
			Conversations: 24, Opening: 300, Question: 20, Answer: 4, Turns: 8, Think: 150 * time.Millisecond,
			Prefill: 10 * time.Microsecond, Interval: 100 * time.Millisecond,
			Before: 500 * time.Millisecond, Outage: 200 * time.Millisecond, After: 100 * time.Millisecond,
			Redraw: 20 * time.Millisecond, Reprint: 100 * time.Millisecond,
		},
		Start: func(s demo.Setup) (*demo.Proxy, error) {
			return o.tether(context.Background(), s, 4<<30)
		},
	}
}

func anywhere() *demoOptions {
	return &demoOptions{affinity: "on", listen: "127.0.0.1:0", admin: "127.0.0.1:0"}
}

// display is what a demonstration has printed so far.
type display struct {
	mu    sync.Mutex
	buf   bytes.Buffer  // guarded by mu
	until string        // guarded by mu
	seen  chan struct{} // closed when until was printed
}

func (d *display) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.buf.Write(p)
	if d.until != "" && strings.Contains(d.buf.String(), d.until) {
		d.until = ""
		close(d.seen)
	}
	return len(p), nil
}

func (d *display) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.buf.String()
}

// With affinity prompts are found in the cache, and the death of a server moves no other conversations; without affinity
// neither holds.
func TestDemoOnce(t *testing.T) {
	out := &display{}
	on, off, err := demo.Once(t.Context(), quick(anywhere(), out))
	t.Logf("%s", out.text())
	if err != nil {
		t.Fatal(err)
	}
	if on.HitRate < 0.75 || on.HitRate < off.HitRate+0.15 {
		t.Errorf("hit rate %.2f with affinity, %.2f without", on.HitRate, off.HitRate)
	}
	if on.Others.Of < 12 || on.Others.Moved != 0 || on.Orphans.Of == 0 || on.Orphans.Moved != on.Orphans.Of {
		t.Errorf("with affinity %v of the dead server's and %v of the others moved", on.Orphans, on.Others)
	}
	if off.Others.Of < 12 || off.Others.Moved < off.Others.Of/4 {
		t.Errorf("without affinity %v of the others moved: the figure says nothing", off.Others)
	}
	if on.Failed+off.Failed > 0 {
		t.Errorf("%d and %d requests failed", on.Failed, off.Failed)
	}
	words := strings.Join(strings.Fields(out.text()), " ") // lines end where a name is long
	for _, want := range []string{"With affinity:", "Without affinity", "is killed", "is back", ", 0 of the ", "affinity on affinity off", "Held: a server died"} {
		if !strings.Contains(words, want) {
			t.Errorf("nothing says %q", want)
		}
	}
}

// The promise is checked: a run with affinity in which all conversations move is an error.
func TestDemoOnceSeesABrokenPromise(t *testing.T) {
	out := &display{}
	cfg := quick(anywhere(), out)
	start := cfg.Start
	cfg.Start = func(s demo.Setup) (*demo.Proxy, error) {
		s.Affinity = false
		return start(s)
	}
	_, _, err := demo.Once(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "conversations on other servers moved, want none") || strings.Contains(out.text(), "Held") {
		t.Errorf("%v\n%s", err, out.text())
	}
}

// The demonstration goes on until its user ends it, and leaves nothing running.
func TestDemoRun(t *testing.T) {
	for _, affinity := range []string{"on", "off"} {
		o := anywhere()
		o.affinity = affinity
		out := &display{until: "Moved: ", seen: make(chan struct{})}
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		ended := make(chan error, 1)
		go func() { ended <- demo.Run(ctx, quick(o, out)) }()
		select {
		case <-out.seen:
		case err := <-ended:
			t.Fatalf("ended: %v\n%s", err, out.text())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, want := range []string{"curl -i 127.0.0.1:", "affinity " + affinity + "\n", "server  state", "vllm-2  ", "is killed", "\nstopped\n"} {
			if !strings.Contains(out.text(), want) {
				t.Errorf("nothing says %q\n%s", want, out.text())
			}
		}
		if strings.Contains(out.text(), "\x1b") {
			t.Error("there is no terminal to draw on")
		}
	}
}

// An interrupted demonstration has nothing to compare.
func TestDemoOnceInterrupted(t *testing.T) {
	out := &display{until: "is killed", seen: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { <-out.seen; cancel() }()
	if _, _, err := demo.Once(ctx, quick(anywhere(), out)); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("%v\n%s", err, out.text())
	}
}

// A tether that ends by itself ends the demonstration, with its error.
func TestDemoEndsWithItsTether(t *testing.T) {
	out := &display{until: "curl", seen: make(chan struct{})}
	cfg := quick(anywhere(), out)
	start := cfg.Start
	cfg.Start = func(s demo.Setup) (*demo.Proxy, error) {
		p, err := start(s)
		if err != nil {
			return nil, err
		}
		stop := p.Stop
		p.Stop = func() error {
			if err := stop(); err != nil {
				return err
			}
			return fmt.Errorf("out of order")
		}
		go func() { <-out.seen; _ = stop() }()
		return p, nil
	}
	if err := demo.Run(t.Context(), cfg); err == nil || err.Error() != "out of order" {
		t.Errorf("%v\n%s", err, out.text())
	}
}

func TestDialable(t *testing.T) {
	for addr, want := range map[string]string{
		"[::]:8080": "127.0.0.1:8080", "0.0.0.0:80": "127.0.0.1:80", "127.0.0.1:8080": "127.0.0.1:8080", "[::1]:8080": "[::1]:8080",
	} {
		if got := dialable(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

// A port in use is reported before anything else, with the flag that selects another.
func TestDemoPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := anywhere()
	o.admin = l.Addr().String()
	out := &display{}
	err = demo.Run(t.Context(), quick(o, out))
	if err == nil || !strings.Contains(err.Error(), "is in use: stop what listens there, or choose another address with --admin-listen") || out.text() != "" {
		t.Errorf("%v\n%s", err, out.text())
	}
}
