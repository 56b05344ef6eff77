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
	if !a.SharesIDs(same) {
		t.Error("lists of the same models do not share their ids")
	}
	for _, l := range []*List{a, same} {
		if !l.Has([]byte("a")) || !l.Has([]byte("b")) || l.Has([]byte("c")) {
			t.Error("a list does not know its models")
		}
	}
	if a.SharesIDs(fewer) || a.SharesIDs(other) || fewer.Has([]byte("b")) || !other.Has([]byte("c")) || other.Has([]byte("a")) {
		t.Error("lists of other models share ids")
	}
}
