package main

import (
	"fmt"
	"time"
)

// scenario is a workload at a load, and what happens meanwhile.
type scenario struct {
	name     string
	workload *workload
	load     float64
	starved  bool // the caches hold half of the conversations
	recorded bool // turns are sent at their recorded times, not after think times
	servers  int  // at the beginning
	incident func(w *world)
	watches  bool // the incident watches a server
	goals    []goal
	brief    bool // part of the quick run
	several  bool // part of the run with several tethers

	figures map[string]figures // by the name of the policy
}

// scenarios returns all scenarios over the workloads of function workloads.
func scenarios(k [3]*workload) []*scenario {
	mooncake, agents, giants := k[0], k[1], k[2]
	all := []*scenario{
		{workload: mooncake, load: 0.5},
		{workload: mooncake, load: 0.8, goals: goalsOf(97, 1.10, 0.45, 0.60, 0.55, 15), brief: true, several: true},
		{workload: mooncake, load: 0.95, goals: goalsOf(95, 1.10, 0.35, 0.40, 0.25, 20)},
		{workload: mooncake, load: 0.8, starved: true, several: true, goals: []goal{
			{"TTFT p90 / hash", 0.35, false, ratio("hash", func(f figures) float64 { return f.p90 })},
		}},
		{workload: mooncake, load: 0.8, recorded: true},
		{workload: agents, load: 0.5},
		{workload: agents, load: 0.8, goals: goalsOf(99, 1.10, 1.02, 1.05, 0.05, 2), brief: true, several: true},
		{workload: agents, load: 0.95, goals: goalsOf(99, 1.10, 1.02, 1.05, 0.05, 2)},
		{workload: agents, load: 0.8, starved: true, several: true},
		{workload: giants, load: 0.5},
		{workload: giants, load: 0.8, goals: goalsOf(95, 1.15, 0.4, 0.4, 0.1, 100), brief: true, several: true},
		{workload: giants, load: 0.95},
		{name: "64 conversations at once, twice a minute", workload: mooncake, load: 0.5, incident: bursts},
		{name: "a server dies, and returns after 60 s", workload: mooncake, load: 0.8, incident: death},
		{name: "a server hangs for 60 s", workload: mooncake, load: 0.8, incident: hang, watches: true, goals: []goal{
			{"new conversations there, %", 5, false, value(func(f figures) float64 { return f.newThere })},
		}},
		{name: "a server is 3 times slower", workload: mooncake, load: 0.8, incident: slowdown, watches: true},
		{name: "the eighth server arrives at half time", workload: mooncake, load: 0.8, servers: servers - 1, incident: scaleOut, goals: []goal{
			{"work, max/mean", 1.15, false, value(func(f figures) float64 { return f.work })},
		}},
	}
	for _, s := range all {
		if s.figures = map[string]figures{}; s.servers == 0 {
			s.servers = servers
		}
		s.name = s.title()
	}
	return all
}

// title names the scenario.
func (s *scenario) title() string {
	title := fmt.Sprintf("%s, %.0f %%", s.workload.name, 100*s.load)
	if s.starved {
		title += ", starved"
	}
	if s.recorded {
		title += ", recorded times"
	}
	if s.name != "" {
		title += ": " + s.name
	}
	return title
}

// simulate runs the scenario with a policy and a seed.
func (s *scenario) simulate(c contender, seed uint64, turns int) (figures, error) {
	h := standard
	h.capacity = s.workload.natural
	if s.starved {
		h.capacity = s.workload.starved
	}
	p := setup{conversations: s.workload.conversations(seed), atFirst: s.servers, turns: turns, incident: s.incident}
	if s.recorded {
		p.speed = s.load * s.workload.best / recordedRate(p.conversations)
	} else {
		p.users = s.workload.users[s.load]
	}
	w, err := newWorld(p, h, c, seed)
	if err != nil {
		return figures{}, err
	}
	m, err := w.run()
	if err != nil {
		return figures{}, err
	}
	return m.figures(), nil
}

// recordedRate returns the turns a second of recorded conversations.
func recordedRate(all []conversation) float64 {
	n, end := 0, time.Duration(0)
	for _, c := range all {
		n += len(c)
		for _, t := range c {
			end = max(end, t.at)
		}
	}
	return float64(n) / end.Seconds()
}
