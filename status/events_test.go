package status

import (
	"fmt"
	"testing"
	"time"

	"tether/upstream"
	"tether/upstream/transport"
)

// Events are kept in a ring. An event that changes is new again, and one that left the ring stays away.
func TestEvents(t *testing.T) {
	var e events
	now := time.Unix(1000, 0)
	first := e.add(now, "up", "a", "first")
	for i := range maxEvents - 1 {
		e.add(now.Add(time.Duration(i+1)*time.Second), "down", "b", fmt.Sprint(i))
	}
	later := now.Add(time.Hour)
	e.change(later, first, "still first")
	if got := e.after(later.Add(-1)); len(got) != 1 || got[0].ID != first || got[0].Text != "still first" || !got[0].At.Equal(now) {
		t.Errorf("%+v", got)
	}
	last := e.add(later, "up", "c", "last")
	e.change(later, first, "gone")
	all := e.after(time.Time{})
	if len(all) != maxEvents || all[0].ID != first+1 || all[len(all)-1].ID != last || all[len(all)-1].Text != "last" {
		t.Errorf("%d events, %d to %d", len(all), all[0].ID, all[len(all)-1].ID)
	}
}

// Changes of health, drains and leaving are events. Suspicion is none.
func TestDescribe(t *testing.T) {
	var got []string
	r := upstream.NewRegistry(func(c upstream.Change) {
		if kind, text, ok := describe(c); ok {
			got = append(got, kind+": "+text)
		}
	})
	if _, err := r.Apply([]upstream.Spec{{Name: "a", Address: transport.Address{Network: "tcp", Dial: "10.9.8.7:1"}, Weight: 100}}); err != nil {
		t.Fatal(err)
	}
	u := r.Table().Members[0].Upstream
	u.SetHealth(upstream.Up, "probe succeeded")
	u.Suspected("it refused a request's connection")
	u.SetHealth(upstream.Down, "probe could not connect")
	u.SetHealth(upstream.Up, "")
	u.SaidLeaving()
	u.Drain(false)
	u.Drain(true)
	u.Undrain()
	want := []string{
		"up: up, was unknown: probe succeeded", "down: down, was up, suspect: probe could not connect", "up: up, was down",
		"leaving: leaving: it said that it is shutting down", "drain: up, leaving, draining: by the operator", "drain: up, leaving, draining hard: by the operator",
		"drain: the drain ended: by the operator",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}
