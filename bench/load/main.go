// Command load compares policies of placement. It replays conversations against models of eight vLLM servers in simulated
// time: prefix caches, queues, prompts that are computed in chunks, and answers that slow each other down. The conversations
// are recorded or generated from a seed. The real router with its pins and its ring places the requests, or the model of
// another policy does.
//
// For each scenario it prints the hit rate of the caches relative to the best possible one, the load of the busiest server
// relative to the mean, and the time to the first token (TTFT) in seconds: medians of several seeds. A load of 80 % is 80 % of
// the turns that an ideal fleet serves if it is never idle. The command fails if a goal is missed.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
)

func main() {
	var o options
	flag.StringVar(&o.files.mooncake, "mooncake", "", "conversation trace of Mooncake, JSON lines; generated without")
	flag.StringVar(&o.files.agents, "agents", "", "output of aiperf synthesize agentic-code, JSON lines; generated without")
	flag.Uint64Var(&o.seed, "seed", 1, "first seed")
	flag.IntVar(&o.seeds, "seeds", 3, "number of seeds")
	flag.IntVar(&o.turns, "turns", 12_000, "turns of a simulation")
	flag.StringVar(&o.only, "only", "", "run the scenarios that have this text in their names")
	flag.BoolVar(&o.quick, "quick", false, "run three scenarios with 2,000 turns and one seed, too few for the goals")
	flag.BoolVar(&o.replicas, "replicas", false, "compare several tethers that share nothing, pins, or load too, in five scenarios; there are no goals")
	flag.Parse()
	os.Exit(run(o, os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	files        traces
	seed         uint64
	seeds, turns int
	only         string
	quick        bool
	replicas     bool
}

// run prints the tables and returns the exit code.
func run(o options, out, errors io.Writer) (code int) {
	if o.quick {
		o.seeds, o.turns = 1, 2000
	}
	kinds, err := workloads(o.files)
	if err != nil {
		fmt.Fprintln(errors, err)
		return 1
	}
	var all []*scenario
	for _, s := range scenarios(kinds) {
		if strings.Contains(s.name, o.only) && (s.brief || !o.quick) && (s.several || !o.replicas) {
			all = append(all, s)
		}
	}
	policies := contenders()
	if o.replicas {
		policies = sharers()
	}
	if err := measure(all, policies, o); err != nil {
		fmt.Fprintln(errors, err)
		return 1
	}
	for _, s := range all {
		s.print(out, policies)
	}
	if o.quick || o.replicas {
		return 0
	}
	if missed := printGoals(out, all); missed > 0 {
		fmt.Fprintln(errors, "goals missed:", missed)
		return 1
	}
	return 0
}

// measure runs all simulations: first those that calibrate the workloads, then each scenario with each policy and seed.
func measure(all []*scenario, policies []contender, o options) error {
	loads := map[*workload][]float64{}
	for _, s := range all {
		loads[s.workload] = append(loads[s.workload], s.load)
	}
	var jobs []func() error
	for k, l := range loads {
		jobs = append(jobs, func() error { return k.calibrate(standard, o.turns, l...) })
	}
	if err := inParallel(jobs); err != nil {
		return err
	}
	jobs = nil
	results := make([][][]figures, len(all))
	for i, s := range all {
		results[i] = make([][]figures, len(policies))
		for j, c := range policies {
			results[i][j] = make([]figures, o.seeds)
			for n := range o.seeds {
				jobs = append(jobs, func() (err error) {
					results[i][j][n], err = s.simulate(c, o.seed+uint64(n), o.turns)
					return err
				})
			}
		}
	}
	if err := inParallel(jobs); err != nil {
		return err
	}
	for i, s := range all {
		for j, c := range policies {
			s.figures[c.name] = median(results[i][j])
		}
	}
	return nil
}

// inParallel runs jobs, one on each core at a time, and returns the first error in their order.
func inParallel(jobs []func() error) error {
	errors := make([]error, len(jobs))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				errors[i] = jobs[i]()
			}
		})
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	workers.Wait()
	for _, err := range errors {
		if err != nil {
			return err
		}
	}
	return nil
}
