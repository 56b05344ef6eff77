package main

import "testing"

func TestSelectRows(t *testing.T) {
	selected, err := selectRows("json32,sse50", 9850)
	if err != nil || len(selected) != 2 || selected[0].name != "json32" || selected[1].name != "sse50" {
		t.Errorf("got %v, %v", selected, err)
	}
	if all, err := selectRows("", 9850); err != nil || len(all) != len(rows(9850)) {
		t.Errorf("got %d rows, %v", len(all), err)
	}
	if _, err := selectRows("json32,unknown", 9850); err == nil || err.Error() != `"unknown" is not a row` {
		t.Errorf("got %v", err)
	}
}

// Every row has a name of its own, and a plan that its answer suits.
func TestRows(t *testing.T) {
	names := map[string]bool{}
	for _, r := range rows(9850) {
		if names[r.name] {
			t.Errorf("there are two rows %s", r.name)
		}
		names[r.name] = true
		if stream := r.answer.Gap > 0; stream != r.plan.Events {
			t.Errorf("%s: the answer is a stream: %v, the clients expect one: %v", r.name, stream, r.plan.Events)
		}
		if r.kind != inside && !r.plan.Endless && r.plan.Size == 0 {
			t.Errorf("%s: the clients expect no size", r.name)
		}
		if len(r.shows) == 0 {
			t.Errorf("%s shows nothing", r.name)
		}
	}
	for _, g := range goals {
		if !names[g.row] {
			t.Errorf("the goal %q is for the unknown row %s", g.text, g.row)
		}
	}
}

// Rows of many connections say so if fewer fit.
func TestRowsThatDoNotFit(t *testing.T) {
	selected, err := selectRows("streams10000,memory10000,idle10000,sse2000", 5000)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{5000, 5000, 5000, 2000} {
		if got := selected[i].plan.Clients; got != want {
			t.Errorf("%s: %d clients, want %d", selected[i].name, got, want)
		}
	}
	if want := "Memory of 5000 open streams (10000 do not fit into the limit of descriptors)"; selected[1].title != want {
		t.Errorf("the title is %q", selected[1].title)
	}
}

// Few and many upstreams are measured in turns, all other rows alone.
func TestTakingTurns(t *testing.T) {
	for rest := rows(10_000); len(rest) > 0; {
		var together []*row
		together, rest = takingTurns(rest)
		want := 1
		if together[0].name == "upstreams2" {
			want = 2
		}
		if len(together) != want {
			t.Errorf("%d rows from %s on take turns, want %d", len(together), together[0].name, want)
		}
	}
	for names, want := range map[string]int{"json32,upstreams512": 1, "upstreams512,json32,upstreams2": 2, "upstreams512,upstreams2": 2} {
		selected, err := selectRows(names, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		if together, rest := takingTurns(selected); len(together) != want || len(together)+len(rest) != len(selected) {
			t.Errorf("%s: %d rows take turns, and %d follow", names, len(together), len(rest))
		}
	}
}
