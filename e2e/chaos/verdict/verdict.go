// Package verdict judges a ledger: it knows what tether promises (docs/ARCHITECTURE.md, "When things fail"), and finds what contradicts it.
//
// It looks at what clients and servers have seen, and at the faults that there were. It does not ask tether. Each rule is in the file of its
// name, and its test feeds it ledgers that break the rule in each way. story.go has what the rules share; it is tested with them.
package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tether/e2e/chaos/ledger"
)

// Violation is something that must not happen.
type Violation struct {
	Rule string // answers, attempts, failures, places, leavers or rest
	Turn string // the id of the request, "" if there is none
	Text string
}

func (v Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.Rule, v.Turn, v.Text) }

// Judge returns all violations.
func Judge(l *ledger.Ledger) []Violation {
	c := newTrial(l)
	c.answers()
	c.attempts()
	c.failures()
	c.places()
	c.leavers()
	c.rest()
	return c.found
}

// trial is a ledger that is being judged.
type trial struct {
	l              *ledger.Ledger
	byID           map[string][]ledger.Attempt // the attempts of each request, in the order in which servers received them
	byServer       map[string][]ledger.Event   // the events of each server; those of tether are under ""
	byConversation map[int][]ledger.Turn       // filled by turnsOf
	found          []Violation
}

func newTrial(l *ledger.Ledger) *trial {
	c := &trial{l: l, byID: map[string][]ledger.Attempt{}, byServer: map[string][]ledger.Event{}}
	for _, a := range l.Attempts {
		c.byID[a.ID] = append(c.byID[a.ID], a)
	}
	for _, all := range c.byID {
		slices.SortStableFunc(all, func(a, b ledger.Attempt) int { return a.At.Compare(b.At) })
	}
	for _, e := range l.Events {
		c.byServer[e.Server] = append(c.byServer[e.Server], e)
	}
	return c
}

func (c *trial) add(rule string, t ledger.Turn, format string, args ...any) {
	c.found = append(c.found, Violation{rule, t.ID, fmt.Sprintf(format, args...)})
}

// struck reports whether a server had an event of one of the kinds in a time. A fault has effects beyond its end, for as long as its kind
// says.
func (c *trial) struck(server string, from, to time.Time, kinds map[string]time.Duration) bool {
	for _, e := range c.byServer[server] {
		after, is := kinds[e.Kind]
		if is && !e.From.After(to.Add(slack)) && !e.To.Add(after).Before(from) {
			return true
		}
	}
	return false
}

// slack is how far the clocks of a fault and of its effects may differ: the machine is busy, and a fault takes effect a moment after it
// was asked for.
const slack = time.Second

// conversations returns the turns of each conversation, in the order in which they were asked.
func (c *trial) conversations() [][]ledger.Turn {
	by := map[int][]ledger.Turn{}
	for _, t := range c.l.Turns {
		by[t.Conversation] = append(by[t.Conversation], t)
	}
	all := make([][]ledger.Turn, 0, len(by))
	for _, turns := range by {
		slices.SortStableFunc(turns, func(a, b ledger.Turn) int { return a.Start.Compare(b.Start) })
		all = append(all, turns)
	}
	slices.SortFunc(all, func(a, b []ledger.Turn) int { return cmp.Compare(a[0].Conversation, b[0].Conversation) })
	return all
}
