package shared

import (
	"time"

	"tether/session/identity"
)

// Local is the maps and the upstreams of a process.
type Local interface {
	// Look returns the name of the upstream that the process has for a subject, and how long ago the subject was used there; ok is false
	// for none.
	Look(Subject) (at string, idle time.Duration, ok bool)
	// Place makes the process's map say what a sighting says. It does nothing if the process does not know the upstream.
	Place(*Sighting)
	// Drain makes an upstream drain, or no longer. It does nothing if the process does not know the upstream.
	Drain(*Drain)
}

const (
	// slack is by how much a use of this process must be later than the winner to speak against it: ordinary requests meet a
	// move that is under way, and must not undo it. Maps count in tenths of a second.
	slack = 1000
	// resendAfter is how long a sighting may be under way until it is sent again.
	resendAfter = 3000
)

// Ledger is what one process knows of the subjects that are not at home, see the package comment. All times are milliseconds of the
// store's clock, as the process estimates it; they never go back. A Ledger is not safe for concurrent use.
type Ledger struct {
	id    uint64
	local Local
	table
	drains drains

	news    map[identity.Key]*news // sightings of this process that are not back yet
	maxNews int
	queue   []identity.Key // of news, those to be sent
	sent    []sending      // of news, those that were sent, the oldest first
	seq     uint64
	dropped uint64
	part    int  // of the table, the next to be swept
	behind  bool // the maps do not follow, because the stream is read for the first time, or after a gap
	checks  bool // the stream is read from the beginning
	gap     gap
}

// gap is the question to the other processes whether the stream lacks what they know: this process has read it from the beginning.
type gap struct {
	asks bool
	seq  uint64 // of the batch that asks, 0 if it is to be sent
}

// news is a sighting of this process on its way to the store and back.
type news struct {
	Subject
	at   string
	made int64
	seq  uint64 // of the batch that it was last sent in, 0 before
}

// sending is one attempt to send a sighting.
type sending struct {
	key identity.Key
	seq uint64
	at  int64
}

// NewLedger returns the ledger of a process with a random id. It holds maxSubjects at most, and as many sightings under way.
// Subjects that were not used for ttl do not count.
func NewLedger(id uint64, local Local, maxSubjects int, ttl time.Duration) *Ledger {
	return &Ledger{id: id, local: local, table: newTable(maxSubjects, ttl), drains: newDrains(), news: map[identity.Key]*news{}, maxNews: maxSubjects}
}

// Change is what a process did with a subject.
type Change struct {
	Sighting
	// Home is true if the subject is where every process without a sighting expects it.
	Home bool
}

// Changed notes that the process has bound a subject, or forgotten it, as long ago as the change's age.
func (l *Ledger) Changed(c *Change, now int64) {
	made := now - c.Age.Milliseconds()
	b, bound := l.get(c.Key, now)
	if l.news[c.Key] == nil {
		switch known := bound && l.names.of(b.at) == c.At; {
		case !bound && c.Home, known && made-b.used < l.ttl/2:
			return
		case bound && !known && made < b.used:
			l.settle(c.Subject, now)
			return
		}
	}
	l.tell(c.Subject, c.At, made)
}

// tell has a sighting sent. A sighting under way is replaced.
func (l *Ledger) tell(s Subject, at string, made int64) {
	n := l.news[s.Key]
	if n == nil {
		if len(l.news) >= l.maxNews {
			l.dropped++
			return
		}
		n = &news{Subject: s}
		l.news[s.Key] = n
		l.queue = append(l.queue, s.Key)
	} else if n.seq != 0 {
		l.queue = append(l.queue, s.Key)
	}
	n.at, n.made, n.seq = at, made, 0
}

// Fill adds to an empty batch what is to be sent, and numbers the batch. It reports whether there is anything.
func (l *Ledger) Fill(b *Batch, now int64) bool {
	l.seq++
	b.From, b.Seq, b.Gap = l.id, l.seq, l.gap.asks
	asks := l.gap.asks && l.gap.seq == 0
	if asks {
		l.gap.seq = l.seq
	}
	b.Drains = l.drains.fill(b.Drains, l.seq, now)
	taken := 0
	for _, k := range l.queue {
		if len(b.Sightings) == MaxSightings {
			break
		}
		taken++
		if n := l.news[k]; n != nil && n.seq == 0 && l.isNeeded(n, now) {
			n.seq = l.seq
			b.Sightings = append(b.Sightings, Sighting{Subject: n.Subject, At: n.at, Age: time.Duration(now-n.made) * time.Millisecond})
			l.sent = append(l.sent, sending{k, l.seq, now})
		}
	}
	if l.queue = l.queue[taken:]; len(l.queue) == 0 {
		l.queue = nil
	}
	return asks || b.Beat != nil || len(b.Drains) > 0 || len(b.Sightings) > 0
}

// isNeeded brings the time of a sighting up to date, and forgets one that would tell nothing new.
func (l *Ledger) isNeeded(n *news, now int64) bool {
	if at, idle, ok := l.local.Look(n.Subject); ok && at == n.at {
		n.made = max(n.made, now-idle.Milliseconds())
	}
	n.made = min(n.made, now)
	b, ok := l.get(n.Key, now)
	known := ok && (b.epoch == l.epoch || l.checks)
	same := known && l.names.of(b.at) == n.at
	if now-n.made >= l.ttl || same && n.made-b.used < l.ttl/2 || known && !same && b.used > n.made {
		l.drop(n, now)
		return false
	}
	return true
}

// drop forgets a sighting that need not be sent any more. The maps follow what was received meanwhile.
func (l *Ledger) drop(n *news, now int64) {
	delete(l.news, n.Key)
	l.follow(n.Subject, now)
}

