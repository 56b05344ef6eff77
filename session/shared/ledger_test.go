package shared

import (
	"fmt"
	"testing"
	"time"

	"tether/session/identity"
)

// local is the maps of a process in a test.
type local struct {
	now      *int64
	at       map[identity.Key]Sighting // Age is when it was used
	commands map[string]Drain
	placed   int
}

func newLocal(now *int64) *local {
	return &local{now: now, at: map[identity.Key]Sighting{}, commands: map[string]Drain{}}
}

func (l *local) Look(s Subject) (at string, idle time.Duration, ok bool) {
	one, ok := l.at[s.Key]
	return one.At, time.Duration(*l.now)*time.Millisecond - one.Age, ok
}

func (l *local) Place(s *Sighting) {
	l.placed++
	if s.At == "" {
		delete(l.at, s.Key)
		return
	}
	l.at[s.Key] = Sighting{Subject: s.Subject, At: s.At, Age: time.Duration(*l.now)*time.Millisecond - s.Age}
}

func (l *local) Drain(d *Drain) { l.commands[d.Name] = *d }

// member is a process in a test: its ledger and its maps.
type member struct {
	*Ledger
	*local
}

func newMember(id uint64, now *int64, maxSubjects int) member {
	l := newLocal(now)
	m := member{NewLedger(id, l, maxSubjects, time.Hour), l}
	return m
}

func keyOf(n int) identity.Key { return identity.Key{Hi: uint64(n + 1), Lo: uint64(n)} }

// use makes a process use a session at an upstream.
func (m member) use(n int, at string, home bool) {
	s := Sighting{Subject: Subject{Key: keyOf(n)}, At: at}
	m.Place(&s)
	m.Changed(&Change{s, home}, *m.now)
}

// pass sends what a process has to all.
func pass(from member, all ...member) (sightings int) {
	for {
		var b Batch
		if !from.Fill(&b, *from.now) {
			return sightings
		}
		sightings += len(b.Sightings)
		for _, m := range all {
			m.Received(&b, *from.now, *from.now)
		}
	}
}

// A session at home costs nothing. One elsewhere costs one sighting, however often it is bound there, until half of the time to live has
// passed and it is still in use.
func TestOnlyExceptionsAreTold(t *testing.T) {
	now := int64(1_000_000)
	a, b := newMember(1, &now, 100), newMember(2, &now, 100)
	a.use(1, "home", true)
	if n := pass(a, a, b); n != 0 {
		t.Errorf("%d sightings of a session at home", n)
	}
	for range 3 {
		a.use(2, "away", false)
		now += 10
	}
	if n := pass(a, a, b); n != 1 || b.at[keyOf(2)].At != "away" {
		t.Errorf("%d sightings", n)
	}
	a.use(2, "away", false)
	if n := pass(a, a, b); n != 0 {
		t.Errorf("%d sightings of what is known", n)
	}
	now += 40 * 60 * 1000
	for range Sweeps {
		a.Sweep(now)
		b.Sweep(now)
	}
	if n := pass(a, a, b) + pass(b, a, b); n != 0 {
		t.Errorf("%d sightings of a session that is not used", n)
	}
	a.at[keyOf(2)] = Sighting{At: "away", Age: time.Duration(now) * time.Millisecond} // a turn
	for range Sweeps {
		a.Sweep(now)
		b.Sweep(now)
	}
	if n := pass(a, a, b); n != 1 {
		t.Errorf("%d sightings of a session that is used", n)
	}
	now += 50 * 60 * 1000
	if _, ok := b.get(keyOf(2), now); !ok {
		t.Error("a session in use has expired")
	}
	now += 11 * 60 * 1000
	for range Sweeps {
		b.Sweep(now)
	}
	if s := b.Stats(); s.Subjects != 0 {
		t.Errorf("%d sessions after the time to live", s.Subjects)
	}
}

