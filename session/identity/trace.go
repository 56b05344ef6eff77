package identity

// Finding is the result of one source of session ids for a request.
type Finding uint8

// Findings.
const (
	_ Finding = iota // a source before this one won
	// noID means that the source has no id.
	noID
	// invalidID means that the source's value is no session id, see Valid.
	invalidID
	// unfilled means that the source's value is a placeholder that the client did not fill in.
	unfilled
	// twoIDs means that the source has two different values.
	twoIDs
	// won means that the request has the id of this source.
	won
)

// String returns the finding in words.
func (f Finding) String() string {
	return [...]string{
		"not reached", "absent", "invalid: not 1..256 bytes of visible ASCII", "absent: a placeholder that the client did not fill in",
		"ambiguous: two different values", "won",
	}[f]
}

// Found is a source and its result.
type Found struct {
	Source  Source
	Finding Finding
}

// Trace makes the next Identify record the result of each source. It returns the list that Identify fills: all sources in
// their order.
func (s *Search) Trace() []Found {
	s.trace = make([]Found, len(s.id.sources))
	for n, source := range s.id.sources {
		s.trace[n].Source = source
	}
	return s.trace
}
