package discovery

import (
	"strconv"
	"strings"

	"tether/ring"
	"tether/upstream"
)

// Slots returns each server's number in the ring: the number that its source gives it; or N, where all labels are
// PREFIX-N with one prefix and different numbers; or else its position in the list. The first server decides for all
// whether the source gives numbers; a server without one then has 0.
func Slots(servers []Server) []int {
	if len(servers) > 0 && servers[0].Slot != nil {
		return given(servers)
	}
	if numbers, ok := ordinals(servers); ok {
		return numbers
	}
	positions := make([]int, len(servers))
	for i := range positions {
		positions[i] = i
	}
	return positions
}

func given(servers []Server) []int {
	numbers := make([]int, len(servers))
	for i, s := range servers {
		if s.Slot != nil {
			numbers[i] = *s.Slot
		}
	}
	return numbers
}

// ordinals returns the numbers of StatefulSet pods, vllm-0 and so on, and reports whether all servers have one.
func ordinals(servers []Server) (numbers []int, ok bool) {
	first, seen := "", map[int]bool{}
	for i, s := range servers {
		prefix, n, ok := ordinal(s.Label)
		if !ok || i > 0 && prefix != first || seen[n] {
			return nil, false
		}
		first, seen[n] = prefix, true
		numbers = append(numbers, n)
	}
	return numbers, true
}

// ordinal splits PREFIX-N, with N as the ring takes it and written in the usual way.
func ordinal(label string) (prefix string, n int, ok bool) {
	dash := strings.LastIndexByte(label, '-')
	if dash < 1 {
		return "", 0, false
	}
	n, err := strconv.Atoi(label[dash+1:])
	ok = err == nil && strconv.Itoa(n) == label[dash+1:] && n >= 0 && n < ring.MaxSlots
	return label[:dash], n, ok
}

// Changing is Static for servers that come and go. Their positions in the list say nothing, because each server that comes would change
// them. So unless the sources give all servers different numbers, or all labels have them, the servers have none.
func Changing(servers []Server) []upstream.Spec {
	numbers, ok := allGiven(servers)
	if !ok {
		numbers, ok = ordinals(servers)
	}
	specs := make([]upstream.Spec, len(servers))
	for i := range servers {
		specs[i] = servers[i].Spec
		ok = ok && (numbers[i]+1)*max(specs[i].Ranks, 1) <= ring.MaxSlots
	}
	for i := range specs {
		specs[i].Slot = ring.Unnumbered
		if ok {
			specs[i].Slot = numbers[i]
		}
	}
	return specs
}

// allGiven returns the numbers that the sources give, and reports whether all servers have different ones.
func allGiven(servers []Server) (numbers []int, ok bool) {
	seen := map[int]bool{}
	for _, s := range servers {
		if s.Slot == nil || *s.Slot < 0 || *s.Slot >= ring.MaxSlots || seen[*s.Slot] {
			return nil, false
		}
		seen[*s.Slot] = true
		numbers = append(numbers, *s.Slot)
	}
	return numbers, true
}
