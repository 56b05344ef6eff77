package discovery

import (
	"slices"
	"testing"
)

func TestSlots(t *testing.T) {
	for _, c := range []struct {
		labels []string
		want   []int
	}{
		{nil, nil},
		{[]string{"vllm-2", "vllm-0", "vllm-7"}, []int{2, 0, 7}}, // StatefulSet pods in any order, with gaps
		{[]string{"a-b-1", "a-b-0"}, []int{1, 0}},
		// Positions, where the labels are not PREFIX-N for all servers.
		{[]string{"vllm-1", "other"}, []int{0, 1}},
		{[]string{"vllm-1", ""}, []int{0, 1}},
		{[]string{"a-1", "b-0"}, []int{0, 1}},
		{[]string{"a-1", "a-1"}, []int{0, 1}},
		{[]string{"-1", "-0"}, []int{0, 1}},
		{[]string{"a-01", "a-02"}, []int{0, 1}},
		{[]string{"a-+2", "a-1"}, []int{0, 1}},
		{[]string{"a-4096", "a-1"}, []int{0, 1}},
		{[]string{"a-4095", "a-1"}, []int{4095, 1}},
	} {
		servers := make([]Server, len(c.labels))
		for i, label := range c.labels {
			servers[i].Label = label
		}
		if got := Slots(servers); !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.labels, got, c.want)
		}
	}
}

// A number of the source's own wins over labels, and the first server decides whether there are such numbers.
func TestGivenSlots(t *testing.T) {
	three, four := 3, 4
	for _, c := range []struct {
		slots []*int
		want  []int
	}{
		{[]*int{&four, &three}, []int{4, 3}},
		{[]*int{&four, nil}, []int{4, 0}},
		{[]*int{nil, &four}, []int{9, 8}},
	} {
		servers := []Server{{Label: "vllm-9", Slot: c.slots[0]}, {Label: "vllm-8", Slot: c.slots[1]}}
		if got := Slots(servers); !slices.Equal(got, c.want) {
			t.Errorf("%v, want %v", got, c.want)
		}
	}
}

// Servers that come and go have numbers if all of them have, and never by their positions.
func TestChanging(t *testing.T) {
	three, four := 3, 4
	named := func(labels ...string) (servers []Server) {
		for _, label := range labels {
			servers = append(servers, Server{Label: label})
		}
		return servers
	}
	given := func(slots ...*int) (servers []Server) {
		for _, slot := range slots {
			servers = append(servers, Server{Label: "x", Slot: slot})
		}
		return servers
	}
	ranked := named("vllm-0", "vllm-2047", "vllm-2048")
	for i := range ranked {
		ranked[i].Spec.Ranks = 2
	}
	for _, c := range []struct {
		servers []Server
		want    []int
	}{
		{nil, []int{}},
		{named("vllm-2", "vllm-0"), []int{2, 0}},
		{named("vllm-2", "other"), []int{-1, -1}},
		{given(&four, &three), []int{4, 3}},
		{given(&four, nil), []int{-1, -1}},
		{given(&four, &four), []int{-1, -1}},
		{ranked[:2], []int{0, 2047}},
		{ranked, []int{-1, -1, -1}},
	} {
		got := []int{}
		for _, s := range Changing(c.servers) {
			got = append(got, s.Slot)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.servers, got, c.want)
		}
	}
}
