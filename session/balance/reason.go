package balance

// Reason is why a request did not go to the pin of its session, or a new session not to its home.
type Reason uint8

const (
	// Stayed means that the request went there, or has no session.
	Stayed Reason = iota
	// Busier means that the upstream was much busier than another one.
	Busier
	// Gone means that the cache of the session was gone from the pinned upstream.
	Gone
	// Hung means that the upstream had been silent for too long while a request waited.
	Hung
	// Full means that the upstream had refused a request, or has as many as its max_in_flight.
	Full
	// Drained means that the upstream was to get no new sessions, or is no longer to serve any.
	Drained
	// Lost means that the upstream was down, had failed, or does not serve the model.
	Lost
)

// Reasons has the words of the reasons, by Reason.
var Reasons = [...]string{"", "busier", "gone", "hung", "full", "drain", "down"}

// String returns the reason in a word, "" for Stayed.
func (r Reason) String() string { return Reasons[r] }
