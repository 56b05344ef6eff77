package dns

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tether/discovery"
)

// foundIn reads a set of NAME=ADDRESS.
func foundIn(set string) (found []discovery.Found) {
	for word := range strings.FieldsSeq(set) {
		name, address, _ := strings.Cut(word, "=")
		found = append(found, discovery.Found{Name: name, Address: address})
	}
	return found
}

func TestMembers(t *testing.T) {
	type step struct {
		at           int // seconds
		answer, want string
	}
	for name, steps := range map[string][]step{
		"a server that flaps stays": {
			{0, "a=1 b=2", "a=1 b=2"}, {1, "a=1", "a=1 b=2"}, {2, "a=1 b=2", "a=1 b=2"}, {30, "a=1", "a=1 b=2"}, {59, "a=1", "a=1 b=2"}, {60, "a=1", "a=1"},
		},
		"the first answer after a long silence removes nothing": {
			{0, "a=1 b=2", "a=1 b=2"}, {600, "a=1", "a=1 b=2"}, {629, "a=1", "a=1 b=2"}, {630, "a=1", "a=1"},
		},
		"answers that show a part at a time": {
			{0, "a=1", "a=1"}, {5, "b=2", "a=1 b=2"}, {10, "c=3", "a=1 b=2 c=3"}, {15, "a=1", "a=1 b=2 c=3"}, {20, "b=2", "a=1 b=2 c=3"},
		},
		"a server under another address replaces itself": {{0, "a=1 b=2", "a=1 b=2"}, {1, "a=9 b=2", "a=9 b=2"}},
		"a server at another one's address replaces it":  {{0, "a=1 b=2", "a=1 b=2"}, {1, "b=2 c=1", "b=2 c=1"}},
		"numbers are in order":                           {{0, "v-10=1 v-9=2", "v-9=2 v-10=1"}},
	} {
		m := members{keep: 30 * time.Second}
		begin := time.Now()
		for _, s := range steps {
			if got := words(m.take(foundIn(s.answer), begin.Add(time.Duration(s.at)*time.Second))); got != s.want {
				t.Errorf("%s: after %d s %q, want %q", name, s.at, got, s.want)
			}
		}
	}
}

// Answers with ever new servers cannot make the set larger than the largest answer may be.
func TestMembersAreBounded(t *testing.T) {
	m := members{keep: time.Hour}
	var set []discovery.Found
	for i := range 5 {
		var answer strings.Builder
		for n := range 1000 {
			fmt.Fprintf(&answer, "s-%d-%d=%d.%d ", i, n, i, n)
		}
		set = m.take(foundIn(answer.String()), time.Unix(int64(i), 0))
	}
	perAnswer := map[string]int{}
	for _, f := range set {
		perAnswer[f.Name[:3]]++
	}
	if got := fmt.Sprint(perAnswer); got != "map[s-0:96 s-1:1000 s-2:1000 s-3:1000 s-4:1000]" {
		t.Errorf("%d servers, %s", len(set), got)
	}
}
