package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tether/e2e/chaos/fleet"
	"tether/e2e/chaos/ledger"
	"tether/e2e/chaos/plan"
	"tether/e2e/chaos/talk"
	"tether/e2e/chaos/verdict"
)

const (
	servers = 8
	// warmUp is the time in which clients talk before the first fault.
	warmUp = 10 * time.Second
	// settled is the age of tether's process at which its memory is measured first.
	settled = 15 * time.Second
	// most is the number of violations that are printed.
	most = 40
)

// The exit codes.
const (
	good   = 0
	bad    = 1
	broken = 2
)

// serve is the process of a simulated server.
func serve(name, addr, file string) int {
	if err := fleet.Serve(name, addr, file); err != nil {
		fmt.Fprintln(os.Stderr, "chaos: "+name+": "+err.Error())
		return broken
	}
	return good
}

// run runs chaos, judges an earlier run, or compares, and returns the exit code.
func run(ctx context.Context, o options, out, errOut io.Writer) int {
	if o.peers != "" {
		return runComparison(ctx, o, out, errOut)
	}
	l, dir, err := o.ledger(ctx, errOut)
	if err != nil {
		fmt.Fprintln(errOut, "chaos: "+err.Error())
		return broken
	}
	violations := verdict.Judge(l)
	fmt.Fprint(out, report(l))
	for i, v := range violations {
		if i == most {
			fmt.Fprintf(out, "and %d more\n", len(violations)-most)
			break
		}
		fmt.Fprintln(out, v)
	}
	fmt.Fprintf(out, "seed %d: %d turns, %d violations\n", l.Seed, len(l.Turns), len(violations))
	if len(violations) > 0 {
		fmt.Fprintln(out, "logs and ledger: "+dir)
		return bad
	}
	if o.keep == "" && o.judge == "" {
		os.RemoveAll(dir)
	}
	return good
}

// ledger returns the ledger to judge, and the folder with the logs.
func (o options) ledger(ctx context.Context, errOut io.Writer) (l *ledger.Ledger, dir string, err error) {
	if o.judge != "" {
		l, err = ledger.Read(o.judge)
		return l, filepath.Dir(o.judge), err
	}
	if dir = o.keep; dir == "" {
		if dir, err = os.MkdirTemp("", "tether-chaos"); err != nil {
			return nil, "", err
		}
	} else if err = os.MkdirAll(dir, 0o700); err != nil {
		return nil, dir, err
	}
	fmt.Fprintf(errOut, "chaos: %v\n", o)
	w, err := newWorld(o, dir)
	if err != nil {
		return nil, dir, err
	}
	defer w.stop()
	if l, err = w.run(ctx, o); err == nil {
		err = l.Write(filepath.Join(dir, "ledger.json"))
	}
	return l, dir, err
}

// world is what a run has: the processes and the book.
type world struct {
	book    *ledger.Book
	servers []*fleet.Server
	tether  *fleet.Tether
	calm    calm
}

// newWorld starts servers and tether.
func newWorld(o options, dir string) (*world, error) {
	w := &world{book: ledger.NewBook(o.seed)}
	var err error
	if w.servers, err = startServers(dir, servers); err != nil {
		return nil, err
	}
	if w.tether, err = fleet.NewTether(o.tether, dir, w.servers); err == nil {
		err = w.tether.Start()
	}
	if w.calm.tether = w.tether; err == nil {
		err = w.calm.before()
	}
	if err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

// startServers starts servers whose files are in dir.
func startServers(dir string, n int) (all []*fleet.Server, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for i := range n {
		s, err := fleet.NewServer(program, dir, fmt.Sprint("vllm-", i))
		if err == nil {
			err = s.Start()
		}
		if err != nil {
			stopServers(all)
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func stopServers(all []*fleet.Server) {
	for _, s := range all {
		s.Kill()
	}
}

// run lets the clients talk through the plan, and returns the ledger.
func (w *world) run(ctx context.Context, o options) (*ledger.Ledger, error) {
	crowd := &talk.Crowd{Addr: w.tether.Addr, Seed: o.seed, Pause: o.pause, Book: w.book}
	talking, hush := context.WithCancel(ctx)
	defer hush()
	crowd.Start(talking, o.clients)
	watching, blink := context.WithCancel(ctx)
	defer blink()
	go w.calm.watch(watching)
	select {
	case <-time.After(warmUp):
	case <-ctx.Done():
	}
	c := &conductor{book: w.book, servers: w.servers, tether: w.tether, absent: map[string]bool{}}
	c.conduct(ctx, plan.New(o.seed, len(w.servers), o.length))
	hush()
	crowd.Wait()
	blink()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	figures, err := w.calm.after()
	if err != nil {
		return nil, err
	}
	for _, f := range figures {
		w.book.Figure(f)
	}
	if err := w.tether.Stop(); err != nil {
		w.book.Broken(err.Error())
	}
	return w.close()
}

// close reads what the servers have noted.
func (w *world) close() (*ledger.Ledger, error) {
	var all []ledger.Attempt
	for _, s := range w.servers {
		attempts, err := s.Attempts()
		if err != nil {
			return nil, err
		}
		all = append(all, attempts...)
	}
	return w.book.Close(all), nil
}

// stop ends what still runs.
func (w *world) stop() {
	stopServers(w.servers)
	w.tether.Kill()
}
