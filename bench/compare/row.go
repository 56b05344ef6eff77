package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tether/bench/compare/traffic"
)

// kind is how a row is measured.
type kind uint8

const (
	timed       kind = iota // cost and times of a load
	memory                  // RSS that connections add
	sessionRSS              // RSS that sessions add, to tether alone
	calls                   // system calls
	allocations             // allocations, of tether alone
	inside                  // the session map, in this process
)

// row is one kind of work.
type row struct {
	name, title string
	kind        kind
	// unit is what the cost is divided by: "event", "request" or "stream".
	unit   string
	answer traffic.Answer
	plan   traffic.Plan
	// busy means that a busy loop runs on each core beside it.
	busy bool
	// upstreams is the number of upstreams, if they are others than the two of the lab.
	upstreams int
	// byEngine means that the columns of tether's engines take part too.
	byEngine bool
	// sessions is the number of sessions in the map.
	sessions int
	// windows is the time of a measurement in windows; 0 means 1.
	windows int
	// warming is the time between the opening of the connections and the measurement; 0 means 300 ms.
	warming time.Duration
	// rounds is the number of rounds, if fewer are enough; 0 means as many as the flag says.
	rounds int
	// with is another row, if the row takes turns with that one in each round: what slows the machine slows both.
	with  string
	shows []measure
}

// measure is a figure of a row.
type measure struct{ key, text string }

// Keys of figures. Those that begin with "added" are the figure of the column less the figure of the direct run in the same round.
const (
	cpu       = "cpu"
	p50       = "p50"
	p99       = "p99"
	added50   = "added p50"
	added99   = "added p99"
	first     = "first"
	addedTo1  = "added first"
	switches  = "switches"
	rate      = "rate"
	perConn   = "KB a connection"
	total     = "MB"
	perPin    = "bytes a pin"
	sessions  = "sessions"
	allocated = "allocations"

	// Of the session map: the time of a garbage collection, and that of a place in the ring with a look-up.
	collection = "GC"
	lookup     = "pick and get"
	lookupCPU  = "pick and get CPU"
)

const (
	requestBody = 2 << 10
	answerBody  = 1 << 10
)

// fresh reports whether the row needs processes of its own.
func (r *row) fresh() bool {
	return r.kind == memory || r.kind == sessionRSS || r.upstreams > 0 || r.plan.TLS
}

// direct reports whether the row has a run without a proxy.
func (r *row) direct() bool { return r.kind == timed && !r.fresh() }

// tetherAlone reports whether the row is about tether alone.
func (r *row) tetherAlone() bool {
	return r.kind == sessionRSS || r.kind == allocations || r.kind == inside
}

// rows returns all rows. most is the largest number of connections that fit, each with a second one to its upstream.
func rows(most int) []*row {
	return slices.Concat(streamRows(), jsonRows(), tlsRows(), growthRows(most), memoryRows(most), insideRows())
}

func streamRows() []*row {
	few, many := streams("sse50", 50, 10*time.Millisecond), streams("sse500", 500, 10*time.Millisecond)
	few.byEngine, many.byEngine = true, true
	return []*row{
		few, many,
		streams("sse2000", 2000, 50*time.Millisecond),
		{
			name: "short", title: "100 clients, streams of 10 events, 1 ms apart", unit: "stream",
			answer: traffic.Answer{Gap: time.Millisecond, Events: 10},
			plan:   traffic.Plan{Clients: 100, Sessions: 100, Body: requestBody, Size: 10 * traffic.EventSize, Events: true},
			shows:  []measure{{cpu, "CPU a stream, us"}, {switches, "voluntary switches a stream"}, {rate, "streams a second"}},
		},
	}
}

func jsonRows() []*row {
	busy := json("busy", "JSON, 32 clients, a busy loop on each core", 32, requestBody)
	busy.busy = true
	few := json("json32", "JSON, 32 clients", 32, requestBody)
	few.byEngine = true
	return []*row{
		few,
		json("json256", "JSON, 256 clients", 256, requestBody),
		json("large", "JSON, 256 KB request, 32 clients", 32, 256<<10),
		busy,
		{
			name: "light", title: "JSON, 100 requests a second", unit: "request",
			windows: 5, // in the default window, 10 of 1,000 requests are slower than p99
			answer:  traffic.Answer{Size: answerBody},
			plan:    traffic.Plan{Clients: 8, Sessions: 8, Body: requestBody, Size: answerBody, Every: 10 * time.Millisecond},
			shows: []measure{
				{p50, "whole request p50, us"},
				{p99, "whole request p99, us"},
				{added50, "added p50, us"},
				{added99, "added p99, us"},
				{cpu, "CPU a request, us"},
				{rate, "requests a second"},
			},
		},
	}
}

func tlsRows() []*row {
	over := func(r *row) *row {
		r.plan.TLS, r.title, r.rounds = true, r.title+", TLS", 3
		return r
	}
	events := streams("tls-sse", 200, 10*time.Millisecond)
	events.shows = []measure{
		{cpu, "CPU an event, us"}, {p50, "delay p50, us"}, {p99, "delay p99, us"}, {switches, "voluntary switches an event"}, {rate, "events a second"},
	}
	return []*row{
		over(events),
		over(json("tls-json", "JSON, 32 clients", 32, requestBody)),
	}
}

