// Command chaos breaks everything around a real tether, at random, while clients talk, and judges what clients and servers have seen.
//
// It runs eight simulated vLLM servers as processes of their own, and tether in front of them. Two thousand conversations talk over all APIs
// while servers are killed, hang and cut, operators reload, drain and restart, and clients leave. The faults follow from a seed, which is printed.
// Package verdict has the rules that every answer and every conversation must keep. The exit code is 0 if all of them hold, 1 if
// one does not, and 2 if the run itself failed. With -judge, a ledger of an earlier run is judged again.
//
// With -peers, tether and other proxies go through the same few faults one after another, and a table says what each of them did.
//
// It runs on Linux. main.go, conduct_linux.go, calm_linux.go, scenarios_linux.go and run_other.go are tested in run_linux_test.go.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 5 && os.Args[1] == "server" {
		os.Exit(serve(os.Args[2], os.Args[3], os.Args[4]))
	}
	var o options
	flag.StringVar(&o.tether, "tether", "bin/tether", "binary of tether")
	flag.DurationVar(&o.length, "time", 3*time.Minute, "length of the run, start and end not included")
	flag.Uint64Var(&o.seed, "seed", 0, "seed of faults and clients; 0: a random one")
	flag.IntVar(&o.clients, "conversations", 2000, "conversations at a time")
	flag.DurationVar(&o.pause, "pause", 12*time.Second, "mean pause between two turns of a conversation")
	flag.StringVar(&o.keep, "keep", "", "folder for logs and ledger, which stays; default: one that is removed if all is well")
	flag.StringVar(&o.judge, "judge", "", "ledger of an earlier run, to judge it again")
	flag.StringVar(&o.peers, "peers", "", "instead of chaos, compare these proxies in a few scenarios: tether, haproxy, vllm-router, smg; comma-separated")
	flag.Parse()
	if o.seed == 0 {
		o.seed = uint64(rand.Uint32())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, o, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the flags.
type options struct {
	tether, keep, judge string
	peers               string
	length, pause       time.Duration
	seed                uint64
	clients             int
}

func (o options) String() string {
	return fmt.Sprintf("seed %d, %v, %d conversations, mean pause %v", o.seed, o.length, o.clients, o.pause)
}
