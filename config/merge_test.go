package config

import (
	"fmt"
	"strings"
	"testing"

	"tether/discovery"
	"tether/ring"
)

func found(names ...string) *Set {
	s := &Set{Found: []discovery.Found{}}
	for i, name := range names {
		name, address, given := strings.Cut(name, "=")
		if !given {
			address = fmt.Sprintf("10.0.0.%d:8000", i+1)
		}
		s.Found = append(s.Found, discovery.Found{Name: name, Address: address})
	}
	return s
}

// wordsOf writes a list as NAME/SLOT.
func wordsOf(c *Config, all []Upstream) string {
	var words []string
	for _, s := range c.SpecsOf(all) {
		words = append(words, fmt.Sprintf("%s/%d", s.Name, s.Slot))
	}
	return strings.Join(words, " ")
}

// The list of the configuration comes first, then the sources in their order. The first of two with one name or address counts.
func TestMerge(t *testing.T) {
	const static, two = "upstreams: [{name: vllm-0, url: \"http://10.0.9.9:8000\"}]\n", "discovery: [{dns: {name: a, port: 1}}, {kubernetes: {service: b}}]\n"
	for name, c := range map[string]struct {
		text          string
		sets          []*Set
		want, problem string
	}{
		"nothing yet":        {two, []*Set{nil, nil}, "", ""},
		"StatefulSet":        {two, []*Set{nil, found("vllm-0", "vllm-2")}, "vllm-0/0 vllm-2/2", ""},
		"Deployment":         {two, []*Set{nil, found("vllm-7d-x2", "vllm-7d-b9")}, "vllm-7d-x2/-1 vllm-7d-b9/-1", ""},
		"list and source":    {static + two, []*Set{found("vllm-1"), nil}, "vllm-0/0 vllm-1/1", ""},
		"numbers of one":     {static + two, []*Set{found("other"), nil}, "vllm-0/-1 other/-1", ""},
		"nothing but a list": {static + two, []*Set{nil, nil}, "vllm-0/0", ""},
		"a name twice": {
			static + two,
			[]*Set{found("vllm-0"), found("vllm-0=10.0.0.7:8000", "vllm-1=10.0.0.8:8000")},
			"vllm-0/0 vllm-1/1",
			`dns:a: "vllm-0" does not count: upstreams has the name already` + "\n" + `kubernetes:b: "vllm-0" does not count: upstreams has the name already`,
		},
		"an address twice": {
			two, []*Set{found("vllm-0"), found("pod")}, "vllm-0/0", `kubernetes:b: "pod" does not count: dns:a has a server at its address already`,
		},
		"a name that no upstream may have": {
			two, []*Set{found("a b", "vllm-1"), nil}, "vllm-1/1", `dns:a: "a b" does not count: want a name of 1..128 letters, digits and .:_-@/[]`,
		},
		"an address that cannot be": {two, []*Set{found("vllm-1=10.0.0.1:0"), nil}, "", `dns:a: "vllm-1" does not count: its address cannot be used`},
		"ranks": {
			"discovery: [{dns: {name: a, port: 1}, upstream: {data_parallel_ranks: 2}}, {kubernetes: {service: b}}]",
			[]*Set{found("vllm-0", "vllm-0@1"), found("vllm-1=10.0.0.9:8000")},
			"vllm-0/0",
			`dns:a: "vllm-0@1" does not count: dns:a has the name already` + "\n" + `kubernetes:b: "vllm-1" does not count: it has 0 data_parallel_ranks, and the first upstream has 2`,
		},
	} {
		cfg := mustLoad(t, c.text)
		all, problems := cfg.Merge(c.sets)
		if got := wordsOf(cfg, all); got != c.want || strings.Join(problems, "\n") != c.problem {
			t.Errorf("%s\ngot  %s; %s\nwant %s; %s", name, got, strings.Join(problems, "\n"), c.want, c.problem)
		}
	}
}

// What a source says of a server wins over the keys of the source.
func TestKeysOfFoundUpstreams(t *testing.T) {
	c := mustLoad(t, "discovery: [{kubernetes: {service: a}, scheme: https, upstream: {weight: 50, models: [x], host_header: preserve}}]")
	seven, five := 7, 5
	all, problems := c.Merge([]*Set{{Found: []discovery.Found{
		{Name: "p", Address: "10.0.0.1:8000"},
		{Name: "q", Address: "10.0.0.2:8000", Weight: &seven, Slot: &five, Models: []string{"y"}, Drain: true},
		{Name: "r", Address: "10.0.0.3:8000", Models: []string{"\n"}},
	}}})
	if len(problems) != 1 || problems[0] != `kubernetes:a: "r" does not count: a name of its models has control characters, or is too long` || len(all) != 2 {
		t.Fatal(problems, all)
	}
	p, q := c.SpecsOf(all)[0], c.SpecsOf(all)[1]
	if p.Weight != 50 || p.Drain || fmt.Sprint(p.Models) != "[x]" || !p.Address.Secure || !p.PreserveHost {
		t.Errorf("%+v", p)
	}
	if q.Weight != 7 || !q.Drain || fmt.Sprint(q.Models) != "[y]" || q.Slot != ring.Unnumbered { // p has no number
		t.Errorf("%+v", q)
	}
}

// 4,096 upstreams are the most; the others are one line each.
func TestMergeIsBounded(t *testing.T) {
	c := mustLoad(t, "upstreams: [{url: \"http://a\"}]\ndiscovery: [{dns: {name: a, port: 1}}]")
	set := &Set{}
	for i := range 4096 {
		set.Found = append(set.Found, discovery.Found{Name: fmt.Sprint("s", i), Address: fmt.Sprintf("10.0.%d.%d:1", i/256, i%256)})
	}
	all, problems := c.Merge([]*Set{set})
	if len(all) != 4096 || len(problems) != 1 || problems[0] != `dns:a: "s4095" does not count: there are 4096 upstreams already` {
		t.Error(len(all), problems)
	}
}
