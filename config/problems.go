package config

import "strings"

// Problems is everything that is wrong with a configuration, each with its place: a file's line, a variable, a flag.
type Problems struct{ list []string }

// Error has one line a problem.
func (p *Problems) Error() string { return strings.Join(p.list, "\n") }

func (p *Problems) add(place, problem string) { p.list = append(p.list, place+": "+problem) }
