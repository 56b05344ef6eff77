package demo

import (
	"fmt"
	"time"
)

// window is the time that the figures of the table cover.
const window = 10 * time.Second

type tableData struct {
	affinity bool
	age      time.Duration // since the start
	names    []string
	states   map[string]string // by name, in tether's words; a missing one is unknown
	sessions []int             // by server
	turns    []turn            // of the window
}

func table(d *tableData) []string {
	rows := []string{"server\tstate\tsessions\tturns/s\thit rate\tTTFT p50\tTTFT p99"}
	for i, name := range d.names {
		state, known := d.states[name]
		if !known {
			state = "no answer"
		}
		rows = append(rows, d.row(name, state, d.sessions[i], summarize(d.turns, name)))
	}
	rows = append(rows, d.row("all", "", sum(d.sessions), summarize(d.turns, "")))
	affinity := "off"
	if d.affinity {
		affinity = "on"
	}
	return append([]string{"", fmt.Sprintf("%s  affinity %s", clock(d.age), affinity), ""}, columns(rows)...)
}

func (d *tableData) row(name, state string, sessions int, s summary) string {
	seconds := max(min(d.age, window), time.Second).Seconds()
	return fmt.Sprintf("%s\t%s\t%d\t%.1f\t%s\t%s\t%s", name, state, sessions, float64(s.answers)/seconds,
		percent(s.hitRate()), latency(s.percentile(0.5)), latency(s.percentile(0.99)))
}

func legend() []string {
	return []string{
		"sessions  conversations whose latest request the server received",
		"hit rate  prompt tokens that the server had cached, of all prompt tokens",
		"TTFT      time to first token, as the clients measured it",
		fmt.Sprintf("          Hit rate and TTFT: second and later turns of the last %.0f s.", window.Seconds()),
	}
}
