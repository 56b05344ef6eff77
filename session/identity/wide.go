package identity

import (
	"time"

	"tether/session/openings"
)

const (
	// maxUserTurns is how many turns of the user may count for a derived id: five few-shot examples and the question.
	maxUserTurns = 6
	// maxCommon is how much text of the user may come before another turn that counts, in bytes as JSON has them. So much
	// is computed again by a server that a conversation moves to when its turn begins to count.
	maxCommon = 32 << 10
)

// isComplete reports whether no later turn can count for the id.
func (o *opening) isComplete() bool { return o.userTurns == maxUserTurns || o.said > maxCommon }

// widest returns how many turns of the user count, besides the first: up to the one that tells the conversation apart from
// others that open alike. common is the hash of the opening.
func (o *opening) widest(common uint64, known *openings.Table, now time.Time, learn bool) (more int) {
	for n := 0; n+1 < o.userTurns; n++ {
		if known.Tell(common^o.levels[n].Lo, o.levels[n+1].Hi, now, learn) {
			more = n + 1
		}
	}
	return more
}
