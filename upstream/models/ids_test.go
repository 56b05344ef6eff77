package models

import "testing"

// Lists of the same models share their ids, whatever else the lists say; others do not.
func TestSharedIDs(t *testing.T) {
	parse := func(body string) *List {
		l, ok := Parse([]byte(body))
		if !ok {
			t.Fatalf("%s is no list", body)
		}
		return l
	}
	a := parse(`{"data":[{"id":"a","created":1},{"id":"b"}]}`)
	same := parse(`{"data":[{"id":"b"},{"id":"a","created":2}]}`)
	fewer := parse(`{"data":[{"id":"a"}]}`)
	other := parse(`{"data":[{"id":"c"}]}`)
	if a.ids != same.ids {
		t.Error("lists of the same models do not share their ids")
	}
	for _, l := range []*List{a, same} {
		if !l.Has([]byte("a")) || !l.Has([]byte("b")) || l.Has([]byte("c")) {
			t.Error("a list does not know its models")
		}
	}
	if a.ids == fewer.ids || a.ids == other.ids || fewer.Has([]byte("b")) || !other.Has([]byte("c")) || other.Has([]byte("a")) {
		t.Error("lists of other models share ids")
	}
}

// The ids of a server are those of the list in force: the one that the configuration assigns, else the one that the server gave.
func TestIDsOfServed(t *testing.T) {
	var s Served
	check := func(when string, models ...string) {
		t.Helper()
		if got := s.IDs(); (got == nil) != (models == nil) || got != nil && len(*got) != len(models) {
			t.Errorf("%s: %v, want %v", when, got, models)
		}
		for _, m := range models {
			if !s.IDs().Has([]byte(m)) {
				t.Errorf("%s: %s is missing", when, m)
			}
		}
	}
	check("before anything is known")
	s.SetModels(New([]Model{{ID: "listed"}}))
	check("listed", "listed")
	s.Assign([]string{"a", "b"})
	check("assigned", "a", "b")
	s.SetModels(New([]Model{{ID: "listed"}, {ID: "more"}}))
	check("listed while assigned", "a", "b")
	s.Assign(nil)
	check("no longer assigned", "listed", "more")
	s.SetModels(nil)
	check("unknown again")
	if s.IDs().Has([]byte("a")) {
		t.Error("an unknown list has a model")
	}
}
