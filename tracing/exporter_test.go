package tracing

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Requests never wait for a collector that takes nothing: what is too much is dropped and counted, and no span is counted twice.
func TestStalledCollector(t *testing.T) {
	held := make(chan struct{})
	c := newCollector(t, held)
	x, err := New(Config{Endpoint: c.grpc, Protocol: "grpc", Timeout: patience}, "v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := moved(t)
	const workers, each, spans = 4, 2_000, 3
	var slowest atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range each {
				began := time.Now()
				x.Done(r)
				slowest.Store(max(slowest.Load(), int64(time.Since(began))))
			}
		})
	}
	all.Wait()
	if took := time.Duration(slowest.Load()); took > patience/2 { // an export that stalls ends after patience
		t.Errorf("a request waited %v", took)
	}
	if dropped := x.Counts()[2]; dropped < workers*each*spans-2*maxQueue {
		t.Errorf("%d spans dropped, of %d", dropped, workers*each*spans)
	}
	close(held)
	if err := x.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := x.Counts()
	if n[0]+n[1]+n[2] != workers*each*spans || n[1] != 0 || int(n[0]) != len(c.spans) {
		t.Errorf("%v of %d spans, %d received", n, workers*each*spans, len(c.spans))
	}
}

// A collector that is not there costs spans, one call of failed, and nothing else. Shutdown ends in time.
func TestAbsentCollector(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := "http://" + l.Addr().String()
	l.Close()
	for _, protocol := range []string{"grpc", "http"} {
		var failures atomic.Int32
		x, err := New(Config{Endpoint: endpoint, Protocol: protocol, Timeout: 200 * time.Millisecond}, "v1", func(error) { failures.Add(1) })
		if err != nil {
			t.Fatal(err)
		}
		for range 2 * batch {
			x.Done(moved(t))
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_ = x.Shutdown(ctx)
		if ctx.Err() != nil {
			t.Errorf("%s: the end took over %v", protocol, patience)
		}
		cancel()
		if n := x.Counts(); n[0] != 0 || n[1] != 2*batch*3 || failures.Load() != 1 {
			t.Errorf("%s: %v, failed was called %d times", protocol, n, failures.Load())
		}
	}
}
