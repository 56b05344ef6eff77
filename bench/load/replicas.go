package main

import (
	"time"

	"tether/session"
	"tether/session/balance"
	"tether/session/identity"
	"tether/session/local"
	"tether/session/pins"
	"tether/session/shared"
)

// Times of a simulated store, and of the real processes that use one.
const (
	streamEvery = 20 * time.Millisecond
	reportEvery = 200 * time.Millisecond
)

// sharing is what several tethers tell each other.
type sharing uint8

const (
	sharesNothing sharing = iota
	sharesPins
	sharesLoad // and pins
)

// sharers are one tether, and three that share nothing, their pins, or their load too. A client chooses one of them at random for each turn.
func sharers() []contender {
	home, byLoad := session.Default(), session.Default()
	home.Balance.Placement, byLoad.Balance.Placement = balance.Home, balance.Load
	return []contender{
		{name: "hash", policy: byRouter, routing: home},
		{name: "one tether", policy: byRouter, routing: byLoad},
		{name: "3, pins and load shared", policy: byRouter, routing: byLoad, replicas: 3, shares: sharesLoad},
		{name: "3, pins shared", policy: byRouter, routing: byLoad, replicas: 3, shares: sharesPins},
		{name: "3, nothing shared", policy: byRouter, routing: byLoad, replicas: 3},
	}
}

// replica is a tether that shares with others, by the rules of package shared. The store between them loses nothing.
type replica struct {
	*tether
	w      *world
	id     uint64
	queue  *shared.Queue
	ledger *shared.Ledger
	loads  *shared.Loads
	report shared.Report
}

// share lets the tethers of a world share.
func share(w *world, what sharing) {
	if what == sharesNothing {
		return
	}
	var all []*replica
	for n, t := range w.tethers {
		r := &replica{tether: t, w: w, id: uint64(n) + 1, queue: shared.NewQueue()}
		r.ledger = shared.NewLedger(r.id, r, 1_000_000, t.pins.TTL())
		r.loads = shared.NewLoads(r.id)
		r.router.Shares = r.queue
		all = append(all, r)
	}
	w.every(streamEvery, func() {
		for _, r := range all {
			r.send(all)
		}
	})
	if what == sharesLoad {
		for n, r := range all {
			w.after(reportEvery*time.Duration(n)/time.Duration(len(all)), func() { w.every(reportEvery, func() { r.tell(all) }) })
		}
	}
}

// every calls do again and again until the last request has ended, or no request has ended for an hour: then something is wrong.
func (w *world) every(d time.Duration, do func()) {
	ended, since := 0, time.Duration(0)
	var again func()
	again = func() {
		do()
		if now := w.clock.Now(); w.ended > ended {
			ended, since = w.ended, now
		} else if now-since > time.Hour {
			return
		}
		if w.ended < w.turns {
			w.after(d, again)
		}
	}
	w.after(d, again)
}

func (r *replica) now() int64 { return r.w.clock.Now().Milliseconds() }

// send adds to the stream what the tether has changed. All tethers receive it at once.
func (r *replica) send(all []*replica) {
	now := r.now()
	changes, _ := r.queue.Take(nil)
	for i := range changes {
		r.ledger.Changed(&changes[i], now)
	}
	for {
		var b shared.Batch
		if !r.ledger.Fill(&b, now) {
			return
		}
		for _, to := range all {
			to.ledger.Received(&b, now, now)
		}
	}
}

// tell tells the others of the tether's load.
func (r *replica) tell(all []*replica) {
	now := r.now()
	others, _ := r.loads.Sum(now)
	r.report.From, r.report.At = r.id, now
	r.report.Seq++
	r.report.Loads = local.TellLoad(r.table.Table(), others, r.report.Loads[:0], r.w.time())
	text := r.report.Append(nil, identity.Key{})
	for _, to := range all {
		var got shared.Report
		if err := got.Read(text, identity.Key{}); err != nil {
			panic("BUG: " + err.Error())
		}
		to.loads.Received(&got, now)
	}
}

// Look implements shared.Local in simulated time.
func (r *replica) Look(s shared.Subject) (at string, idle time.Duration, ok bool) {
	ref, idle, ok := pins.Look(r.pins, s.Key, r.w.time())
	if i := r.table.Table().Index(ref); ok && i >= 0 {
		return r.table.Table().Members[i].Name(), idle, true
	}
	return "", 0, false
}

// Place implements shared.Local in simulated time.
func (r *replica) Place(s *shared.Sighting) {
	if s.At == "" {
		r.pins.Delete(s.Key, r.w.time())
	} else if to := r.table.Table().Named(s.At); to != nil {
		pins.Follow(r.pins, s.Key, to.Ref(), s.Age, r.w.time())
	}
}

// Drain implements shared.Local. No operator is simulated.
func (r *replica) Drain(*shared.Drain) {}
