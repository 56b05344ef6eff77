package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
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
	"tether/traceparent"
	"tether/tracing"
	"tether/upstream"
	"tether/upstream/models"
	"tether/upstream/transport"
	"tether/wire"
)

const benchUsage = `"usage":{"prompt_tokens":500,"total_tokens":600,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":480}}}`

var (
	benchAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat(" ", 1000-len(benchUsage)) + benchUsage
	benchBody   = `{"model":"tiny","messages":[{"role":"user","content":"` + strings.Repeat("The quick brown fox. ", 92) + `"}]}`

	benchRequest = "POST /v1/chat/completions HTTP/1.1\r\nHost: tether\r\nContent-Type: application/json\r\nX-Session-Id: s\r\nContent-Length: " +
		strconv.Itoa(len(benchBody)) + "\r\n\r\n" + benchBody
)

// BenchmarkRecorder measures the cost of metrics and access log: the CPU time of a proxied request with both, divided by
// the time without them. The CPU time of client and server, measured by direct calls, is subtracted from both. It runs 5
// alternating rounds and reports the ratios' median, least and largest.
func BenchmarkRecorder(b *testing.B) {
	backend := benchBackend(b)
	for _, mode := range []string{"errors", "all"} {
		b.Run("access="+mode, func(b *testing.B) {
			compare(b, backend, benchProxy(b, backend, nil), benchProxy(b, backend, recording(mode)))
		})
	}
}

// BenchmarkTracing measures the cost of traces in the same way. It divides the CPU time of a proxied request by the time of one where tracing is off.
// sample is the part of the requests that is traced. The first ratio compares two proxies without traces, and shows the error of the
// measurement. The collector runs in this process, so its CPU time counts too.
func BenchmarkTracing(b *testing.B) {
	backend := benchBackend(b)
	for _, sample := range []float64{-1, 0, 0.01, 1} {
		name := "off"
		if sample >= 0 {
			name = fmt.Sprint("sample=", sample)
		}
		b.Run(name, func(b *testing.B) {
			compare(b, backend, benchProxy(b, backend, nil), benchProxy(b, backend, traced(sample)))
		})
	}
}

// traced exports the traces of a part of the requests to a collector, or none if sample is negative.
func traced(sample float64) func(*testing.B, *proxy.Deps) {
	return func(b *testing.B, deps *proxy.Deps) {
		if sample < 0 {
			return
		}
		collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
		cfg := tracing.Default()
		cfg.Endpoint, cfg.Protocol, cfg.Sample = collector.URL, "http", sample
		x, err := tracing.New(cfg, "bench", func(err error) { b.Error(err) })
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			_ = x.Shutdown(context.Background())
			collector.Close()
			if n := x.Counts(); sample == 1 && n[0] == 0 {
				b.Errorf("no span was exported: %v", n)
			}
		})
		deps.Traces, deps.OnDone = &traceparent.Source{Share: sample}, x.Done
	}
}

// compare reports the ratios of what a request costs through one proxy and through the other.
func compare(b *testing.B, backend, off, on string) {
	b.Helper()
	var ratios []float64
	for b.Loop() {
		ratios = ratios[:0]
		for range 5 {
			direct := cost(b, backend, len(benchAnswer))
			// Forth and back, so that a machine that grows warmer or busier affects both.
			a1, b1, b2, a2 := cost(b, off, 0), cost(b, on, 0), cost(b, on, 0), cost(b, off, 0)
			ratios = append(ratios, (b1+b2-2*direct)/(a1+a2-2*direct))
		}
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[2], "median-ratio")
	b.ReportMetric(ratios[0], "min-ratio")
	b.ReportMetric(ratios[4], "max-ratio")
}

// benchBackend starts the server of benchRequest.
func benchBackend(b *testing.B) (addr string) { return answering(b, len(benchRequest), benchAnswer) }

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

// recording takes metrics, and an access log of the mode.
func recording(mode string) func(*testing.B, *proxy.Deps) {
	return func(b *testing.B, deps *proxy.Deps) {
		m := metrics.New("bench", deps.Registry)
		parsed, _ := accesslog.ParseMode(mode)
		lines := logs.Start(io.Discard, gatherTime)
		b.Cleanup(func() { lines.Close(time.Second) })
		access := accesslog.New(parsed, lines)
		deps.OnDone = func(r *proxy.Record) { m.Done(r); access.Done(r) }
	}
}

// benchProxy starts a proxy in front of backend, with what observe adds, nil for nothing.
func benchProxy(b *testing.B, backend string, observe func(*testing.B, *proxy.Deps)) (addr string) {
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
	if observe != nil {
		observe(b, &deps)
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
func cost(b *testing.B, addr string, answer int) float64 {
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
				if _, err := io.WriteString(c, benchRequest); err != nil {
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
