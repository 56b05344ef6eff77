package shared

import "time"

// drains are the commands of operators. The rule is that of sightings: the latest command for a name wins; of two in the same
// millisecond, the one that moves more. A process whose operator knew the winner, or gave a command in the same millisecond, gives the command
// that lost again: it is the later one.
type drains struct {
	known map[string]*command // the winners, by the name of the upstream or the server
	out   map[string]*command // those of this process that are not back yet
}

// command is a command for a name.
type command struct {
	Drain
	given int64  // the time of the command
	until int64  // the time at which all sessions move, for MoveIdle
	seen  int64  // when the stream last had it
	seq   uint64 // of the batch that it was last sent in, 0 if it is to be sent
	stale bool   // it was not seen since the stream is read again
	// over is the winner when the operator gave the command, nil for none: the command is later, whatever the clocks say.
	over *command
}

func newDrains() drains { return drains{known: map[string]*command{}, out: map[string]*command{}} }

// Drained notes a command of an operator of this process, which the process has carried out.
func (l *Ledger) Drained(d *Drain, now int64) {
	if len(l.drains.out) >= maxNames {
		l.dropped++
		return
	}
	l.drains.out[d.Name] = &command{Drain: *d, given: now, until: now + d.Left.Milliseconds(), over: l.drains.known[d.Name]}
}

// fill adds the commands that are to be sent.
func (d drains) fill(to []Drain, seq uint64, now int64) []Drain {
	for _, c := range d.out {
		if c.seq == 0 && len(to) < maxDrains {
			c.seq = seq
			one := c.Drain
			one.Age, one.Left = time.Duration(max(0, now-c.given))*time.Millisecond, time.Duration(max(0, c.until-now))*time.Millisecond
			to = append(to, one)
		}
	}
	return to
}

// received applies a command of a batch that arrived at the time arrived; own is true for a batch of this process.
func (d drains) received(one *Drain, own bool, seq uint64, arrived int64) (c *command, apply bool) {
	next := &command{Drain: *one, given: arrived - one.Age.Milliseconds(), until: arrived + one.Left.Milliseconds(), seen: arrived}
	before, out := d.known[one.Name], d.out[one.Name]
	switch {
	case before != nil && before.beats(next):
		before.stale = false
		if before.Move == next.Move {
			before.seen = arrived
		}
	case before != nil || len(d.known) < maxNames:
		d.known[one.Name], apply = next, true
	}
	if out != nil && own && out.seq != 0 && out.seq <= seq {
		if winner := d.known[one.Name]; winner != nil && winner.Move != one.Move && out.follows(winner, next) {
			out.given, out.seq = max(out.given, winner.given+1), 0
			return winner, false
		}
		delete(d.out, one.Name)
		return d.known[one.Name], true
	}
	return d.known[one.Name], apply && out == nil
}

func (c *command) beats(other *command) bool {
	if c.given != other.given {
		return c.given > other.given
	}
	return c.Move > other.Move
}

// follows reports whether a command was given after the winner that has beaten it, as it arrived.
func (c *command) follows(winner, arrived *command) bool {
	known := c.over != nil && c.over.given == winner.given && c.over.Move == winner.Move
	return known || winner.given == arrived.given
}

// apply makes the upstream do what the command says.
func (c *command) apply(local Local, now int64) {
	one := c.Drain
	one.Left = time.Duration(max(0, c.until-now)) * time.Millisecond
	local.Drain(&one)
}

// begin begins to read the stream again.
func (d drains) begin() {
	for _, c := range d.known {
		c.stale = true
	}
}

// lost has those commands sent again that the stream does not have any more, and applies the others.
func (d drains) lost(local Local, now int64) {
	for name, c := range d.known {
		if c.stale && d.out[name] == nil {
			d.repeat(c)
		}
		if d.out[name] == nil {
			c.apply(local, now)
		}
	}
}

// repeat has a command sent once more.
func (d drains) repeat(c *command) {
	again := *c
	again.seq = 0
	d.out[c.Name] = &again
}

// unsent has the commands sent again that are not back.
func (d drains) unsent() {
	for _, c := range d.out {
		c.seq = 0
	}
}

// applyTo applies the commands for upstreams that were not known before.
func (d drains) applyTo(added map[string]bool, local Local, now int64) {
	for name, c := range d.known {
		if added[name] && d.out[name] == nil {
			c.apply(local, now)
		}
	}
}

// sweep forgets old ends of drains, and has drains repeated that are still in force: the stream keeps nothing for longer than the time to
// live.
func (d drains) sweep(now, ttl int64) {
	d.unsent()
	for name, c := range d.known {
		switch {
		case c.Move == Undrained && now-c.seen >= ttl:
			delete(d.known, name)
		case c.Move != Undrained && now-c.seen >= ttl/2 && d.out[name] == nil:
			d.repeat(c)
		}
	}
}

func (d drains) shift(by int64) {
	for _, all := range []map[string]*command{d.known, d.out} {
		for _, c := range all {
			c.given, c.until, c.seen = c.given+by, c.until+by, c.seen+by
		}
	}
}