// A process that was cut off has served a session where the others do not have it any more. Who has used it last is right.
func TestLaterUseWins(t *testing.T) {
	for _, c := range []struct {
		used int64 // by the process that was cut off, after the move by the other one
		want string
	}{{-500, "there"}, {500, "there"}, {60_000, "here"}} {
		now := int64(1_000_000)
		a, b := newMember(1, &now, 100), newMember(2, &now, 100)
		a.use(1, "here", true)
		now += 10_000
		b.use(1, "there", false)
		var missed Batch
		b.Fill(&missed, now)
		moved := now
		b.Received(&missed, moved, now)
		now += c.used
		a.at[keyOf(1)] = Sighting{At: "here", Age: time.Duration(now) * time.Millisecond} // turns at home are no change
		now = moved + 120_000
		a.Received(&missed, moved, now)
		pass(a, a, b)
		pass(b, a, b)
		if a.at[keyOf(1)].At != c.want || b.at[keyOf(1)].At != c.want {
			t.Errorf("used %d ms after the move: %q and %q, want %q", c.used, a.at[keyOf(1)].At, b.at[keyOf(1)].At, c.want)
		}
	}
}

// The latest command for an upstream wins, is repeated before the stream forgets it, and is known to a process that starts.
func TestDrains(t *testing.T) {
	now := int64(1_000_000)
	a, b := newMember(1, &now, 100), newMember(2, &now, 100)
	a.Drained(&Drain{Name: "vllm-0", Move: MoveIdle, Idle: time.Minute, Left: 10 * time.Minute}, now)
	now += 60_000 // the store did not work
	pass(a, a, b)
	if d := b.commands["vllm-0"]; d.Move != MoveIdle || d.Idle != time.Minute || d.Left != 9*time.Minute {
		t.Errorf("%+v", d)
	}
	now += 31 * 60 * 1000
	for range Sweeps {
		b.Sweep(now)
	}
	var stream Batch
	if !b.Fill(&stream, now) || len(stream.Drains) != 1 {
		t.Fatal("a drain is not repeated")
	}
	a.Received(&stream, now, now)
	b.Received(&stream, now, now)
	c := newMember(3, &now, 100)
	c.Begin()
	c.Received(&stream, now, now)
	c.CaughtUp(now)
	if d := c.commands["vllm-0"]; d.Move != MoveIdle || d.Left != 0 {
		t.Errorf("%+v", d)
	}
	now++
	b.Drained(&Drain{Name: "vllm-0"}, now)
	pass(b, a, b, c)
	a.Received(&stream, now, now) // the old command once more
	if a.commands["vllm-0"].Move != Undrained || c.commands["vllm-0"].Move != Undrained {
		t.Errorf("%+v %+v", a.commands, c.commands)
	}
}

// Two commands at once: all processes carry out the later one.
func TestDrainsAtOnce(t *testing.T) {
	now := int64(1_000_000)
	a, b := newMember(1, &now, 100), newMember(2, &now, 100)
	a.Drained(&Drain{Name: "vllm-0", Move: MoveNow}, now)
	now += 5
	b.Drained(&Drain{Name: "vllm-0"}, now)
	var first, second Batch
	a.Fill(&first, now)
	b.Fill(&second, now)
	for _, m := range []member{a, b} {
		m.Received(&second, now, now)
		m.Received(&first, now, now)
		if d, ok := m.commands["vllm-0"]; !ok || d.Move != Undrained {
			t.Errorf("%+v", m.commands)
		}
	}
}

// A command that follows another one within the same millisecond, or by a clock that is behind, is the later one all the same.
func TestDrainsOneAfterAnother(t *testing.T) {
	for name, later := range map[string]int64{"same millisecond": 0, "clock behind": -3, "later": 3} {
		t.Run(name, func(t *testing.T) {
			now := int64(1_000_000)
			a, b := newMember(1, &now, 100), newMember(2, &now, 100)
			a.Drained(&Drain{Name: "vllm-0", Move: MoveNow}, now)
			pass(a, a, b)
			now += later
			b.Drained(&Drain{Name: "vllm-0"}, now)
			passSlowly(b, a, b)
			for _, m := range []member{a, b} {
				if d := m.drains.known["vllm-0"]; d.Move != Undrained || len(m.drains.out) > 0 {
					t.Errorf("%+v, %d under way", d.Drain, len(m.drains.out))
				}
			}
			if a.commands["vllm-0"].Move != Undrained {
				t.Errorf("%+v", a.commands)
			}
		})
	}
}

