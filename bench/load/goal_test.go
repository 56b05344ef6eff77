package main

import "testing"

func TestGoals(t *testing.T) {
	all := map[string]figures{
		judged: {hits: 97, work: 1.2, p90: 2, p99: 3, moved: 16}, "hash": {p90: 5, p99: 4}, "least in flight": {p90: 4},
	}
	goals := goalsOf(97, 1.1, 0.4, 0.6, 0.55, 15)
	for i, want := range []string{
		"| x | hits, % of ideal | 97 | >= 97 | met |\n",
		"| x | work, max/mean | 1.2 | <= 1.1 | missed |\n",
		"| x | TTFT p90 / hash | 0.4 | <= 0.4 | met |\n",
		"| x | TTFT p99 / hash | 0.75 | <= 0.6 | missed |\n",
		"| x | TTFT p90 / least in flight | 0.5 | <= 0.55 | met |\n",
		"| x | moved per 1,000 | 16 | <= 15 | missed |\n",
	} {
		if line, met := goals[i].check("x", all); line != want || met != (i%2 == 0) {
			t.Errorf("%s %t, want %s", line, met, want)
		}
	}
	hits := goals[0]
	all[judged] = figures{hits: 96.9}
	if line, met := hits.check("x", all); met {
		t.Error(line)
	}
}
