package session

import "tether/session/identity"

// Reading is what tether reads in a request, as far as its route depends on it.
type Reading struct {
	// Method and Path are those of an endpoint that tether serves; Path is "" for any other request.
	Method, Path string
	// Status is the status of a request that is answered before any upstream sees it, 0 for all others. Refused says why.
	Status  int
	Refused string
	// Local is true if tether answers the request itself.
	Local bool
	// Note says what else decides, "" for nothing.
	Note string
	// Found has the sources of session ids in their order, none for a malformed request.
	Found []identity.Found
	// Source is the source of the id. Its Kind is 0 for a random id and without an id.
	Source identity.Source
	// Wide is true if the id is derived from more than the opening, because many conversations open alike.
	Wide    bool
	Request Request
}
