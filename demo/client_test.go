package demo

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"tether/sim"
	"tether/sim/fault"
)

// patient is the limit of every wait of these tests. No wait is expected to reach it.
const patient = 30 * time.Second

// direct returns a server, and the function that asks it for the next turn.
func direct(t *testing.T, cfg sim.Config) (*sim.Server, func(c *conversation) (reply, error)) {
	t.Helper()
	s := sim.New(cfg)
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() { client.CloseIdleConnections(); s.Stop() })
	return s, func(c *conversation) (reply, error) {
		ctx, cancel := context.WithTimeout(context.Background(), patient)
		defer cancel()
		return ask(ctx, client, s.URL()+"/v1/chat/completions", c.request())
	}
}

func small() *Pace {
	return &Pace{Opening: 100, Question: 10, Answer: 5, Turns: 4, Conversations: 10}
}

func TestBrokenAndFailedRequests(t *testing.T) {
	for _, c := range []struct {
		fault  fault.Kind
		broken bool
	}{
		{fault.CutBetween, true},
		{fault.CutInside, true},
		{fault.CutRST, true},
		{fault.Reset, false},
		{"503", false},
	} {
		s, ask := direct(t, sim.Config{})
		if err := s.Inject(fault.Fault{Kind: c.fault}); err != nil {
			t.Fatal(err)
		}
		_, err := ask(newConversation(1, small(), rand.New(rand.NewPCG(1, 1))))
		if err == nil || errors.Is(err, errBroken) != c.broken {
			t.Errorf("%s: %v", c.fault, err)
		}
	}
}

// A stream is broken by an error event, which tether sends when a server dies, by an event that is no JSON, and by a missing end.
func TestReadStream(t *testing.T) {
	const token = `data: {"choices":[{"delta":{"content":"a"}}]}` + "\n\n"
	for stream, want := range map[string]error{
		token + "data: [DONE]\n\n":                   nil,
		token + ": a comment\n\n" + "data: [DONE]\n": nil,
		token: errBroken,
		token + `data: {"error":{"message":"gone"}}` + "\n\ndata: [DONE]\n\n": errBroken,
		token + "data: {\n\n": errBroken,
		"":                    errBroken,
	} {
		var r reply
		if err := r.read(strings.NewReader(stream), time.Now()); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", stream, err, want)
		}
	}
}
