package identity

// Finding is what one source of session ids gave for a request.
type Finding uint8

// Findings.
const (
	// NotReached is a source that was not asked, because one before it won.
	NotReached Finding = iota
	// Absent is one that has no id.
	Absent
	// Invalid is one whose value is no session id, see Valid.
	Invalid
	// Ambiguous is one that came with two different values.
	Ambiguous
	// Won is the one whose id is the request's.
	Won
)

// String is the finding for people.
func (f Finding) String() string {
	return [...]string{
		"not reached", "absent", "invalid: not 1..256 bytes of visible ASCII", "ambiguous: two different values", "won",
	}[f]
}

// Found is a source and what it gave.
type Found struct {
	Source  Source
	Finding Finding
}

// Trace makes the next Identify note what it makes of each source. It gives the list that is filled in then, which has
// all sources in their order.
func (s *Search) Trace() []Found {
	s.trace = make([]Found, len(s.id.sources))
	for n, source := range s.id.sources {
		s.trace[n].Source = source
	}
	return s.trace
}
