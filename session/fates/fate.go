package fates

import "tether/session/balance"

// Fate is what became of a token of a prompt.
type Fate uint8

const (
	// Hit means: the server found the token in its prefix cache.
	Hit Fate = iota
	// New means: no server had the token in its cache, as far as this process knows.
	New
	// Moved means: another server had it, because the conversation was there before.
	Moved
	// Evicted means: the conversation stayed at the server, and the server no longer had it.
	Evicted
	// Restarted means: the conversation stayed at the server, and another process of the server has answered.
	Restarted
	// Unknown means: the answer does not say how many tokens were cached, or this process does not remember the conversation's last turn.
	Unknown
	// Count is the number of fates.
	Count = iota
)

// Words has the words of the fates, by Fate.
var Words = [Count]string{"hit", "new", "moved", "evicted", "restarted", "unknown"}

// String returns the fate in a word.
func (f Fate) String() string { return Words[f] }

// Reason is why a conversation is at another server than before. The zero value says that it is not. The first reasons are those of
// balance.Reason, with the same numbers.
type Reason uint8

const (
	// Spread means: more requests than one conversation has were in flight under its id, and tether spread them.
	Spread = Reason(len(balance.Reasons)) + iota
	// Response means: the request continues a response that the other server made.
	Response
	// Unpinned means: the conversation had lost its pin, and began anew.
	Unpinned
	// Returned means: the request followed its pin. The turn before had been served elsewhere, or an operator or another request has moved the pin.
	Returned
	// ReasonCount is the number of reasons, the zero value included.
	ReasonCount = iota + len(balance.Reasons)
)

// Reasons has the words of the reasons, by Reason.
var Reasons = [ReasonCount]string{Spread: "spread", Response: "response", Unpinned: "unpinned", Returned: "returned"}

func init() { copy(Reasons[:], balance.Reasons[:]) }

// String returns the reason in a word, "" for the zero value.
func (r Reason) String() string { return Reasons[r] }
