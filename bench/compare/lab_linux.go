package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"tether/bench/compare/peers"
	"tether/bench/compare/traffic"
)

// spare is how many descriptors a process needs beside those of connections. Proxies accept half as many connections more than the largest
// load has.
const spare = 300

// lab is what a comparison runs in.
type lab struct {
	options
	upstreams *traffic.Upstreams
	clients   *traffic.Clients
	// columns are the peers in the order of the table, tethers the names of those that are tether.
	columns []peers.Peer
	tethers []string
	running map[string]*peers.Process
	// engine is the engine that tether chose itself.
	engine string
	// descriptors is the limit of this process and of each peer.
	descriptors int
	// cert and key are files in dir, for rows with TLS.
	dir, cert, key string
}

// newLab finds the peers, names those that are absent on out, and starts the others. The caller calls close, after an error too.
func newLab(ctx context.Context, o options, descriptors int, out io.Writer) (*lab, error) {
	l := &lab{options: o, descriptors: descriptors, running: map[string]*peers.Process{}}
	var err error
	if l.dir, err = os.MkdirTemp("", "bench-compare"); err != nil {
		return l, err
	}
	if l.cert, l.key, err = makeCertificate(l.dir); err != nil {
		return l, err
	}
	if l.upstreams, err = traffic.StartUpstreams(2); err != nil {
		return l, err
	}
	if l.clients, err = traffic.NewClients(); err != nil {
		return l, err
	}
	if err := l.find(out); err != nil {
		return l, err
	}
	return l, l.startAll(ctx, out)
}

// startAll starts the peers. It drops the columns of engines that do not run, or that tether's own column runs.
func (l *lab) startAll(ctx context.Context, out io.Writer) error {
	for _, p := range slices.Clone(l.columns) {
		process, err := l.start(ctx, p, l.upstreams, false)
		if err != nil && (p.Engine == "" || ctx.Err() != nil) {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		runs := ""
		if err == nil {
			runs = process.RunningEngine()
			l.running[p.Name] = process
		}
		switch {
		case p.Name == "tether":
			l.engine = runs
		case p.Engine == "":
		case p.Engine == l.engine:
			l.drop(out, p, "it is the engine of the column tether")
		case p.Engine != runs:
			l.drop(out, p, "it does not run here")
		}
	}
	return nil
}

// drop removes the column of an engine, and says why.
func (l *lab) drop(out io.Writer, p peers.Peer, why string) {
	fmt.Fprintf(out, "skipped: engine %s: %s\n", p.Engine, why)
	if process := l.running[p.Name]; process != nil {
		process.Stop()
		delete(l.running, p.Name)
	}
	l.columns = slices.DeleteFunc(l.columns, func(other peers.Peer) bool { return other.Name == p.Name })
	l.tethers = slices.DeleteFunc(l.tethers, func(name string) bool { return name == p.Name })
}

// find fills columns.
func (l *lab) find(out io.Writer) error {
	add := func(name, binary, engine string) {
		l.columns = append(l.columns, peers.Tether(name, binary, engine))
		l.tethers = append(l.tethers, name)
	}
	add("tether", l.tether, "")
	for _, engine := range list(l.engines) {
		add("tether "+engine, l.tether, engine)
	}
	for _, build := range list(l.builds) {
		name, binary, _ := strings.Cut(build, "=")
		add(name, binary, "")
	}
	for _, name := range list(l.others) {
		p, err := peers.Find(name)
		if errors.Is(err, peers.ErrAbsent) {
			fmt.Fprintf(out, "skipped: %s: %v\n", name, err)
			continue
		}
		if err != nil {
			return err
		}
		l.columns = append(l.columns, p)
	}
	return nil
}

// list returns the parts of a comma-separated list.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// start starts a peer in front of upstreams, and returns once it has answered a request.
func (l *lab) start(ctx context.Context, p peers.Peer, upstreams *traffic.Upstreams, overTLS bool) (*peers.Process, error) {
	w := peers.World{Upstreams: upstreams.Addrs, Connections: (l.descriptors - spare - len(upstreams.Addrs)) / 2}
	if overTLS {
		w.Cert, w.Key = l.cert, l.key
	}
	process, err := p.Start(ctx, w)
	if err != nil {
		return nil, err
	}
	if err := l.awaitAnswer(ctx, process, upstreams, overTLS); err != nil {
		process.Stop()
		return nil, fmt.Errorf("%w\n%s", err, process.Log())
	}
	return process, nil
}

// close stops everything.
func (l *lab) close() {
	for _, p := range l.running {
		p.Stop()
	}
	if l.clients != nil {
		l.clients.Stop()
	}
	if l.upstreams != nil {
		l.upstreams.Stop()
	}
	os.RemoveAll(l.dir)
}

// raiseDescriptors raises the limit of descriptors, which the peers inherit, as far as possible, and returns it.
func raiseDescriptors() (int, error) {
	const wanted = 65536
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: wanted, Max: wanted}) == nil {
		return wanted, nil
	}
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("limit of descriptors: %w", err)
	}
	r.Cur = min(r.Max, wanted)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("limit of descriptors: %w", err)
	}
	return int(r.Cur), nil
}
