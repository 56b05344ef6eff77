package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"tether/bench/compare/peers"
	"tether/e2e/chaos/compare"
	"tether/e2e/chaos/fleet"
	"tether/e2e/chaos/ledger"
	"tether/e2e/chaos/plan"
	"tether/e2e/chaos/talk"
)

// scenario is what happens to servers while clients talk through each proxy of a comparison. All proxies keep their own limits and health checks.
type scenario struct {
	name    string
	leaving float64       // the part of the turns whose client leaves
	before  time.Duration // until the first step
	after   time.Duration // from the end of the last step
	steps   []plan.Step   // one after another, each from its own At after the one before
}

var scenarios = []scenario{
	{name: "kill", before: 5 * time.Second, after: 10 * time.Second, steps: []plan.Step{
		{Kind: plan.Kill, Server: 1, For: 10 * time.Second}, {Kind: plan.Kill, Server: 2, For: 3 * time.Second, At: 5 * time.Second},
	}},
	{name: "hang", before: 5 * time.Second, after: 10 * time.Second, steps: []plan.Step{{Kind: plan.Freeze, Server: 1, For: 30 * time.Second}}},
	{name: "cut", before: 5 * time.Second, after: 5 * time.Second, steps: []plan.Step{
		{Kind: plan.CutInside, Server: 1, For: 5 * time.Second, Arg: "1"}, {Kind: plan.CutBetween, Server: 2, For: 5 * time.Second, Arg: "3"},
	}},
	{name: "rolling restart", before: 5 * time.Second, after: 10 * time.Second, steps: []plan.Step{
		{Kind: plan.Terminate, Server: 0, For: 10 * time.Second},
		{Kind: plan.Terminate, Server: 1, For: 10 * time.Second, At: 15 * time.Second},
		{Kind: plan.Terminate, Server: 2, For: 10 * time.Second, At: 15 * time.Second},
		{Kind: plan.Terminate, Server: 3, For: 10 * time.Second, At: 15 * time.Second},
	}},
	{name: "clients leave", leaving: 0.3, before: 20 * time.Second},
}

const (
	comparedServers = 4
	comparedClients = 200
	comparedPause   = 1500 * time.Millisecond
)

// runComparison runs each scenario with tether and the peers that are installed, and prints the table.
func runComparison(ctx context.Context, o options, out, errOut io.Writer) int {
	dir, err := os.MkdirTemp("", "tether-chaos")
	if err != nil {
		fmt.Fprintln(errOut, "chaos: "+err.Error())
		return broken
	}
	defer os.RemoveAll(dir)
	var rows []compare.Row
	for _, s := range scenarios {
		for _, name := range strings.Split(o.peers, ",") {
			p, err := peerOf(name, o)
			if errors.Is(err, peers.ErrAbsent) {
				fmt.Fprintf(errOut, "chaos: %s is left out: %v\n", name, err)
				continue
			}
			var f compare.Figures
			if err == nil {
				f, err = compareOne(ctx, o, s, p, dir)
			}
			if err != nil {
				fmt.Fprintf(errOut, "chaos: %s, %s: %v\n", s.name, name, err)
				return broken
			}
			fmt.Fprintf(errOut, "chaos: %s, %s: %+v\n", s.name, p.Name, f)
			rows = append(rows, compare.Row{Scenario: s.name, Proxy: p.Name, Figures: f})
		}
	}
	fmt.Fprint(out, compare.Table(rows))
	return good
}

// peerOf returns tether or another proxy.
func peerOf(name string, o options) (peers.Peer, error) {
	if name == "tether" {
		return peers.Tether("tether", o.tether, ""), nil
	}
	return peers.Find(name)
}

// compareOne runs one scenario through one proxy, over fresh servers.
func compareOne(ctx context.Context, o options, s scenario, p peers.Peer, dir string) (compare.Figures, error) {
	dir, err := os.MkdirTemp(dir, "run")
	if err != nil {
		return compare.Figures{}, err
	}
	w := &world{book: ledger.NewBook(o.seed)}
	if w.servers, err = startServers(dir, comparedServers); err != nil {
		return compare.Figures{}, err
	}
	defer stopServers(w.servers)
	var addrs []string
	for _, one := range w.servers {
		addrs = append(addrs, one.Addr)
	}
	proxy, err := p.Start(ctx, peers.World{Upstreams: addrs, Connections: 10 * comparedClients})
	if err != nil {
		return compare.Figures{}, err
	}
	defer proxy.Stop()
	if err := fleet.AwaitAnswer(proxy.Addr); err != nil {
		return compare.Figures{}, fmt.Errorf("%w\n%s", err, proxy.Log())
	}
	crowd := &talk.Crowd{Addr: proxy.Addr, Seed: o.seed, Pause: comparedPause, Book: w.book, Plain: true, Leaving: s.leaving}
	talking, hush := context.WithCancel(ctx)
	defer hush()
	crowd.Start(talking, comparedClients)
	c := &conductor{book: w.book, servers: w.servers}
	sleepFor(ctx, s.before)
	for _, step := range s.steps {
		sleepFor(ctx, step.At)
		c.strike(step)
	}
	sleepFor(ctx, s.after)
	hush()
	crowd.Wait()
	if ctx.Err() != nil {
		return compare.Figures{}, ctx.Err()
	}
	l, err := w.close()
	if err != nil {
		return compare.Figures{}, err
	}
	if len(l.Broken) > 0 {
		return compare.Figures{}, errors.New(strings.Join(l.Broken, "\n"))
	}
	return compare.Of(l), nil
}

func sleepFor(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
