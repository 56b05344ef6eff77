package session

import "github.com/google/uuid"

// maxID bounds a session id, in bytes.
const maxID = 256

// Valid reports whether b is a session id: 1..256 bytes of visible ASCII.
func Valid(b []byte) bool {
	if len(b) == 0 || len(b) > maxID {
		return false
	}
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// Identity is the session id of a request and how it came about.
type Identity struct {
	// Source is where the id was found; its Kind is 0 for a random id and for none.
	Source Source
	// Made tells that tether made the id up, derived or random: it may never come again.
	Made bool
	// Shared tells that many conversations may share the id: a derived one, or a prompt_cache_key.
	Shared bool
	// Forward tells that the upstream gets the id as well.
	Forward bool

	room [maxID]byte
	n    int
}

// ID is the id as it goes back in X-Session-Id, empty for none.
func (i *Identity) ID() []byte { return i.room[:i.n] }

// Reset makes i empty: no id outlives its request.
func (i *Identity) Reset() {
	clear(i.room[:i.n])
	i.Source, i.Made, i.Shared, i.Forward, i.n = Source{}, false, false, false, 0
}

func (i *Identity) set(id []byte) { i.n = copy(i.room[:], id) }

func (i *Identity) setUUID(id uuid.UUID) {
	const length = 36
	text, _ := id.MarshalText() // never fails
	i.n = copy(i.room[:length], text)
}