// passSlowly is pass with a millisecond after each batch.
func passSlowly(from member, all ...member) {
	for range 10 {
		var b Batch
		from.Fill(&b, *from.now)
		for _, m := range all {
			m.Received(&b, *from.now, *from.now)
		}
		*from.now++
	}
}

// Two commands of one process in the same millisecond: the second one is the later.
func TestDrainsOfOneProcess(t *testing.T) {
	now := int64(1_000_000)
	a, b := newMember(1, &now, 100), newMember(2, &now, 100)
	var first Batch
	a.Drained(&Drain{Name: "vllm-0", Move: MoveNow}, now)
	a.Fill(&first, now)
	a.Drained(&Drain{Name: "vllm-0"}, now)
	a.Received(&first, now, now)
	b.Received(&first, now, now)
	passSlowly(a, a, b)
	if b.commands["vllm-0"].Move != Undrained || a.drains.known["vllm-0"].Move != Undrained || len(a.drains.out) > 0 {
		t.Errorf("%+v, %+v", b.commands, a.drains.known["vllm-0"].Drain)
	}
}

// A full ledger forgets what was not used for long, and numbers of names are given again.
func TestBounds(t *testing.T) {
	now := int64(1_000_000)
	a, b := newMember(1, &now, 5000), newMember(2, &now, 1000)
	for n := range 5000 {
		now++
		a.use(n, fmt.Sprintf("pod-%d", n/100), false)
		if n%100 == 0 {
			pass(a, a, b)
		}
	}
	pass(a, a, b)
	if s := b.Stats(); s.Subjects > 1000 || s.Evicted < 4000 {
		t.Errorf("%+v", s)
	}
	a.use(9999, "x", false)
	pass(a, b)
	if b.at[keyOf(9999)].At != "x" {
		t.Error("a full ledger takes nothing new")
	}
	now += 2 * 60 * 60 * 1000
	for range 2 * Sweeps {
		b.Sweep(now)
	}
	if len(b.names.free) != len(b.names.all)-1 || b.size != 0 {
		t.Errorf("%d of %d names are free, %d bindings", len(b.names.free), len(b.names.all), b.size)
	}
	few := newMember(3, &now, 10)
	for n := range 20 {
		few.use(n, "x", false)
	}
	if s := few.Stats(); s.UnderWay != 10 || s.Dropped != 10 {
		t.Errorf("%+v", s)
	}
}

// The clock of the store is set back by an hour: what was known counts on, and later uses win.
func TestShift(t *testing.T) {
	now := int64(100_000_000)
	a, b := newMember(1, &now, 100), newMember(2, &now, 100)
	a.use(1, "first", false)
	pass(a, a, b)
	now -= 3_600_000
	for _, m := range []member{a, b} {
		m.Shift(-3_600_000)
		one := m.at[keyOf(1)]
		one.Age -= time.Hour // the maps have a clock of their own
		m.at[keyOf(1)] = one
	}
	now += 1000
	b.use(1, "second", false)
	pass(b, a, b)
	if a.at[keyOf(1)].At != "second" {
		t.Errorf("%q", a.at[keyOf(1)].At)
	}
}

// An upstream that a process does not know yet: its sessions follow once it is there.
func TestKnown(t *testing.T) {
	now := int64(1_000_000)
	a, b := newMember(1, &now, 100), newMember(2, &now, 100)
	a.use(1, "new", false)
	pass(a, a, b)
	delete(b.at, keyOf(1)) // b knows no such upstream
	b.placed = 0
	b.Known(map[string]bool{"other": true}, now)
	if b.placed != 0 {
		t.Error("placed at another upstream")
	}
	b.Known(map[string]bool{"new": true}, now)
	if b.at[keyOf(1)].At != "new" {
		t.Errorf("%q", b.at[keyOf(1)].At)
	}
}
