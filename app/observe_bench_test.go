package app

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tether/accesslog"
	"tether/logs"
	"tether/metrics"
	"tether/proxy"
	"tether/session"
	"tether/session/identity"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/upstream"
	"tether/upstream/models"
	"tether/upstream/transport"
	"tether/wire"
)

const (
	benchBody   = `{"model":"tiny","messages":[{"role":"user","content":"`
	benchAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
)

// BenchmarkRecorder measures the cost of metrics and access log: the CPU time of a proxied request with both, divided by
// the time without them. The CPU time of client and server, measured by direct calls, is subtracted from both. It runs 5
// alternating rounds and reports the ratios' median, least and largest.
func BenchmarkRecorder(b *testing.B) {
	usage := `"usage":{"prompt_tokens":500,"total_tokens":600,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":480}}}`
	answer := benchAnswer + strings.Repeat(" ", 1000-len(usage)) + usage
	body := benchBody + strings.Repeat("The quick brown fox. ", 92) + `"}]}`
	request := "POST /v1/chat/completions HTTP/1.1\r\nHost: tether\r\nContent-Type: application/json\r\nX-Session-Id: s\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body
	backend := answering(b, len(request), answer)
	for _, mode := range []string{"errors", "all"} {
		b.Run("access="+mode, func(b *testing.B) {
			off := benchProxy(b, backend, "")
			on := benchProxy(b, backend, mode)
			var ratios []float64
			for b.Loop() {
				ratios = ratios[:0]
				for range 5 {
					direct := cost(b, backend, request, len(answer))
					// Forth and back, so that a machine that grows warmer or busier affects both.
					a1, b1, b2, a2 := cost(b, off, request, 0), cost(b, on, request, 0), cost(b, on, request, 0), cost(b, off, request, 0)
					ratios = append(ratios, (b1+b2-2*direct)/(a1+a2-2*direct))
				}
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[2], "median-ratio")
			b.ReportMetric(ratios[0], "min-ratio")
			b.ReportMetric(ratios[4], "max-ratio")
		})
	}
}

// answering is a server that answers every request of size bytes, and allocates nothing for it.
func answering(b *testing.B, size int, answer string) (addr string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	serve := func(c net.Conn) {
		defer c.Close()
		buf := make([]byte, 64<<10)
		for n := 0; ; {
			k, err := c.Read(buf[n:])
			if err != nil {
				return
			}
			n += k
			// The proxy adds fields; a request is whole when its body's end is there.
			if n < size || !bytes.HasSuffix(buf[:n], []byte(`"}]}`)) {
				continue
			}
			n = 0
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return l.Addr().String()
}

// benchProxy starts a proxy in front of backend, with metrics and an access log of the mode, or without them if mode is "".
func benchProxy(b *testing.B, backend, mode string) (addr string) {
	b.Helper()
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	registry := upstream.NewRegistry(nil)
	_, err := registry.Apply([]upstream.Spec{{Name: "vllm-0", Address: transport.Address{Network: "tcp", Dial: backend, Host: backend}, Weight: 100}})
	check(err)
	u := registry.Table().Members[0].Upstream
	u.SetHealth(upstream.Up, "test")
	u.SetModels(models.New([]models.Model{{ID: "tiny"}}))
	cfg := identity.Default()
	identifier, err := identity.NewIdentifier(&cfg, &identity.Models{}, nil)
	check(err)
	router := session.NewRouter(session.Default(), pins.NewMap(1000, time.Hour), pins.NewMap(1000, session.ResponsesTTL), prefill.New(prefill.Default()), rand.IntN)
	check(router.Use(registry.Table(), nil))
	ready := make(chan struct{})
	close(ready)
	deps := proxy.Deps{Registry: registry, Router: router, Verdicts: ready, MemoryLimit: 4 << 30, Log: zap.NewNop()}
	if mode != "" {
		m := metrics.New("bench", registry)
		parsed, _ := accesslog.ParseMode(mode)
		lines := logs.Start(io.Discard, gatherTime)
		b.Cleanup(func() { lines.Close(time.Second) })
		access := accesslog.New(parsed, lines)
		deps.OnDone = func(r *proxy.Record) { m.Done(r); access.Done(r) }
	}
	p, err := proxy.New(proxy.Settings{Config: proxy.Default(), Identifier: identifier}, deps)
	check(err)
	watch, err := wire.NewWatch()
	check(err)
	l, err := wire.Listen("127.0.0.1:0", wire.ListenConfig{}, watch)
	check(err)
	parts := newSteps()
	parts.start("watch", watch.Run)
	parts.start("listener", serve(p, l, nil))
	b.Cleanup(func() {
		check(l.Close())
		p.Shutdown(context.Background())
		u.SetHealth(upstream.Down, "the benchmark is over") // closes its connections
		check(parts.stop(context.Background()))
	})
	return l.Addr().String()
}

// cost returns the process's CPU time for one request in ns, averaged over many requests on a few connections.
func cost(b *testing.B, addr, request string, answer int) float64 {
	b.Helper()
	const connections, requests = 4, 5000
	var before, after unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			buf := make([]byte, 64<<10)
			for range requests {
				if _, err := io.WriteString(c, request); err != nil {
					b.Error(err)
					return
				}
				for n := 0; ; {
					k, err := c.Read(buf[n:])
					if err != nil {
						b.Error(err)
						return
					}
					n += k
					if n >= answer && bytes.HasSuffix(buf[:n], []byte(`480}}}`)) {
						break
					}
				}
			}
		})
	}
	all.Wait()
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	return float64(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano()) / (connections * requests)
}
