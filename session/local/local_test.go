package local

import (
	"testing"
	"time"

	"tether/session/identity"
	"tether/session/pins"
	"tether/session/shared"
	"tether/upstream"
	"tether/upstream/transport"
)

func newMaps(t *testing.T, names ...string) Maps {
	t.Helper()
	m := Maps{Sessions: pins.NewMap(1000, time.Hour), Responses: pins.NewMap(1000, time.Hour), Upstreams: upstream.NewRegistry(nil)}
	m.use(t, names...)
	return m
}

func (m Maps) use(t *testing.T, names ...string) {
	t.Helper()
	var specs []upstream.Spec
	for n, name := range names {
		specs = append(specs, upstream.Spec{Name: name, Address: transport.Address{Network: "tcp", Dial: "127.0.0.1:1"}, Slot: n, Weight: 100, Ranks: 2})
	}
	removed, err := m.Upstreams.Apply(specs)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range removed {
		m.Sessions.Retire(ref)
	}
}

// Sessions and stored responses have maps of their own, and an upstream that is not known has no place in them.
func TestPlaceAndLook(t *testing.T) {
	m := newMaps(t, "a")
	s := shared.Sighting{Subject: shared.Subject{Key: identity.Key{Hi: 1}}, At: "a@1", Age: time.Minute}
	m.Place(&s)
	if at, idle, ok := m.Look(s.Subject); at != "a@1" || idle != time.Minute || !ok {
		t.Errorf("%q after %v, %v", at, idle, ok)
	}
	response := s
	response.Response = true
	if _, _, ok := m.Look(response.Subject); ok {
		t.Error("a session is no stored response")
	}
	response.At = "a@0"
	m.Place(&response)
	if at, _, _ := m.Look(response.Subject); at != "a@0" {
		t.Errorf("%q", at)
	}
	other := s
	other.At = "unknown"
	m.Place(&other)
	if at, _, _ := m.Look(s.Subject); at != "a@1" {
		t.Errorf("%q", at)
	}
	other.At = ""
	m.Place(&other)
	if at, _, ok := m.Look(s.Subject); ok {
		t.Errorf("forgotten, and at %q", at)
	}
	m.Place(&s)
	m.use(t, "b")
	if at, _, ok := m.Look(s.Subject); ok {
		t.Errorf("at %q, which is gone", at)
	}
}
