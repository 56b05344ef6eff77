package main

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tether/bench/compare/peers"
	"tether/bench/compare/traffic"
)

const (
	// warming is the time between the opening of the connections and the measurement.
	warming = 300 * time.Millisecond
	// settling is the time after a measurement in which a peer closes what the clients left.
	settling = 200 * time.Millisecond
	// answerLimit bounds the time until a peer answers its first request.
	answerLimit = 20 * time.Second
)

// sleep waits, unless ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitAnswer returns once a peer answers requests: it may not know yet which upstreams are up.
func (l *lab) awaitAnswer(ctx context.Context, p *peers.Process) error {
	l.upstreams.Set(traffic.Answer{Size: answerBody})
	for limit := time.Now().Add(answerLimit); ; {
		load, err := l.clients.Start(ctx, traffic.Plan{Addr: p.Addr, Clients: 1, Sessions: 1, Body: requestBody, Size: answerBody, Once: true})
		if err == nil {
			load.Close()
			return nil
		}
		if time.Now().After(limit) || ctx.Err() != nil {
			return fmt.Errorf("it does not answer: %w", err)
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// measure loads a peer, or the upstreams themselves if p is nil, with the work of a row.
func (l *lab) measure(ctx context.Context, r *row, p *peers.Process) (figures, error) {
	l.upstreams.Set(r.answer)
	plan := r.plan
	plan.Addr = l.upstreams.Addrs[0]
	if p != nil {
		plan.Addr = p.Addr
	}
	if r.busy {
		defer burn()()
	}
	load, err := l.clients.Start(ctx, plan)
	if err != nil {
		return nil, err
	}
	defer func() { load.Close(); time.Sleep(settling) }()
	opening := load.Counts()
	if err := sleep(ctx, warming); err != nil {
		return nil, err
	}
	load.Reset()
	before, err := usage(p)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := sleep(ctx, l.window*time.Duration(max(r.windows, 1))); err != nil {
		return nil, err
	}
	counts := load.Counts()
	took := time.Since(began)
	after, err := usage(p)
	if err != nil {
		return nil, err
	}
	if err := counts.Err(); err != nil {
		return nil, err
	}
	if _, err := l.upstreams.Skipped(); err != nil {
		return nil, err
	}
	return reckon(r, opening, counts, after.Sub(before), took)
}

// usage returns what a peer has used, or this process if p is nil.
func usage(p *peers.Process) (peers.Usage, error) {
	if p != nil {
		return p.Usage()
	}
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return peers.Usage{}, fmt.Errorf("getrusage: %w", err)
	}
	user, system := time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
	return peers.Usage{CPU: user + system, User: user, Switches: int(u.Nvcsw), Preempted: int(u.Nivcsw)}, nil
}

// burn runs a busy loop on each core until the function that it returns is called.
func burn() (stop func()) {
	var ended atomic.Bool
	n := runtime.NumCPU()
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(before + n)
	for core := range n {
		go spin(core, &ended)
	}
	return func() {
		ended.Store(true)
		runtime.GOMAXPROCS(before)
	}
}

// spin computes on a core. The thread ends with it, because it belongs to that core.
func spin(core int, ended *atomic.Bool) {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(core)
	_ = unix.SchedSetaffinity(0, &set) // a machine may not allow the core: then the kernel chooses one
	for !ended.Load() {
	}
}
