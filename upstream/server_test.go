package upstream

import (
	"testing"
	"time"

	"tether/upstream/transport"
)

// A connection that served one rank serves any other: each request names its rank.
func TestRanksShareConnections(t *testing.T) {
	s := listen(t)
	r := NewRegistry(nil)
	mustApply(t, r, ranked("a", s.u.Address().Dial, 2))
	m := r.Table().Members
	c, err := m[0].Dial(t.Context(), patience)
	if err != nil {
		t.Fatal(err)
	}
	c.Keep(&transport.Answer{}, time.Now())
	if again := m[1].TakeIdle(time.Now(), transport.Taker{}); again != c {
		t.Error("the other rank dials anew")
	}
	c.Keep(&transport.Answer{}, time.Now())
	mustApply(t, r, ranked("a", s.u.Address().Dial, 1))
	if again := m[0].TakeIdle(time.Now(), transport.Taker{}); again != c {
		t.Error("the server lost its connections with a rank")
	}
	c.Keep(&transport.Answer{}, time.Now())
	mustApply(t, r)
	if m[0].TakeIdle(time.Now(), transport.Taker{}) != nil {
		t.Error("the connections of a removed server are kept")
	}
}

// An upstream that is kept has the new options at once, and is the same one.
func TestRequestOptionsFollowTheConfiguration(t *testing.T) {
	r := NewRegistry(nil)
	s := spec("a", "1")
	s.Key = "old"
	mustApply(t, r, s)
	u := r.Table().Members[0].Upstream
	s.RequestOptions = transport.RequestOptions{PreserveHost: true, Key: "new", OverrideKey: true}
	mustApply(t, r, s)
	if r.Table().Members[0].Upstream != u {
		t.Error("another key is another upstream")
	}
	if got := *u.RequestOptions(); got != s.RequestOptions {
		t.Errorf("%+v", got)
	}
}

// Servers share equal options, and no others.
func TestSharedRequestOptions(t *testing.T) {
	r := NewRegistry(nil)
	specs := []Spec{spec("a", "1"), spec("b", "2"), spec("c", "3")}
	specs[2].Key = "another"
	mustApply(t, r, specs...)
	m := r.Table().Members
	if m[0].RequestOptions() != m[1].RequestOptions() {
		t.Error("equal options are in two places")
	}
	if a, c := m[0].RequestOptions().Key, m[2].RequestOptions().Key; a != "" || c != "another" {
		t.Errorf("keys %q and %q", string(a), string(c))
	}
}
