package shared

import (
	"time"

	"tether/session/identity"
)

// Subject is what a Sighting is about: a session, or a stored response.
type Subject struct {
	Key identity.Key
	// Response is true if Key is that of a stored response.
	Response bool
}

// Sighting says where a subject was when it was last used.
type Sighting struct {
	Subject
	// At is the name of the upstream, "" for a subject that is forgotten.
	At string
	// Age is how long ago the use was when the sighting was sent, in whole milliseconds, 0 and more.
	Age time.Duration
}

// Drain is what an operator wants of an upstream, or of all upstreams of a server. The latest command for a name wins.
type Drain struct {
	// Name is that of the upstream or the server.
	Name string
	Move Move
	// Idle is how long a session must have been silent to move, and Left the time until all sessions move, for MoveIdle.
	Idle, Left time.Duration
	// Age is how long ago the command was given when it was sent.
	Age time.Duration
}

// Move says which sessions leave a draining upstream with their next request.
type Move uint8

// Moves.
const (
	Undrained Move = iota // the upstream does not drain
	MoveNever
	MoveIdle
	MoveNow
	moves // how many there are
)

// Beat is a sign of life of a process.
type Beat struct {
	// Version is that of the program, Admin the address of its admin listener or "".
	Version, Admin string
	// Started is when the process began to serve, in Unix milliseconds of its own clock.
	Started int64
	// Ring is the digest of its ring.
	Ring uint64
	// Applied is the age of the last batch that it had received when it sent the beat.
	Applied time.Duration
}

// Batch is what a process sends at a time.
type Batch struct {
	// From is the process, a random number for each start.
	From uint64
	// Seq grows with each batch of a process.
	Seq uint64
	// Gap asks the other processes to check whether the stream lacks what they know.
	Gap       bool
	Beat      *Beat // nil for none
	Drains    []Drain
	Sightings []Sighting
}
