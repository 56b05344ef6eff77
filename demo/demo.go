// Package demo shows what tether is for in one process: simulated vLLM servers, a tether over them, conversations that
// grow turn by turn, and the death and return of a server.
//
// It owns the simulated servers, the conversations, the figures and what is printed. It does not own the tether: it is
// handed a function that starts one (Config.Start), and is a plain HTTP client of its two listeners. What moved is told
// from what the simulated servers saw, not from what tether says of itself.
//
// It is called by the command "tether demo": Run until its user has seen enough, Once for both worlds side by side.
package demo

import (
	"io"
	"time"
)

// Config says what is demonstrated, how, and where it is printed. All fields but Columns are needed.
type Config struct {
	// Upstreams is the number of simulated servers, MinUpstreams..MaxUpstreams.
	Upstreams int
	// Affinity tells Run which world to show; Once shows both.
	Affinity bool
	// Pace is the load and the time that the story takes: Leisurely or Brisk.
	Pace Pace
	// Start starts a tether. The caller of it stops it by Proxy.Stop.
	Start func(Setup) (*Proxy, error)
	// Out is where all is printed, from one goroutine at a time.
	Out io.Writer
	// Columns is the width of the terminal that Out is now, and 0 where it is none: there the table is printed now and
	// then, and not drawn over the one before.
	Columns func() int
}

// The numbers of servers that can be shown: one has no others that a death could spare, and the table of more than 16
// is longer than a terminal of 24 lines.
const (
	MinUpstreams = 2
	MaxUpstreams = 16
)

// Setup is the tether that the demonstration wants.
type Setup struct {
	// Names and URLs are the upstreams.
	Names, URLs []string
	// Affinity off is round robin.
	Affinity bool
	// Interval is the time between two probes of an upstream.
	Interval time.Duration
	// Warnings takes what the tether has to say, whole lines at a time, from any goroutine.
	Warnings io.Writer
}

// Proxy is a running tether.
type Proxy struct {
	// Clients and Operators are the addresses of its listeners, HOST:PORT.
	Clients, Operators string
	// Ended is closed when it ended, of itself or stopped.
	Ended <-chan struct{}
	// Stop ends it, waits for that, and gives the error that it ended with.
	Stop func() error
}

// Pace is the load, and the time that each part of the story takes at least.
type Pace struct {
	// Conversations is how many are held at a time. When one ends, another begins.
	Conversations int
	// Opening and Question are the words of a conversation's first message and of each later one; a word is about 1.9
	// tokens. Answer is the tokens of an answer.
	Opening, Question, Answer int
	// Turns is the length of the shortest conversation; the longest has half as many more.
	Turns int
	// Think is the longest pause of a client between an answer and its next question, a third of it the shortest.
	Think time.Duration
	// Prefill and Decode are the simulated servers' time for an uncached token of a prompt, and for one of an answer.
	Prefill, Decode time.Duration
	// Interval is the time between two probes of a server.
	Interval time.Duration
	// Before is the time until a server is killed, Outage until it comes back, After until it is said what moved, and
	// Rest until the next one is killed, which Once does not wait for.
	Before, Outage, After, Rest time.Duration
	// Redraw is the time from table to table on a terminal, and from look to look at how the story goes. Reprint is the
	// time from table to table elsewhere; 0 is never.
	Redraw, Reprint time.Duration
}

// Leisurely is the pace for somebody who watches: about 45 requests a second, and a death a minute.
func Leisurely() Pace {
	return Pace{
		Conversations: 60, Opening: 1300, Question: 60, Answer: 24, Turns: 10, Think: 1500 * time.Millisecond,
		Prefill: 100 * time.Microsecond, Decode: 10 * time.Millisecond, Interval: 500 * time.Millisecond,
		Before: 15 * time.Second, Outage: 10 * time.Second, After: 5 * time.Second, Rest: 30 * time.Second,
		Redraw: 500 * time.Millisecond, Reprint: 10 * time.Second,
	}
}

// Brisk is the pace for somebody who waits: the same load, and a story of 11 seconds.
func Brisk() Pace {
	p := Leisurely()
	p.Before, p.Outage, p.After, p.Reprint = 5*time.Second, 3500*time.Millisecond, 2500*time.Millisecond, 0
	return p
}

// tokensPerWord is what a word of ours is for the simulated servers.
const tokensPerWord = 1.9

// longest is the tokens of a conversation at its end.
func (p *Pace) longest() int {
	turns := p.Turns + p.Turns/2
	return int(tokensPerWord*float64(p.Opening+turns*p.Question)) + turns*p.Answer
}

// cached is the tokens that the prefix cache of each of n servers holds: one and a half times its share of all
// conversations at their end, which is room for its own and for those that it inherits, and not for everybody's.
func (p *Pace) cached(n int) int { return p.longest() * p.Conversations * 3 / (2 * n) }
