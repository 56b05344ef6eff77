package identity

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// maxID is the greatest length of a session id, in bytes.
const maxID = 256

// Valid reports whether b is a session id: 1..256 bytes of visible ASCII.
func Valid(b []byte) bool {
	if len(b) == 0 || len(b) > maxID {
		return false
	}
	const ones = 0x0101010101010101
	for ; len(b) >= 8; b = b[8:] { // eight at a time: of the first byte that is not visible, x-'!' or x+1 has the highest bit set
		x := binary.LittleEndian.Uint64(b)
		if ((x-'!'*ones)|(x+ones))&(0x80*ones) != 0 {
			return false
		}
	}
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// Identity is the session id of a request and its origin.
type Identity struct {
	// Source is the place where the id was found. Its Kind is 0 for a random id and without an id.
	Source Source
	// Shared is true if many conversations may have the id: it is derived, or a prompt_cache_key.
	Shared bool
	// Subagent is true if the id is that of a family of agents, and a sub-agent of it sent the request.
	Subagent bool
	// Wide is true if the id is derived from more than the opening, because many conversations open alike.
	Wide bool

	text [maxID]byte
	n    int
}

// ID returns the id as it goes back in X-Session-Id, empty without an id. It is valid until Reset.
func (i *Identity) ID() []byte { return i.text[:i.n] }

// random reports whether tether drew the id, because no source has one.
func (i *Identity) random() bool { return i.n > 0 && i.Source.Kind == 0 }

// Synthetic reports whether tether made the id up, derived or random: the client may never send it again.
func (i *Identity) Synthetic() bool { return i.random() || i.Source.Kind == FromOpening }

// Forwarded reports whether the upstream receives the id as well.
func (i *Identity) Forwarded() bool { return i.Source.Kind != 0 }

// Reset empties i: no id outlives its request.
func (i *Identity) Reset() {
	clear(i.text[:i.n])
	i.Source, i.Shared, i.Subagent, i.Wide, i.n = Source{}, false, false, false, 0
}

func (i *Identity) set(id []byte) { i.n = copy(i.text[:], id) }

func (i *Identity) setUUID(id uuid.UUID) {
	const length = 36
	text, _ := id.MarshalText() // never fails
	i.n = copy(i.text[:length], text)
}
