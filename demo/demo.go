// Package demo shows what tether is for in one process: simulated vLLM servers, a tether in front of them, conversations that
// grow turn by turn, and the death and return of a server.
//
// It owns the simulated servers, the conversations, the figures and the printed text. It does not own the tether: the caller's
// function starts one (Config.Start), and the demo is a plain HTTP client of its two listeners. The moves of conversations are
// counted by what the simulated servers received, not by what tether says of itself.
//
// The command "tether demo" calls it: Run until its user has seen enough, Once for a comparison with round robin.
//
// All other files are tested by the tests of that command, over a real tether.
package demo

import (
	"io"
	"time"
)

// Config says what is shown, and where it is printed. All fields but Columns are needed.
type Config struct {
	// Upstreams is the number of simulated servers, MinUpstreams..MaxUpstreams.
	Upstreams int
	// Affinity tells Run whether tether routes with affinity or round robin; Once shows both.
	Affinity bool
	// Pace is the load and the timing: SlowPace or FastPace.
	Pace Pace
	// Start starts a tether. Its caller stops it by Proxy.Stop.
	Start func(Setup) (*Proxy, error)
	// Out is where all is printed, from one goroutine at a time.
	Out io.Writer
	// Columns returns the current width of the terminal that Out is, or 0 where Out is no terminal. On a terminal the table is
	// redrawn in place; elsewhere it is printed now and then. Nil means no terminal.
	Columns func() int
}

// The numbers of servers that can be shown: with one server the death leaves no other, and the table of more than 16 is longer
// than a terminal of 24 lines.
const (
	MinUpstreams = 2
	MaxUpstreams = 16
)

// Setup is what the demo wants of a tether.
type Setup struct {
	// Names and URLs are those of the upstreams.
	Names, URLs []string
	// Affinity off is round robin.
	Affinity bool
	// Interval is the time between two probes of an upstream.
	Interval time.Duration
	// Warnings receives tether's log, whole lines at a time, from any goroutine.
	Warnings io.Writer
}

// Proxy is a running tether.
type Proxy struct {
	// Clients and Operators are the addresses of its listeners, HOST:PORT.
	Clients, Operators string
	// Ended is closed when the tether has ended, by itself or stopped.
	Ended <-chan struct{}
	// Stop stops the tether, waits for its end, and returns the error that it ended with.
	Stop func() error
}

// Pace is the load and the timing of the demo.
type Pace struct {
	// Conversations is the number of conversations at a time. When one ends, another begins.
	Conversations int
	// Opening and Question are the words of a conversation's first message and of each later one; a word is about 1.9
	// tokens. Answer is the tokens of an answer.
	Opening, Question, Answer int
	// Turns is the length of the shortest conversation; the longest has half as many more.
	Turns int
	// Think is the longest pause of a client between an answer and its next question; the shortest is a third of it.
	Think time.Duration
	// Prefill and Decode are the simulated servers' time for an uncached token of a prompt, and for a token of an answer.
	Prefill, Decode time.Duration
	// Interval is the time between two probes of a server.
	Interval time.Duration
	// These are the shortest times until a server is killed (Before), until it is restarted (Outage), until the moves are
	// reported (After), and until the next one is killed (Rest), for which Once does not wait.
	Before, Outage, After, Rest time.Duration
	// Redraw is the time between two tables on a terminal, and between two checks for the next step. Reprint is the time
	// between two tables elsewhere; 0 is never.
	Redraw, Reprint time.Duration
}

// SlowPace is the pace for a user who watches: about 45 requests a second, and a death a minute.
func SlowPace() Pace {
	return Pace{
		Conversations: 60, Opening: 1300, Question: 60, Answer: 24, Turns: 10, Think: 1500 * time.Millisecond,
		Prefill: 100 * time.Microsecond, Decode: 10 * time.Millisecond, Interval: 500 * time.Millisecond,
		Before: 15 * time.Second, Outage: 10 * time.Second, After: 5 * time.Second, Rest: 30 * time.Second,
		Redraw: 500 * time.Millisecond, Reprint: 10 * time.Second,
	}
}

// FastPace is the pace for a user who waits for the result: the same load, and 11 seconds until the report.
func FastPace() Pace {
	p := SlowPace()
	p.Before, p.Outage, p.After, p.Reprint = 5*time.Second, 3500*time.Millisecond, 2500*time.Millisecond, 0
	return p
}

// tokensPerWord is the number of tokens that the simulated servers make of a word of ours.
const tokensPerWord = 1.9

// longest returns the tokens of the longest conversation at its end.
func (p *Pace) longest() int {
	turns := p.Turns + p.Turns/2
	return int(tokensPerWord*float64(p.Opening+turns*p.Question)) + turns*p.Answer
}

// cacheTokens returns the size of the prefix cache of each of n servers: one and a half times its share of all conversations
// at their end. That is enough for its own conversations and those of a dead server, and not for all.
func (p *Pace) cacheTokens(n int) int { return p.longest() * p.Conversations * 3 / (2 * n) }
