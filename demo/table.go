package demo

import (
	"fmt"
	"strconv"
	"time"
)

// window is the time that the table looks back.
const window = 10 * time.Second

// scene is what the table shows.
type scene struct {
	affinity bool
	age      time.Duration // since the start
	names    []string
	states   map[string]string // by name, in tether's words; one that is missing is not known
	sessions []int             // by server
	turns    []turn            // of the window
}

// table draws the scene.
func (s *scene) table() []string {
	rows := [][]string{{"server", "state", "sessions", "turns/s", "hit rate", "TTFT p50", "TTFT p99"}}
	all := 0
	for i, name := range s.names {
		state, known := s.states[name]
		if !known {
			state = "no answer"
		}
		all += s.sessions[i]
		rows = append(rows, s.row(name, state, s.sessions[i], summarise(s.turns, name)))
	}
	rows = append(rows, s.row("all", "", all, summarise(s.turns, "")))
	title := fmt.Sprintf("%s  affinity %s", clock(s.age), onOff(s.affinity))
	return append([]string{"", title, ""}, align(rows, 2)...)
}

func (s *scene) row(name, state string, sessions int, sum summary) []string {
	seconds := max(min(s.age, window), time.Second).Seconds()
	return []string{
		name, state, strconv.Itoa(sessions), fmt.Sprintf("%.1f", float64(sum.answers)/seconds),
		percent(sum.hitRate()), latency(sum.first(0.5)), latency(sum.first(0.99)),
	}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// legend says what the table's figures are.
func legend() []string {
	return []string{
		"sessions  conversations whose latest request the server got, as it saw them",
		"hit rate  prompt tokens that the server had cached, of all prompt tokens",
		"TTFT      time to first token, as the clients saw it",
		fmt.Sprintf("          both of second and later turns, of the last %.0f s", window.Seconds()),
	}
}
