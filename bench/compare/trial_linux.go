package main

import (
	"context"
	"fmt"
	"time"

	"tether/bench/compare/peers"
	"tether/bench/compare/traffic"
)

const (
	// resting is the time that a process has, after its connections were opened, before its memory is read.
	resting = time.Second
	// wantedPins is the number of sessions whose memory is measured, and pinsLimit bounds the time until they are there.
	wantedPins = 1_000_000
	pinsLimit  = time.Minute
)

// trial is one measurement.
type trial struct {
	*lab
	row       *row
	process   *peers.Process // nil for a direct run
	upstreams *traffic.Upstreams
}

// perform measures a column once. It returns no figures if the row is not for the column.
func (l *lab) perform(ctx context.Context, r *row, column string) (figures, error) {
	t := &trial{lab: l, row: r, process: l.running[column], upstreams: l.upstreams}
	if r.upstreams > 0 {
		u, err := traffic.StartUpstreams(r.upstreams)
		if err != nil {
			return nil, err
		}
		defer u.Stop()
		t.upstreams = u
	}
	if r.fresh() {
		p, err := l.start(ctx, t.process.Peer, t.upstreams, r.plan.TLS)
		if err != nil {
			return nil, err
		}
		defer p.Stop()
		t.process = p
	}
	f, err := t.run(ctx)
	if err != nil && t.process != nil && t.process.Ended() {
		return nil, fmt.Errorf("%w: it has ended\n%s", err, t.process.Log())
	}
	return f, err
}

func (t *trial) run(ctx context.Context) (figures, error) {
	t.upstreams.Set(t.row.answer)
	switch t.row.kind {
	case memory:
		return t.memory(ctx)
	case sessionRSS:
		return t.sessions(ctx)
	case inside:
		return measureMapApart(ctx, t.row.sessions)
	case calls:
		return t.calls(ctx)
	case allocations:
		return t.allocations(ctx)
	default:
		return t.cost(ctx)
	}
}

// plan returns the plan of the row for the address of the trial.
func (t *trial) plan() traffic.Plan {
	plan := t.row.plan
	plan.Addr = t.upstreams.Addrs[0]
	if t.process != nil {
		plan.Addr, plan.Prefix, plan.SessionHeader = t.process.Addr, t.process.Prefix, t.process.SessionHeader
	}
	return plan
}

// memory measures what the connections of the load add to the RSS. A few connections are opened and closed first.
func (t *trial) memory(ctx context.Context) (figures, error) {
	warm := t.plan()
	warm.Clients = 50
	load, err := t.clients.Start(ctx, warm)
	if err != nil {
		return nil, err
	}
	load.Close()
	if err := sleep(ctx, resting); err != nil {
		return nil, err
	}
	before := t.process.RSS()
	if load, err = t.clients.Start(ctx, t.plan()); err != nil {
		return nil, err
	}
	defer load.Close()
	if err := sleep(ctx, resting); err != nil {
		return nil, err
	}
	after := t.process.RSS()
	counts := load.Counts()
	return figures{perConn: float64(after-before) / 1024 / float64(t.row.plan.Clients), total: float64(after) / (1 << 20)}, counts.Err()
}

// sessions measures what a million sessions add to the RSS, each with one request.
func (t *trial) sessions(ctx context.Context) (figures, error) {
	load, err := t.clients.Start(ctx, t.plan())
	if err != nil {
		return nil, err
	}
	defer load.Close()
	if err := sleep(ctx, resting); err != nil {
		return nil, err
	}
	before, n := t.process.RSS(), 0
	load.Reset()
	for limit := time.Now().Add(pinsLimit); n < wantedPins && time.Now().Before(limit); {
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
		counts := load.Counts()
		if err := counts.Err(); err != nil {
			return nil, err
		}
		n += counts.Requests
	}
	after := t.process.RSS()
	return figures{sessions: float64(n), perPin: float64(after-before) / float64(n), total: float64(after) / (1 << 20)}, nil
}
