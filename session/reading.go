package session

import "tether/session/identity"

// Reading is what was read in a request, as far as its way depends on it.
type Reading struct {
	// Method and Path are those of the list of calls that are let through; Path is "" for one that is not on it.
	Method, Path string
	// Status is what the request is answered before any upstream sees it, 0 if it gets through; Refused says why.
	Status  int
	Refused string
	// Local tells that tether answers it by itself.
	Local bool
	// Note says what else decides, "" for nothing.
	Note string
	// Found are the sources of session ids, in their order; none of a malformed request.
	Found []identity.Found
	// Source is the one whose id counts; its Kind is 0 for a random id and for none.
	Source  identity.Source
	Request Request
}
