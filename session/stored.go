package session

// stored returns the upstream that stores the response which the request is about, -1 if it is not known, and what keeps the request away from
// it. No other upstream has the response, so neither a drain nor leaving does that.
func (t *Route) stored() (i int, o obstacle) {
	if i = t.candidates.table.Index(t.storedAt); i < 0 {
		return -1, nothing
	}
	switch o = t.candidates.obstacle(i, serveStored); {
	case o != notServing:
		return i, o
	case t.req.ModelGuessed:
		return i, nothing
	}
	return -1, nothing
}

// isStored reports whether the upstream is known that stores the response which the request is about.
func isStored(t *Route) bool {
	i, _ := t.stored()
	return i >= 0
}
