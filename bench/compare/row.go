package main

import (
	"fmt"
	"strings"
	"time"

	"tether/bench/compare/traffic"
)

// row is one kind of work.
type row struct {
	name, title string
	// unit is what the cost is divided by: "event", "request" or "stream".
	unit   string
	answer traffic.Answer
	plan   traffic.Plan
	// busy means that a busy loop runs on each core beside it.
	busy bool
	// windows is the time of a measurement in windows; 0 means 1.
	windows int
	shows   []measure
}

// measure is a figure of a row.
type measure struct{ key, text string }

// Keys of figures. Those that begin with "added" are the figure of the column less the figure of the direct run in the same round.
const (
	cpu      = "cpu"
	p50      = "p50"
	p99      = "p99"
	added50  = "added p50"
	added99  = "added p99"
	first    = "first"
	addedTo1 = "added first"
	switches = "switches"
	rate     = "rate"
)

const (
	requestBody = 2 << 10
	answerBody  = 1 << 10
)

// rows returns all rows.
func rows() []*row {
	return []*row{
		streams("sse50", 50, 10*time.Millisecond),
		streams("sse500", 500, 10*time.Millisecond),
		streams("sse2000", 2000, 50*time.Millisecond),
		{
			name: "short", title: "100 clients, streams of 10 events, 1 ms apart", unit: "stream",
			answer: traffic.Answer{Gap: time.Millisecond, Events: 10},
			plan:   traffic.Plan{Clients: 100, Sessions: 100, Body: requestBody, Size: 10 * traffic.EventSize, Events: true},
			shows:  []measure{{cpu, "CPU a stream, us"}, {switches, "voluntary switches a stream"}, {rate, "streams a second"}},
		},
		json("json32", "JSON, 32 clients", 32, requestBody),
		json("json256", "JSON, 256 clients", 256, requestBody),
		json("large", "JSON, 256 KB request, 32 clients", 32, 256<<10),
		busy(json("busy", "JSON, 32 clients, a busy loop on each core", 32, requestBody)),
		{
			name: "light", title: "JSON, 100 requests a second", unit: "request", windows: 2,
			answer: traffic.Answer{Size: answerBody},
			plan:   traffic.Plan{Clients: 8, Sessions: 8, Body: requestBody, Size: answerBody, Every: 10 * time.Millisecond},
			shows: []measure{
				{p50, "whole request p50, us"},
				{p99, "whole request p99, us"},
				{added50, "added p50, us"},
				{added99, "added p99, us"},
				{cpu, "CPU a request, us"},
			},
		},
	}
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

// busy adds the busy loops.
func busy(r *row) *row {
	r.busy = true
	return r
}

// selectRows returns the rows with these names, comma-separated, or all.
func selectRows(names string) (selected []*row, err error) {
	if names == "" {
		return rows(), nil
	}
	for name := range strings.SplitSeq(names, ",") {
		n := len(selected)
		for _, r := range rows() {
			if r.name == name {
				selected = append(selected, r)
			}
		}
		if len(selected) == n {
			return nil, fmt.Errorf("%q is not a row", name)
		}
	}
	return selected, nil
}
