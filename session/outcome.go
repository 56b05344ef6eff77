package session

// Outcome is the result of affinity for a request. The request's last attempt decides it.
type Outcome uint8

const (
	// None stands for a path without affinity, and for a request without an attempt.
	None Outcome = iota
	// New means that the session's first pin was written.
	New
	// Pinned means that the pin was followed.
	Pinned
	// Moved means that the pin was rewritten to another upstream.
	Moved
	// Spilled means that another upstream than the pinned one served, and the pin stayed.
	Spilled
)

// String returns the outcome as it stands in X-Tether-Affinity.
func (o Outcome) String() string {
	return [...]string{"none", "new", "pinned", "moved", "spilled"}[o]
}
