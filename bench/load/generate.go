package main

import (
	"math"
	"math/rand/v2"
	"time"
)

// quantiles describe a distribution: its values at shares. A draw is between two of them, evenly in their logarithms.
type quantiles [9]float64

var shares = [9]float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1}

func (q *quantiles) draw(r *rand.Rand) float64 {
	x, i := r.Float64(), 1
	for x > shares[i] {
		i++
	}
	part := (x - shares[i-1]) / (shares[i] - shares[i-1])
	return math.Exp(math.Log(q[i-1])*(1-part) + math.Log(q[i])*part)
}

// kind is a kind of conversation that is generated.
type kind struct {
	turns  quantiles
	first  quantiles // tokens of the first prompt
	added  quantiles // tokens that a later prompt has beside what it keeps
	kept   quantiles // share of the prompt before that a later prompt keeps
	answer quantiles // tokens
	think  quantiles // seconds
	longer bool      // a later prompt has the answer before as well
	limit  float64   // tokens of the longest prompt: a conversation ends before it
}

var (
	always = quantiles{1, 1, 1, 1, 1, 1, 1, 1, 1}

	// chats have the distributions of the conversation trace of Mooncake: one hour of a chat service, with long prompts that
	// few later turns use again.
	chats = kind{
		turns:  quantiles{1, 1, 1, 1, 1.7, 3, 4, 8, 43},
		first:  quantiles{890, 905, 1336, 5264, 13056, 25561, 38538, 89869, 126195},
		added:  quantiles{10, 304, 534, 829, 3503, 9741, 14768, 26773, 94968},
		kept:   quantiles{0.05, 0.4, 0.9, 1, 1, 1, 1, 1, 1},
		answer: quantiles{1, 24, 156, 350, 472, 597, 698, 1120, 2000},
		think:  quantiles{2, 30, 54, 110, 120, 120, 120, 120, 120},
		limit:  126_195,
	}
	// agents are coding agents: a repository in the first prompt, then many short turns with the output of tools.
	agents = kind{
		turns:  quantiles{1, 3, 8, 19, 30, 38, 41, 48, 58},
		first:  quantiles{52_944, 53_820, 54_989, 57_556, 64_532, 78_607, 96_735, 160_669, 175_788},
		added:  quantiles{11, 400, 850, 1800, 4200, 8500, 13_000, 30_000, 70_000},
		kept:   always,
		answer: quantiles{30, 82, 152, 299, 583, 1100, 1578, 3169, 17_552},
		think:  quantiles{0.05, 0.37, 0.7, 1.6, 6, 21.5, 37, 83, 290},
		longer: true,
		limit:  200_000,
	}
	// giant conversations begin with 100,000 tokens and more, small ones with few.
	giant = kind{
		turns:  quantiles{2, 3, 5, 8, 12, 15, 17, 20, 24},
		first:  quantiles{100_000, 110_000, 140_000, 200_000, 280_000, 360_000, 420_000, 480_000, 500_000},
		added:  quantiles{100, 200, 400, 800, 1600, 3000, 4500, 8000, 10_000},
		kept:   always,
		answer: quantiles{20, 60, 120, 250, 400, 600, 800, 1200, 2000},
		think:  quantiles{1, 3, 6, 12, 25, 50, 70, 110, 120},
		longer: true,
		limit:  600_000,
	}
	small = kind{
		turns:  quantiles{1, 2, 4, 6, 10, 14, 17, 24, 30},
		first:  quantiles{500, 1000, 2000, 4000, 8000, 12_000, 16_000, 24_000, 32_000},
		added:  quantiles{100, 200, 400, 800, 1600, 3000, 4500, 8000, 10_000},
		kept:   always,
		answer: quantiles{20, 60, 120, 250, 400, 600, 800, 1200, 2000},
		think:  quantiles{1, 3, 6, 12, 25, 50, 70, 110, 120},
		longer: true,
		limit:  64_000,
	}
)

// conversation returns a new conversation.
func (k *kind) conversation(r *rand.Rand) (c conversation) {
	turns := int(k.turns.draw(r) + 0.5)
	next := turn{prompt: int(k.first.draw(r)), answer: int(k.answer.draw(r))}
	for {
		c = append(c, next)
		if len(c) == turns {
			return c
		}
		last := next
		next = turn{answer: int(k.answer.draw(r)), think: time.Duration(k.think.draw(r) * float64(time.Second))}
		next.kept = int(k.kept.draw(r) * float64(last.prompt))
		next.prompt = next.kept + int(k.added.draw(r))
		if k.longer {
			next.prompt += last.answer
		}
		if float64(next.prompt) > k.limit {
			return c
		}
		next.at = last.at + nominal(&last) + next.think
	}
}

// mix is n conversations of one kind, except for a share of another kind.
type mix struct {
	n      int
	most   *kind
	share  float64
	others *kind
}

// conversations generates the mix. Where recorded times count, one conversation begins each second.
func (m *mix) conversations(seed uint64) (all []conversation) {
	r := rand.New(rand.NewPCG(seed, 2))
	for i := range m.n {
		k := m.most
		if r.Float64() < m.share {
			k = m.others
		}
		c := k.conversation(r)
		for j := range c {
			c[j].at += time.Duration(i) * time.Second
		}
		all = append(all, c)
	}
	return all
}
