package session

import (
	"time"

	"tether/ring"
	"tether/session/balance"
	"tether/upstream"
)

// busyness is how busy an upstream is, as package balance counts it.
type busyness struct {
	backlog  float64 // in tokens
	inFlight int64
	chosen   uint64 // the turn of the last choice
}

// busynessOf returns how busy upstream i is, by what this process has sent there and what others tell.
func busynessOf(c *candidates, i int) busyness {
	m := &c.table.Members[i]
	own, q := m.OwnShare(c.now)
	others := m.Others(c.now)
	n := own.Requests + others.Requests
	return busyness{backlog: balance.Backlog(own.Tokens+others.Tokens, float64(n), c.rate), inFlight: n, chosen: q.Chosen}
}

// BacklogSeconds returns how long u needs for the prompts and requests that this process has sent there, by the rate of the model that it was last
// chosen for. It is 0 for an upstream that was never chosen.
func BacklogSeconds(u *upstream.Upstream, now time.Time) float64 {
	own, q := u.OwnShare(now)
	if q.Rate == 0 {
		return 0
	}
	return balance.Backlog(own.Tokens, float64(own.Requests), q.Rate) / q.Rate
}

// maxLooks bounds how many upstreams leastBusy compares: the best of so many is as good as the best of all.
const maxLooks = 64

// leastBusy returns the eligible upstream with the least backlog, and its backlog; -1 for none. Of several, it returns one with the
// fewest requests in flight, and of these the one that was chosen least recently. An upstream with half the weight counts as twice as
// busy. Of more than maxLooks upstreams it compares some, others at each turn.
func leastBusy(c *candidates, p purpose) (best int, backlog float64) {
	best = -1
	var least busyness
	n, start := len(c.table.Members), 0
	if n > maxLooks {
		start = int(c.turn % uint64(n))
	}
	for k, looks := 0, 0; k < n && looks < maxLooks; k++ {
		i := (start + k) % n
		if !c.eligible(i, p) {
			continue
		}
		looks++
		b := busynessOf(c, i)
		raw := b.backlog
		b.backlog *= float64(ring.FullWeight) / float64(c.table.Members[i].Weight)
		if best < 0 || b.less(&least) {
			best, least, backlog = i, b, raw
		}
	}
	return best, backlog
}

func (b *busyness) less(other *busyness) bool {
	switch {
	case b.backlog != other.backlog:
		return b.backlog < other.backlog
	case b.inFlight != other.inFlight:
		return b.inFlight < other.inFlight
	}
	return b.chosen < other.chosen
}

// placeNearHome returns the first eligible upstream in the order of the ring, or the least busy one if the first is much busier; -1 for none.
func placeNearHome(c *candidates, p purpose, key uint64) int {
	walk := c.walk(key)
	home := walk.Next(func(i int) bool { return c.eligible(i, p) })
	if home < 0 {
		return -1
	}
	backlog := busynessOf(c, home).backlog
	if balance.StaysHome(backlog, 0, c.rate) {
		return home // the usual case: no other can be so much less busy
	}
	best, least := leastBusy(c, p)
	if balance.StaysHome(backlog, least, c.rate) {
		return home
	}
	return best
}

// follow returns where a session goes that p pins to upstream i: i, or an upstream that is so much better that the session moves there,
// and why.
func follow(c *candidates, i int, p *pin) (at int, why balance.Reason) {
	if !c.byLoad {
		return i, balance.Stayed
	}
	if at, why = better(c, i, p); at == i {
		return i, balance.Stayed
	}
	if p.lookUp(c.now); c.ref(i) != p.to {
		if moved := c.at(p.to); moved >= 0 {
			return moved, balance.Stayed // another request of the session was faster
		}
	}
	return at, why
}

// better returns the upstream that serves a session better than i, where p pins the session, and why; i for a session that stays.
func better(c *candidates, i int, p *pin) (best int, why balance.Reason) {
	backlog, move := busynessOf(c, i).backlog, c.cfg.Balance.MoveWhenBusierBy
	switch cached := p.cachedAt(c, i); {
	case c.table.Members[i].IsSilent(c.now):
		best, _ = leastBusy(c, newPlace)
		why = balance.Hung
	case p.last.Prompt > 0 && cached == 0:
		best = placeNearHome(c, newPlace, p.key.Ring())
		why = balance.Gone
	case balance.StaysPinned(backlog, 0, cached, c.rate, move):
		return i, balance.Stayed // the usual case: no other can be so much less busy
	default:
		var least float64
		if best, least = leastBusy(c, newPlace); balance.StaysPinned(backlog, least, cached, c.rate, move) {
			return i, balance.Stayed
		}
		why = balance.Busier
	}
	if best < 0 {
		return i, balance.Stayed
	}
	return best, why
}

// whyAway says why a request with the key went to upstream i and not to its pin, or without one to its home.
func whyAway(c *candidates, i int, p *pin, key uint64) balance.Reason {
	if p.to != 0 {
		if at := c.table.Index(p.to); at >= 0 {
			return reasonOf(c, at, servePinned)
		}
		return balance.Lost
	}
	if home := homeOf(c, key); home != i && home >= 0 {
		return reasonOf(c, home, newPlace)
	}
	return balance.Stayed
}

// reasonOf is the obstacle of upstream i as a Reason.
func reasonOf(c *candidates, i int, p purpose) balance.Reason {
	switch c.obstacle(i, p) {
	case nothing:
		return balance.Busier
	case hung:
		return balance.Hung
	case full:
		return balance.Full
	case weightless, draining:
		return balance.Drained
	case alreadyTried:
		if m := &c.table.Members[i]; m.Full(c.now) && !m.State().Suspect() {
			return balance.Full
		}
	}
	return balance.Lost
}
