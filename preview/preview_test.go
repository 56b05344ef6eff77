package preview

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"tether/ring"
	"tether/upstream"
	"tether/upstream/transport"
)

func serversOf(n int) (all []Server) {
	for i := range n {
		all = append(all, Server{Name: fmt.Sprint("vllm-", i), Address: transport.Address{Network: "tcp", Dial: fmt.Sprintf("10.0.0.%d:8000", i)}, Slot: i, Weight: 100})
	}
	return all
}

func tableFor(t *testing.T, servers []Server) *upstream.Table {
	t.Helper()
	table, err := tableOf(specsOf(servers))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestOf has a row for each kind of change, with the share of homes that theory gives.
func TestOf(t *testing.T) {
	for _, c := range []struct {
		what      string
		now, next func(s []Server) []Server
		text      string
		homes     float64
		slots     string
		withSlots float64
	}{
		{"nothing", first(4), first(4), "", 0, "", 0},
		{"one more", first(4), first(5), "added [vllm-4]", 1. / 5, "", 0},
		{"one fewer", first(5), first(4), "removed [vllm-4], 10 of 50 move", 1. / 5, "", 0},
		{"another weight", first(4), func(s []Server) []Server { s[1].Weight = 50; return s[:4] }, "reweighted [{vllm-1 100 50}]", 3. / 28, "", 0}, /* a rejected key is drawn again, and may return */
		{
			"another address", first(4), func(s []Server) []Server { s[1].Address.Dial = "10.9.9.9:8000"; return s[:4] },
			"replaced [vllm-1], 10 of 40 move", 1. / 4, "", 0,
		},
		{
			"the first one goes, and slots follow the list", first(4), func(s []Server) []Server {
				for i := range s {
					s[i].Slot--
				}
				return s[1:4]
			},
			"removed [vllm-0], 10 of 40 move", 11. / 12, "[{vllm-1 1} {vllm-2 2} {vllm-3 3}]", 1. / 4,
		},
		{
			"ranks", func(s []Server) []Server { s[0].Ranks, s[1].Ranks = 2, 2; return s[:2] },
			func(s []Server) []Server { s[0].Ranks, s[1].Ranks, s[2].Ranks = 2, 2, 2; return s[:3] }, "added [vllm-2]", 1. / 3, "", 0,
		},
	} {
		table := tableFor(t, c.now(serversOf(6)))
		p, err := Of(table, func(upstream.Ref) int { return 10 }, c.next(serversOf(6)))
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		note := func(word string, has bool, what any) {
			if has {
				text = append(text, fmt.Sprint(word, " ", what))
			}
		}
		note("added", len(p.Added) > 0, p.Added)
		note("removed", len(p.Removed) > 0, p.Removed)
		note("replaced", len(p.Replaced) > 0, p.Replaced)
		note("reweighted", len(p.Reweighted) > 0, p.Reweighted)
		if p.SessionsMoved > 0 {
			text = append(text, fmt.Sprintf("%d of %d move", p.SessionsMoved, p.Sessions))
		}
		if got := strings.Join(text, ", "); got != c.text {
			t.Errorf("%s: %q, want %q", c.what, got, c.text)
		}
		slots := ""
		if len(p.Slots) > 0 {
			slots = fmt.Sprint(p.Slots)
		}
		const error = 0.02 // four times the standard error of the sample
		if math.Abs(p.HomesMoved-c.homes) > error || slots != c.slots || math.Abs(p.HomesMovedWithSlots-c.withSlots) > error {
			t.Errorf("%s: %.3f of the homes move, want %.3f; with the slots %s %.3f, want %s %.3f", c.what, p.HomesMoved, c.homes, slots, p.HomesMovedWithSlots, c.slots, c.withSlots)
		}
	}
}

func first(n int) func([]Server) []Server { return func(s []Server) []Server { return s[:n] } }

// A server of another model moves no home, because the configuration assigns models.
func TestOfModels(t *testing.T) {
	now, next := serversOf(2), serversOf(3)
	for i := range next {
		next[i].Models = []string{"a"}
	}
	copy(now, next)
	next[2].Models = []string{"b"}
	p, err := Of(tableFor(t, now), func(upstream.Ref) int { return 0 }, next)
	if err != nil || math.Abs(p.HomesMoved-0.5) > 0.02 { // half of the sample asks for b, which had no home
		t.Errorf("%+v, %v", p, err)
	}
}

// Servers that no table can have are an error. An empty set and a full one are none.
func TestOfTheExtremes(t *testing.T) {
	now := tableFor(t, serversOf(2))
	twice := serversOf(2)
	twice[1].Slot = 0
	none := func(upstream.Ref) int { return 0 }
	if _, err := Of(now, none, twice); err == nil || !strings.Contains(err.Error(), `number 0 is taken by "vllm-0"`) {
		t.Error(err)
	}
	if p, err := Of(now, none, nil); err != nil || p.HomesMoved != 1 || len(p.Removed) != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	many := make([]Server, upstream.MaxUpstreams)
	for i := range many {
		many[i] = Server{Name: fmt.Sprint("s", i), Address: transport.Address{Dial: fmt.Sprint(i)}, Slot: i, Weight: 100}
	}
	if p, err := Of(now, none, many); err != nil || len(p.Added) != len(many) || p.HomesMoved < 0.99 {
		t.Errorf("%d added, %v of the homes, %v", len(p.Added), p.HomesMoved, err)
	}
}

// Servers that had no slots, as discovery finds them, give no slots to others, whatever their ranks.
func TestOfServersWithoutSlots(t *testing.T) {
	now, next := serversOf(2), serversOf(2)
	for i := range now {
		now[i].Slot, now[i].Ranks, next[i].Ranks = ring.Unnumbered, 4, 4
	}
	p, err := Of(tableFor(t, now), func(upstream.Ref) int { return 0 }, next)
	if err != nil || len(p.Slots) > 0 || p.HomesMoved < 0.5 {
		t.Errorf("%+v, %v", p, err)
	}
}
