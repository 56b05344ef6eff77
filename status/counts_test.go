package status

import (
	"testing"
	"time"

	"tether/failure"
	"tether/proxy"
	"tether/session"
)

// An answer of 500 and more is an error, unless the attempt before it was counted as one. A client that left is none.
func TestCounting(t *testing.T) {
	var c tally
	for _, r := range []proxy.Record{
		{Outcome: session.Pinned, Status: 200, FirstByte: 10 * time.Millisecond},
		{Outcome: session.Pinned, Status: 200},
		{Outcome: session.New, Status: 200},
		{Outcome: session.New, Status: 200},
		{Outcome: session.New, Status: 500},
		{Outcome: session.None, Status: 499},
		{Outcome: session.None, Status: 502, Tries: []proxy.Try{{Failure: failure.Cut}}}, // fail counts it
	} {
		c.add(&r)
	}
	got := c.load()
	got.firstByte = histogram{}
	want := counts{requests: 7, errors: 1}
	want.outcomes = [...]uint64{session.None: 2, session.New: 3, session.Pinned: 2, session.Moved: 0, session.Spilled: 0}
	if got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

// A difference is what was counted between.
func TestSince(t *testing.T) {
	var c tally
	r := proxy.Record{Outcome: session.Moved, Status: 503, FirstByte: time.Second}
	c.add(&r)
	one := c.load()
	for range 3 {
		c.add(&r)
	}
	three := c.load()
	three = three.since(&one)
	want := counts{requests: 3, errors: 3}
	want.outcomes[session.Moved], want.firstByte[bucketOf(time.Second)] = 3, 3
	if three != want {
		t.Errorf("%+v\nwant %+v", three, want)
	}
}
