package status

import (
	"testing"
	"time"

	"tether/proxy"
	"tether/session"
	"tether/session/identity"
	"tether/upstream"
	"tether/upstream/transport"
)

// The journal remembers the last turns of a session, the latest first, until another session needs the place.
func TestJournal(t *testing.T) {
	u := tableOf(t, "a").Members[0].Upstream
	var j journal
	k := identity.Key{Hi: 1, Lo: 7}
	note := func(k identity.Key, u *upstream.Upstream, n int) {
		j.note(&proxy.Record{Key: k, Upstream: u, Outcome: session.Pinned, Status: 200, PromptTokens: n, CachedTokens: -1, Started: time.UnixMilli(int64(n))})
	}
	for n := range 2*maxTurns + 3 {
		note(k, u, n)
		turns := j.of(k)
		if want := min(n+1, maxTurns); len(turns) != want || turns[0].prompt != int32(n) || turns[want-1].prompt != int32(n-want+1) || turns[0].upstream != u.Ref() {
			t.Fatalf("after %d: %+v", n, turns)
		}
	}
	note(identity.Key{}, u, 1)
	note(identity.Key{Hi: 2, Lo: 7}, nil, 1)
	if len(j.of(identity.Key{})) != 0 || len(j.of(k)) != maxTurns {
		t.Error("a request without a session or without an upstream changes the journal")
	}
	other := identity.Key{Hi: 2, Lo: 7 + maxJournal}
	note(other, u, 5)
	if len(j.of(k)) != 0 || len(j.of(other)) != 1 {
		t.Errorf("%d turns of the former session, %d of the new one", len(j.of(k)), len(j.of(other)))
	}
}

// tableOf returns a table of upstreams with these names.
func tableOf(t testing.TB, names ...string) *upstream.Table {
	return registryOf(t, nil, names...).Table()
}

func registryOf(t testing.TB, onChange func(upstream.Change), names ...string) *upstream.Registry {
	t.Helper()
	r := upstream.NewRegistry(onChange)
	if _, err := r.Apply(specsOf(names...)); err != nil {
		t.Fatal(err)
	}
	return r
}

func specsOf(names ...string) (specs []upstream.Spec) {
	for i, name := range names {
		specs = append(specs, upstream.Spec{Name: name, Address: transport.Address{Network: "tcp", Dial: "10.9.8.7:1"}, Slot: i, Weight: 100})
	}
	return specs
}
