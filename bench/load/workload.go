package main

import (
	"math/rand/v2"
	"slices"
	"time"

	"tether/session"
)

// servers is the number of servers.
const servers = 8

// standard is a server with a model of medium size on one node: 16,000 prompt tokens a second, and 30 to 60 tokens a second
// for each answer.
var standard = hardware{rate: 16_000, chunk: 512, leastStep: 15 * time.Millisecond, perAnswer: 200 * time.Microsecond}

// workload is a kind of traffic.
type workload struct {
	name string
	// conversations returns the conversations of a seed: other ones, or the same in another order.
	conversations func(seed uint64) []conversation
	// natural is the KV capacity of a server, in tokens, that holds the conversations that are in progress at 95 % load, with
	// some to spare. starved holds half of them.
	natural, starved int

	// The rest is what calibrate found.
	best  float64         // turns a second of an ideal fleet that is never idle
	users map[float64]int // by load
}

// workloads returns the kinds of traffic.
func workloads(files traces) (all [3]*workload, err error) {
	chat, err := source(files.mooncake, &mix{n: 8000, most: &chats})
	if err != nil {
		return all, err
	}
	agent, err := source(files.agents, &mix{n: 2000, most: &agents})
	if err != nil {
		return all, err
	}
	giants, err := source("", &mix{n: 4000, most: &small, share: 0.04, others: &giant})
	return [3]*workload{
		{name: "Mooncake", conversations: chat, natural: 4_000_000, starved: 1_500_000},
		{name: "agents", conversations: agent, natural: 8_000_000, starved: 2_500_000},
		{name: "giants", conversations: giants, natural: 4_000_000},
	}, err
}

// traces are the files of recorded traffic, "" for none.
type traces struct{ mooncake, agents string }

// source returns a function from a seed to conversations. Those of a trace come in another order for each seed; without a
// trace, each seed has other conversations of the mix.
func source(path string, m *mix) (func(seed uint64) []conversation, error) {
	if path == "" {
		return m.conversations, nil
	}
	recorded, err := readTrace(path)
	return func(seed uint64) []conversation {
		all := slices.Clone(recorded)
		rand.New(rand.NewPCG(seed, 3)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return all
	}, err
}

// calibrate measures how many turns a second an ideal fleet serves if it is never idle, and finds the users for each load: the
// load times as many as would ask for that if no turn had to wait. All servers of an ideal fleet share a cache that forgets
// nothing, and each request goes to the server with the least work.
func (k *workload) calibrate(h hardware, turns int, loads ...float64) error {
	h.capacity = unlimited
	s := setup{conversations: k.conversations(0), atFirst: servers, turns: turns, oneCache: true}
	rate := func(usersOfServer int, impatient bool) (float64, error) {
		s.users, s.impatient = usersOfServer*servers, impatient
		w, err := newWorld(s, h, contender{policy: leastWork, routing: session.Default()}, 0)
		if err != nil {
			return 0, err
		}
		m, err := w.run()
		if err != nil {
			return 0, err
		}
		return m.rate(), nil
	}
	var err error
	if k.best, err = rate(32, true); err != nil {
		return err
	}
	const few = 4
	withoutWaits, err := rate(few, false)
	if err != nil {
		return err
	}
	k.users = map[float64]int{}
	for _, load := range loads {
		k.users[load] = int(load*k.best/withoutWaits*few*servers + 0.5)
	}
	return nil
}

// unlimited is the capacity of a cache that forgets nothing.
const unlimited = 1 << 40

// perRequest is the work that a request in flight stands for, in seconds of prefill.
const perRequest = 0.1

// leastWork is the policy of the ideal fleet.
func leastWork(w *world, _ *request) *server {
	return w.least(func(s *server) float64 {
		work := perRequest * w.hardware.rate * float64(s.InFlight())
		for _, r := range s.engine.waiting {
			if r.admitted {
				work += float64(r.uncomputed)
			} else {
				work += float64(r.prompt - r.kept)
			}
		}
		return work
	})
}
