package identity

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// request is a request as a test writes it.
type request struct {
	headers []string // "Name: value"
	body    string
	shape   Shape
}

func mustIdentifier(t testing.TB, change func(*Config)) *Identifier {
	t.Helper()
	cfg := Default()
	if change != nil {
		change(&cfg)
	}
	cfg.Validate(func(key, problem string) { t.Fatalf("%s: %s", key, problem) })
	id, err := NewIdentifier(&cfg, &Models{}, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (r request) search(id *Identifier) *Search {
	s := new(Search)
	r.show(s, id)
	return s
}

// show shows s the request.
func (r request) show(s *Search, id *Identifier) {
	s.Begin(id)
	for _, h := range r.headers {
		name, value, _ := strings.Cut(h, ": ")
		s.Header([]byte(name), []byte(value))
	}
	s.Body([]byte(r.body), r.shape)
}

func (r request) identify(id *Identifier) (Identity, *Search) {
	s := r.search(id)
	var i Identity
	s.Identify(&i, true, nil, time.Time{})
	return i, s
}

const hello = `{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}]}`

func isUUID(s string) bool {
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
}

func TestCookies(t *testing.T) {
	id := mustIdentifier(t, func(c *Config) { c.Sources = []string{"cookie:sid", "header:X-Session-Id"} })
	got, _ := request{headers: []string{"Cookie: a=b; sid=login-secret; c=d"}}.identify(id)
	if got.Source.String() != "cookie:sid" || !isUUID(string(got.ID())) {
		t.Fatalf("%v %q", got.Source, got.ID())
	}
	if strings.Contains(string(got.ID()), "secret") {
		t.Error("the id in X-Session-Id shows the cookie")
	}
	// The id that is sent back leads to the same pin.
	back, _ := request{headers: []string{"X-Session-Id: " + string(got.ID())}}.identify(id)
	if id.Key(nil, back.ID()) != id.Key(nil, got.ID()) {
		t.Error("the id that is sent back is another session")
	}
	for _, cookie := range []string{"xsid=a", "sid", "a=sid", ""} {
		if got, _ := (request{headers: []string{"Cookie: " + cookie}}).identify(id); got.Source.Kind != 0 {
			t.Errorf("%q gave an id", cookie)
		}
	}
}

// After Identify a Search holds nothing of head and body: their memory may belong to another request.
func TestSearchForgetsItsRequest(t *testing.T) {
	id := mustIdentifier(t, nil)
	body := []byte(`{"model":"model-of-a","previous_response_id":"resp_a","session_id":"\u0061 b","messages":[{"role":"user","content":"Hello"}]}`)
	s := new(Search)
	s.Begin(id)
	s.Header([]byte("Authorization"), []byte("Bearer "+jwt(`{"iss":"i","sub":"s"}`)))
	s.Caller()
	s.Body(body, Chat)
	s.Identify(new(Identity), true, nil, time.Time{})
	for i := range body {
		body[i] = 'B'
	}
	if string(s.Model) != "model-of-a" || string(s.Previous) != "resp_a" {
		t.Errorf("model %q, response %q after another request has overwritten the body", s.Model, s.Previous)
	}
	for _, buf := range [][]byte{s.idBuf[:cap(s.idBuf)], s.callerBuf[:cap(s.callerBuf)]} {
		if len(buf) == 0 || len(bytes.Trim(buf, "\x00")) > 0 {
			t.Errorf("%q is still there", buf)
		}
	}
	if !reflect.DeepEqual(s.found, [maxSources]candidate{}) || s.scopes[0] != nil || s.scopes[1] != nil || !reflect.ValueOf(s.json).FieldByName("text").IsNil() {
		t.Error("parts of the request are still held")
	}
}

// The length of one request's text says nothing about the next request, also if that one has a turn without text.
func TestLongTextCountsForItsRequest(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, next := range []request{{body: `{"input":"Hi"}`, shape: Responses}, {body: `{"messages":[{"role":"user"}]}`, shape: Chat}} {
		s := new(Search)
		request{body: `{"messages":[{"role":"user","content":"` + strings.Repeat("x", maxCommon+1) + `"}]}`, shape: Chat}.show(s, id)
		if s.FirstTurn {
			t.Error("a long opening is complete, and passes for a whole conversation")
		}
		if next.show(s, id); !s.FirstTurn {
			t.Errorf("%s: the length of the text before counts", next.body)
		}
	}
}

// A Search is used for one request after another. Nothing of one request counts in the next.
func TestSearchIsReused(t *testing.T) {
	id := mustIdentifier(t, func(c *Config) { c.Subagents = Own })
	s := new(Search)
	var turns []request
	for _, c := range clients(t) {
		for _, f := range c.turns {
			turns = append(turns, c.turn(f, 0))
		}
	}
	turns = append(turns, request{body: hello, shape: Chat}, request{body: `{"input":"Hi"}`, shape: Responses}, request{body: "no JSON"})
	for _, n := range rand.Perm(len(turns)) {
		var got Identity
		turns[n].show(s, id)
		s.Identify(&got, false, nil, time.Time{})
		fresh := new(Search)
		var want Identity
		turns[n].show(fresh, id)
		fresh.Identify(&want, false, nil, time.Time{})
		if got != want || s.IsJSON != fresh.IsJSON || string(s.Model) != string(fresh.Model) {
			t.Errorf("%v\n%s: %s, not %s", turns[n].headers, turns[n].body, got.ID(), want.ID())
		}
	}
}