// follow makes the maps follow the winner, now that no sighting of this process is under way. If the stream lacks the winner, it is
// sent again.
func (l *Ledger) follow(s Subject, now int64) {
	switch b, ok := l.get(s.Key, now); {
	case l.behind || !ok:
	case b.epoch != l.epoch && !l.checks:
		l.tell(s, l.names.of(b.at), b.used)
	default:
		l.settle(s, now)
	}
}

// Received applies a batch that arrived at the store at the time arrived. asked is true if another process asks what the stream
// lacks, for Check.
func (l *Ledger) Received(b *Batch, arrived, now int64) (asked bool) {
	if b.Gap && b.From == l.id && l.gap.seq != 0 && l.gap.seq <= b.Seq {
		l.gap = gap{}
	}
	for i := range b.Drains {
		if c, apply := l.drains.received(&b.Drains[i], b.From == l.id, b.Seq, arrived); apply && !l.behind {
			c.apply(l.local, now)
		}
	}
	for i := range b.Sightings {
		s := &b.Sightings[i]
		won := l.join(s, arrived-s.Age.Milliseconds(), now)
		n := l.news[s.Key]
		switch {
		case n != nil && b.From == l.id && n.seq != 0 && n.seq <= b.Seq:
			l.drop(n, now)
		case n == nil && won:
			l.follow(s.Subject, now)
		}
	}
	return b.Gap && b.From != l.id
}

// settle makes the process's map follow the winner, or has the store know that the process has used the subject elsewhere since.
func (l *Ledger) settle(s Subject, now int64) {
	b, ok := l.get(s.Key, now)
	if !ok {
		return
	}
	at, idle, here := l.local.Look(s)
	used, name := now-idle.Milliseconds(), l.names.of(b.at)
	switch {
	case here && at != name && used > b.used+slack:
		l.tell(s, at, used)
	case here && at == name && used >= b.used, !here && name == "":
	default:
		l.local.Place(&Sighting{Subject: s, At: name, Age: time.Duration(now-b.used) * time.Millisecond})
	}
}

// Begin begins to read the stream from as far back as sightings count, because the process has just started, or because the stream
// is not the one that was read before. The maps follow at CaughtUp. The others are asked to check the stream.
func (l *Ledger) Begin() {
	l.Check()
	l.behind, l.gap = true, gap{asks: true}
	l.Unsent()
}

// Check begins to read the stream from as far back as sightings count, to find out what it lacks. Batches that arrive meanwhile may be
// applied as well.
func (l *Ledger) Check() {
	l.epoch++
	l.checks = true
	l.drains.begin()
}

// CaughtUp ends what Begin or Check began: the maps follow, and what the stream lacks is sent again.
func (l *Ledger) CaughtUp(now int64) {
	l.behind, l.checks = false, false
	l.each(now, func(s Subject, _ binding) {
		if l.news[s.Key] == nil {
			l.follow(s, now)
		}
	})
	l.drains.lost(l.local, now)
}

// Unsent has everything sent again that is not back: the connection is a new one.
func (l *Ledger) Unsent() {
	for _, s := range l.sent {
		l.again(s)
	}
	l.sent, l.gap.seq = nil, 0
	l.drains.unsent()
}

// again has a sighting sent again, if it is not back and was not sent later.
func (l *Ledger) again(s sending) {
	if n := l.news[s.key]; n != nil && n.seq == s.seq {
		n.seq = 0
		l.queue = append(l.queue, s.key)
	}
}

// Known makes the maps follow for the upstreams with these names, which the process has not known before.
func (l *Ledger) Known(added map[string]bool, now int64) {
	l.each(now, func(s Subject, b binding) {
		if added[l.names.of(b.at)] && l.news[s.Key] == nil {
			l.settle(s, now)
		}
	})
	l.drains.applyTo(added, l.local, now)
}

// Sweep forgets what has expired in one of many parts, tells the store of subjects in it that are still in use, and sends again what is
// not back. It is to be called Sweeps times within a quarter of the time to live.
func (l *Ledger) Sweep(now int64) {
	for len(l.sent) > 0 && now-l.sent[0].at >= resendAfter {
		l.again(l.sent[0])
		l.sent = l.sent[1:]
	}
	l.gap.seq = 0
	l.sweep(l.part, now, func(s Subject, b binding) {
		if now-b.used < l.ttl/2 || l.news[s.Key] != nil {
			return
		}
		if at, idle, ok := l.local.Look(s); ok && now-idle.Milliseconds() > b.used+slack {
			l.tell(s, at, now-idle.Milliseconds())
		}
	})
	if l.part = (l.part + 1) % parts; l.part == 0 {
		l.names.forget()
		l.drains.sweep(now, l.ttl)
	}
}

// Sweeps is the number of calls of Sweep that go through the whole ledger.
const Sweeps = parts

// Shift moves all times by so many milliseconds: the clock of the store was set.
func (l *Ledger) Shift(by int64) {
	l.shift(by)
	for _, n := range l.news {
		n.made += by
	}
	for i := range l.sent {
		l.sent[i].at += by
	}
	l.drains.shift(by)
}

// SetTTL changes how long sightings count.
func (l *Ledger) SetTTL(ttl time.Duration) { l.ttl = ttl.Milliseconds() }

// Stats are the counts of a ledger.
type Stats struct {
	// Subjects is how many are bound, UnderWay how many sightings of this process are not back yet.
	Subjects, UnderWay int
	// Dropped is how many changes of this process had no room, Refused how many names of upstreams, Evicted how many bindings were
	// forgotten for others.
	Dropped, Refused, Evicted uint64
}

// Stats returns the counts.
func (l *Ledger) Stats() Stats {
	return Stats{Subjects: l.size, UnderWay: len(l.news), Dropped: l.dropped, Refused: l.refused, Evicted: l.evicted}
}
