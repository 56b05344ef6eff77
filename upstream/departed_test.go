package upstream

import (
	"context"
	"io"
	"testing"
	"time"
)

// A request at a removed server goes on for the limit, and is cut after it. A server without requests is forgotten at once.
func TestRequestsAtRemovedServersAreCut(t *testing.T) {
	const limit = time.Hour
	s, other := listen(t), listen(t)
	r := NewRegistry(nil)
	r.FinishWithin(limit)
	mustApply(t, r, Spec{Name: "a", Address: s.u.Address()}, Spec{Name: "b", Address: other.u.Address()})
	u := r.Table().Named("a").Upstream
	c, err := u.Dial(t.Context(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	u.Begin()
	defer u.End()
	peer, err := s.l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	mustApply(t, r)
	removed := time.Now()
	if len(r.departed) != 2 {
		t.Fatalf("%d servers departed", len(r.departed))
	}
	r.cutOverdue(removed.Add(limit - time.Minute))
	if len(r.departed) != 1 || r.departed[0].server != u.Server {
		t.Errorf("%d servers are remembered, want the one with a request", len(r.departed))
	}
	if _, err := peer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("before the limit: %v", err)
	}
	r.cutOverdue(removed.Add(limit + time.Minute))
	if _, err := io.ReadFull(c, make([]byte, 1)); err == nil {
		t.Error("the connection is open after the limit")
	}
	if len(r.departed) > 0 {
		t.Error("the server is remembered after its requests were cut")
	}
}

// Run cuts without being asked.
func TestRunCutsRequestsAtRemovedServers(t *testing.T) {
	s := listen(t)
	r := NewRegistry(nil)
	r.FinishWithin(0)
	mustApply(t, r, Spec{Name: "a", Address: s.u.Address()})
	u := r.Table().Named("a").Upstream
	c, err := u.Dial(t.Context(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	u.Begin()
	defer u.End()
	mustApply(t, r)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(c, make([]byte, 1)); err == nil {
		t.Error("bytes that were not sent")
	} else if timeout, is := err.(interface{ Timeout() bool }); is && timeout.Timeout() {
		t.Error("the connection was never cut")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
