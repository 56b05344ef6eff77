package replicas

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// traffic is what a simulation sends.
type traffic struct {
	replicas int
	sticky   bool          // a conversation stays at its replica
	turns    int           // of a conversation
	median   time.Duration // of the pauses between turns, which are log-normal
	sigma    float64
	perHour  int           // conversations that begin
	saved    float64       // the part of conversations that are saved chats, with 1..9 answers before
	restarts time.Duration // between restarts of every replica, 0 for none
	lasts    time.Duration
}

// ttl is session.ttl.
const ttl = time.Hour

// turn is one request of a conversation.
type turn struct {
	at           time.Duration
	conversation int
	answers      int // before it
	left         int // turns after it
	replica      int // of the turn before
}

type queue []turn

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(turn)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// replica is one process: its pins by the time of their last use, and its detector.
type replica struct {
	pins map[int]time.Duration
	*Detector
}

func newReplica(at time.Duration) replica {
	return replica{pins: map[int]time.Duration{}, Detector: NewDetector(start.Add(at))}
}

// run returns when each replica first suspected others, after its last restart, 0 for never, and the greatest share of strange
// follow-ups among enough of them.
func (c *traffic) run(seed uint64) (suspected []time.Duration, most float64) {
	random := rand.New(rand.NewPCG(seed, 1))
	suspected = make([]time.Duration, c.replicas)
	all := make([]replica, c.replicas)
	for i := range all {
		all[i] = newReplica(0)
	}
	next := c.restarts
	q := c.begin(random)
	for len(q) > 0 && q[0].at < c.lasts {
		t := heap.Pop(&q).(turn)
		if c.restarts > 0 && t.at > next {
			for i := range all {
				all[i] = newReplica(t.at)
			}
			next += c.restarts
		}
		if !c.sticky || t.replica < 0 {
			t.replica = random.IntN(c.replicas)
		}
		r := &all[t.replica]
		used, known := r.pins[t.conversation]
		if t.answers == 1 {
			r.Note(known && t.at-used < ttl, start.Add(t.at))
			if e := r.Evidence(); e.Known+e.Strange >= enough {
				most = max(most, e.Share())
			}
			if r.Suspected() && suspected[t.replica] == 0 {
				suspected[t.replica] = t.at
			}
		}
		r.pins[t.conversation] = t.at
		if t.left > 0 {
			t.at += time.Duration(float64(c.median) * math.Exp(c.sigma*random.NormFloat64()))
			t.answers, t.left = t.answers+1, t.left-1
			heap.Push(&q, t)
		}
	}
	return suspected, most
}

// begin returns the first turns of all conversations.
func (c *traffic) begin(random *rand.Rand) (q queue) {
	n := int(float64(c.perHour) * c.lasts.Hours())
	for k := range n {
		t := turn{at: time.Duration(random.Int64N(int64(c.lasts))), conversation: k, left: c.turns - 1, replica: -1}
		if random.Float64() < c.saved {
			t.answers = 1 + random.IntN(9)
		}
		q = append(q, t)
	}
	heap.Init(&q)
	return q
}

// Processes that share a fleet find out within minutes after their start. One that is alone does not suspect others, whatever its
// conversations do, up to the limits that the package comment names.
func TestSimulated(t *testing.T) {
	const soon = settling + 5*time.Minute
	for _, c := range []struct {
		name   string
		change func(*traffic)
		want   time.Duration // by which every replica suspects others, 0 for never
	}{
		{"3 replicas", func(c *traffic) { c.replicas = 3 }, soon},
		{"2 replicas", func(c *traffic) { c.replicas = 2 }, soon},
		{"3 replicas, agents of 50 turns", func(c *traffic) { c.replicas, c.turns, c.median = 3, 50, 10*time.Second }, soon},
		{"3 replicas, a tenth of the traffic", func(c *traffic) { c.replicas, c.perHour = 3, 360 }, 2 * time.Hour},
		{"3 replicas, each conversation at one", func(c *traffic) { c.replicas, c.sticky = 3, true }, 0},
		{"alone", func(*traffic) {}, 0},
		{"alone, a restart every 20 min", func(c *traffic) { c.restarts = 20 * time.Minute }, 0},
		{"alone, a restart every 12 min", func(c *traffic) { c.restarts = 12 * time.Minute }, 0},
		{"alone, 60 % of saved chats", func(c *traffic) { c.saved = 0.6 }, 0},
		{"alone, 30 % of saved chats, a restart every 20 min", func(c *traffic) { c.saved, c.restarts = 0.3, 20*time.Minute }, 0},
		{"alone, pauses of 5 min", func(c *traffic) { c.median = 5 * time.Minute }, 0},
	} {
		world := traffic{replicas: 1, turns: 6, median: 2 * time.Minute, sigma: 1.5, perHour: 3600, lasts: 2 * time.Hour}
		c.change(&world)
		var greatest float64
		var last time.Duration
		for seed := range uint64(2) {
			suspected, most := world.run(seed)
			greatest = max(greatest, most)
			for i, at := range suspected {
				if last = max(last, at); (at > 0) != (c.want > 0) || at > c.want {
					t.Errorf("%s, seed %d: replica %d suspects others at %v, want by %v (0s: never)", c.name, seed, i, at, c.want)
				}
			}
		}
		t.Logf("%-52s strange follow-ups at most %2.0f %%, suspected by %v", c.name+":", 100*greatest, last.Round(time.Second))
	}
}
