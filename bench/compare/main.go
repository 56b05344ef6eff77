// Command compare measures what tether costs beside other proxies on this machine. It starts cheap upstreams, then tether as it ships,
// HAProxy, nginx and the other peers that are installed, and loads one after the other, in turn, in each round. It prints medians of the
// rounds with minimum and maximum, the ratios to HAProxy, and which goals are met.
//
// Load and upstreams are threads of this process. So the CPU of a proxy, from /proc/PID/stat, is that of its process and its children alone.
// What load and upstreams themselves cost is shown by a direct run, without a proxy. Everything is on loopback and bounded in time. The
// command runs on Linux. main.go, run_linux.go, run_other.go, lab_linux.go, trial_linux.go, measure_linux.go and strace_linux.go
// are tested in run_linux_test.go.
package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.tether, "tether", "bin/tether", "binary of tether")
	flag.StringVar(&o.engines, "engines", "epoll,uring",
		"engines of tether, comma-separated: one more column for each, in the rows that have goals for engines or are named by -rows")
	flag.StringVar(&o.builds, "builds", "", "other binaries of tether, comma-separated NAME=FILE: one more column for each")
	flag.StringVar(&o.others, "peers", "haproxy,nginx,vllm-router,smg,olla", "peers that take part if they are installed")
	flag.StringVar(&o.rows, "rows", "", "rows to measure, comma-separated; all by default")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each row")
	flag.DurationVar(&o.window, "window", 2*time.Second, "time of one measurement")
	flag.IntVar(&o.mapSessions, mapFlag, 0, "measure nothing but a session map of so many sessions, for the run that started this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, o, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const mapFlag = "map-sessions"

// options are the flags.
type options struct {
	tether, engines, builds, others, rows string
	rounds, mapSessions                   int
	window                                time.Duration
}
