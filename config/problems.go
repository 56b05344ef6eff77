package config

import (
	"slices"
	"strconv"
	"strings"
)

// Problems is everything that is wrong with a configuration. Each problem has a place: a line of the file, a variable or
// a flag.
type Problems struct{ list []problem }

type problem struct {
	place place
	text  string
}

func (p problem) String() string { return strings.TrimPrefix(p.place.String()+": "+p.text, ": ") }

// place is where a value was set. The zero place stands for a default.
type place struct {
	name string // the file, the variable, the flag
	line int    // of the file, 0 for none
}

func (p place) String() string {
	if p.line > 0 {
		return p.name + ":" + strconv.Itoa(p.line)
	}
	return p.name
}

// Error returns one line for each problem, in the order of the file's lines.
func (p *Problems) Error() string {
	slices.SortStableFunc(p.list, func(a, b problem) int { return a.place.line - b.place.line })
	var lines []string
	for _, one := range p.list {
		lines = append(lines, one.String())
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(at place, text string) { p.list = append(p.list, problem{at, text}) }
