package kube

import (
	"encoding/json"
	"testing"
)

func TestStore(t *testing.T) {
	s := store[*object]{make: func() *object { return &object{} }, limit: 2}
	raw := func(name, version string) json.RawMessage {
		return json.RawMessage(`{"metadata":{"name":"` + name + `","resourceVersion":"` + version + `"}}`)
	}
	if err := s.replace([]json.RawMessage{raw("a", "1")}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		event         event
		version, want string
		names         int
	}{
		{event{"ADDED", raw("b", "2")}, "2", "", 2},
		{event{"MODIFIED", raw("b", "3")}, "3", "", 2},
		{event{"BOOKMARK", raw("", "4")}, "4", "", 2},
		{event{"DELETED", raw("a", "5")}, "5", "", 1},
		{event{"DELETED", raw("a", "6")}, "6", "", 1},
		{event{"ADDED", raw("", "7")}, "", errObject.Error(), 1},
		{event{"ADDED", raw("c", "")}, "", errObject.Error(), 1},
		{event{"ADDED", json.RawMessage("7")}, "", "the API server sends an object that cannot be read", 1},
		{event{"SOON", raw("a", "8")}, "", `the API server sends an event "SOON", want ADDED, MODIFIED, DELETED or BOOKMARK`, 1},
		{event{"ADDED", raw("c", "9")}, "9", "", 2},
		{event{"ADDED", raw("d", "10")}, "", "the API server has more than 2 objects", 3},
	} {
		version, err := s.apply(c.event)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if version != c.version || text != c.want || len(s.objects) != c.names {
			t.Errorf("%s %s: version %q, %s, %d objects", c.event.Type, c.event.Object, version, text, len(s.objects))
		}
	}
	// A list that cannot be read changes nothing.
	if err := s.replace([]json.RawMessage{raw("x", "1"), raw("", "1")}); err != errObject || len(s.objects) != 3 {
		t.Error(err, s.objects)
	}
}
