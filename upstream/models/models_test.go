package models

import "testing"

func TestList(t *testing.T) {
	var unknown *List
	if unknown.All() != nil || unknown.Has([]byte("a")) {
		t.Error("an unknown list has models")
	}
	l := New([]Model{{ID: "a", Raw: []byte(`{"id":"a"}`)}, {ID: "b"}})
	if len(l.All()) != 2 || l.All()[0].ID != "a" || !l.Has([]byte("b")) || l.Has([]byte("c")) {
		t.Errorf("%+v", l.All())
	}
}

// What the configuration assigns counts, whatever the server lists; the server's words for an entry are kept.
func TestServed(t *testing.T) {
	var s Served
	if s.Models() != nil || s.Assigned() != nil {
		t.Error("models of a server that listed none")
	}
	listed := New([]Model{{ID: "a", Raw: []byte(`{"id":"a","root":"x"}`)}})
	s.SetModels(listed)
	if s.Models() != listed {
		t.Error("the server's list is not in force")
	}
	s.Assign([]string{"a", "b"})
	if m := s.Models(); m != s.Assigned() || !m.Has([]byte("b")) {
		t.Error("the assigned list is not in force")
	}
	for i, want := range []string{`{"id":"a","root":"x"}`, `{"id":"b","object":"model"}`} {
		if got := string(s.Entry(s.Models().All()[i])); got != want {
			t.Errorf("entry %s, want %s", got, want)
		}
	}
	s.Assign(nil)
	if s.Assigned() != nil || s.Models() != listed {
		t.Error("an assignment stays in force after it ended")
	}
}

func TestParse(t *testing.T) {
	for _, body := range []string{``, `[]`, `{}`, `{"data":{}}`, `nonsense`} {
		if m, ok := Parse([]byte(body)); ok {
			t.Errorf("%s is a list: %v", body, m)
		}
	}
	if m, ok := Parse([]byte(`{"data":[{"id":"a"},{"id":""},{"id":7},"x",{"id":"b"}]}`)); !ok || len(m.All()) != 2 {
		t.Errorf("%v, %v", m, ok)
	}
}