// growthRows have the same load for few and for many upstreams, and the same number of events for few and for many streams. The upstreams are
// measured once the process has connected to them and has asked them for their models and figures, and for about as long as tether takes to
// probe all of them once, so that probes count as they do on average.
func growthRows(most int) (all []*row) {
	for _, n := range []int{2, 512} {
		r := json(fmt.Sprintf("upstreams%d", n), fmt.Sprintf("JSON, 32 clients, 2,048 sessions, %d upstreams", n), 32, requestBody)
		r.upstreams, r.plan.Sessions = n, 2048
		r.warming, r.windows = 2*time.Second, 3
		if len(all) > 0 {
			r.with = all[0].name
		}
		all = append(all, r)
	}
	few := streams("streams100", 100, 10*time.Millisecond)
	many := streams("streams10000", min(10_000, most), time.Duration(min(10_000, most))*100*time.Microsecond)
	many.rounds = 3
	return append(all, few, many)
}

func memoryRows(most int) (all []*row) {
	const gap = 2 * time.Second
	for _, n := range []int{2000, 10_000} {
		r := streams(fmt.Sprintf("memory%d", n), min(n, most), gap)
		r.title = fmt.Sprintf("Memory of %d open streams%s", r.plan.Clients, fits(n, most))
		all = append(all, r)
	}
	idle := json("idle10000", "", min(10_000, most), requestBody)
	idle.title, idle.plan.Once = fmt.Sprintf("Memory of %d idle keep-alive connections%s", idle.plan.Clients, fits(10_000, most)), true
	for _, r := range append(all, idle) {
		r.kind, r.rounds, r.shows = memory, 3, []measure{{perConn, "RSS a connection, KB"}, {total, "RSS, MB"}}
	}
	sessions := &row{
		name: "pins", title: "Memory of a million sessions", kind: sessionRSS, rounds: 1,
		answer: traffic.Answer{Size: 1},
		plan:   traffic.Plan{Clients: 64, Sessions: 100_000_000, Size: traffic.Shortest},
		shows:  []measure{{sessions, "sessions"}, {perPin, "RSS a session, bytes"}, {total, "RSS, MB"}},
	}
	return append(all, idle, sessions)
}

// fits says that fewer connections than wanted fit.
func fits(wanted, most int) string {
	if most >= wanted {
		return ""
	}
	return fmt.Sprintf(" (%d do not fit into the limit of descriptors)", wanted)
}

// sizes are the numbers of sessions in the map.
var sizes = []int{1000, 100_000, 1_000_000, 10_000_000}

// insideRows look into the processes.
func insideRows() []*row {
	counted := func(r *row) *row {
		r.kind, r.rounds, r.shows = calls, 1, callMeasures()
		r.title = "System calls, counted by strace: " + r.title + ", one " + r.unit
		return r
	}
	allocs := json("allocations", "Allocations, JSON, 32 clients", 32, requestBody)
	allocs.kind, allocs.rounds, allocs.shows = allocations, 3, []measure{{allocated, "allocations a request"}}
	all := []*row{
		counted(json("calls-json", "JSON, 32 clients", 32, requestBody)),
		counted(streams("calls-sse", 500, 10*time.Millisecond)),
		allocs,
	}
	for _, n := range sizes {
		r := &row{
			name: fmt.Sprintf("map%d", n), title: fmt.Sprintf("Session map, %d sessions, 16 upstreams", n), kind: inside, sessions: n, rounds: 1,
			shows: []measure{
				{perPin, "bytes a session"},
				{collection, "garbage collection, ms"},
				{lookup, "pick and get, 8 goroutines, ns elapsed"},
				{lookupCPU, "the same, ns of CPU"},
			},
		}
		all = append(all, r)
	}
	return all
}

// streams is a row of streams without end.
func streams(name string, n int, gap time.Duration) *row {
	return &row{
		name: name, title: fmt.Sprintf("SSE, %d streams, %d ms between events", n, gap.Milliseconds()), unit: "event",
		answer: traffic.Answer{Gap: gap},
		plan:   traffic.Plan{Clients: n, Sessions: n, Body: requestBody, Events: true, Endless: true},
		shows: []measure{
			{cpu, "CPU an event, us"},
			{added50, "delay added p50, us"},
			{added99, "delay added p99, us"},
			{addedTo1, "first byte added p50, us"},
			{switches, "voluntary switches an event"},
			{rate, "events a second"},
		},
	}
}

// json is a row of clients that ask again at once.
func json(name, title string, clients, body int) *row {
	return &row{
		name: name, title: title, unit: "request",
		answer: traffic.Answer{Size: answerBody},
		plan:   traffic.Plan{Clients: clients, Sessions: clients, Body: body, Size: answerBody},
		shows: []measure{
			{cpu, "CPU a request, us"}, {p50, "p50, us"}, {p99, "p99, us"}, {switches, "voluntary switches a request"}, {rate, "requests a second"},
		},
	}
}

// selectRows returns the rows with these names, comma-separated, or all. Rows that were asked for are measured with every engine.
func selectRows(names string, most int) (selected []*row, err error) {
	all := rows(most)
	if names == "" {
		return all, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(r *row) bool { return r.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%q is not a row", name)
		}
		all[i].byEngine = true
		selected = append(selected, all[i])
	}
	return selected, nil
}

// takingTurns returns the first row of all with those that take turns with it, and the rest.
func takingTurns(all []*row) (together, rest []*row) {
	first := all[0]
	for _, r := range all {
		if r == first || r.with == first.name || r.name == first.with {
			together = append(together, r)
		} else {
			rest = append(rest, r)
		}
	}
	return together, rest
}
