package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tether/bench/compare/peers"
	"tether/bench/compare/traffic"
)

const (
	// warming is the time between the opening of the connections and the measurement, unless the row names another.
	warming = 300 * time.Millisecond
	// settling is the time after a measurement in which a peer closes what the clients left, settlingLimit that for a peer which takes longer to
	// close thousands of connections: the next measurement needs the descriptors.
	settling      = 200 * time.Millisecond
	settlingLimit = 10 * time.Second
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
func (l *lab) awaitAnswer(ctx context.Context, p *peers.Process, upstreams *traffic.Upstreams, overTLS bool) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	upstreams.Set(traffic.Answer{Size: answerBody})
	plan := traffic.Plan{
		Addr: p.Addr, Prefix: p.Prefix, SessionHeader: p.SessionHeader, Clients: 1, Sessions: 1, Body: requestBody, Size: answerBody,
		Once: true, TLS: overTLS,
	}
	for {
		load, err := l.clients.Start(ctx, plan)
		if err == nil {
			load.Close()
			return nil
		}
		if sleep(ctx, 100*time.Millisecond) != nil {
			return fmt.Errorf("it does not answer: %w", err)
		}
	}
}

// cost measures what the load costs a peer, or the load and the upstreams themselves without a peer.
func (t *trial) cost(ctx context.Context) (figures, error) {
	if t.row.busy {
		defer burn()()
	}
	before := openDescriptors()
	load, err := t.clients.Start(ctx, t.plan())
	if err != nil {
		return nil, err
	}
	defer func() { load.Close(); settle(before) }()
	opening := load.Counts()
	if err := sleep(ctx, cmp.Or(t.row.warming, warming)); err != nil {
		return nil, err
	}
	load.Reset()
	used, err := usage(t.process)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := sleep(ctx, t.window*time.Duration(max(t.row.windows, 1))); err != nil {
		return nil, err
	}
	counts := load.Counts()
	took := time.Since(began)
	after, err := usage(t.process)
	if err != nil {
		return nil, err
	}
	if err := counts.Err(); err != nil {
		return nil, err
	}
	if _, err := t.upstreams.Skipped(); err != nil {
		return nil, err
	}
	return reckon(t.row, opening, counts, after.Sub(used), took)
}

// settle waits until the peer has closed most of the connections that this process did not have before.
func settle(before int) {
	time.Sleep(settling)
	for limit := time.Now().Add(settlingLimit); openDescriptors() > before+spare/2 && time.Now().Before(limit); {
		time.Sleep(settling)
	}
}

// openDescriptors returns how many descriptors this process has open, 0 if the system does not say.
func openDescriptors() int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(all)
}

// allocations measures what a request allocates, by tether's own metrics. What it costs to read the metrics is subtracted.
func (t *trial) allocations(ctx context.Context) (figures, error) {
	load, err := t.clients.Start(ctx, t.plan())
	if err != nil {
		return nil, err
	}
	defer load.Close()
	if err := sleep(ctx, resting); err != nil {
		return nil, err
	}
	var mallocs [3]float64
	for i := range mallocs { // the first two readings are next to each other, so that their difference is what a reading costs
		if i == 2 {
			load.Reset()
			if err := sleep(ctx, t.window); err != nil {
				return nil, err
			}
		}
		if mallocs[i], err = t.process.Metric(ctx, "go_memstats_mallocs_total"); err != nil {
			return nil, err
		}
	}
	counts := load.Counts()
	if err := counts.Err(); err != nil {
		return nil, err
	}
	return perUnit(figures{allocated: max(mallocs[2]-2*mallocs[1]+mallocs[0], 0)}, t.row, counts)
}

// usage returns what a peer has used, or this process if p is nil.
func usage(p *peers.Process) (peers.Usage, error) {
	if p != nil {
		return p.Usage()
	}
	return ownUsage()
}

// ownUsage returns what this process has used.
func ownUsage() (peers.Usage, error) {
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
