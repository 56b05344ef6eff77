package admin

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// No request of an operator fails while a server leaves its listener to another one, not even one that is just being read.
func TestLeaveLosesNoRequest(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0")
	for o.server.serving.Load() == nil {
		runtime.Gosched() // it is about to serve
	}
	file, err := (*o.server.serving.Load()).(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.FileListener(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	next := NewServer(l.Addr(), depsOf(t, o.registry, ""))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- next.Serve(ctx, l) }()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	var asked atomic.Int64
	var stop atomic.Bool
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for !stop.Load() {
				res, err := client.Get("http://" + o.addr + "/healthz")
				if err != nil {
					t.Error(err)
					return
				}
				res.Body.Close()
				asked.Add(1)
			}
		})
	}
	for asked.Load() < 200 && !t.Failed() {
		runtime.Gosched() // until there is load
	}
	o.server.Leave()
	for since := asked.Load(); asked.Load() < since+200 && !t.Failed(); {
		runtime.Gosched() // until the other one serves alone
	}
	stop.Store(true)
	workers.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
