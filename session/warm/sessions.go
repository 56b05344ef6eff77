package warm

import (
	"slices"
	"sync"
	"time"
)

// Turn is a turn of a conversation whose answer is complete.
type Turn struct {
	Session uint64 // hash of the conversation and its model
	Place   uint32 // the upstream that served the turn
	Process uint32 // the process of its server
	Opens   bool   // the prompt has no earlier answer
	Prompt  int64  // tokens of the prompt
	Cached  int64  // tokens of the prompt that the server had in its cache, -1 if unknown
	Began   time.Time
	Ended   time.Time
}

// Sessions remembers the last turn of each conversation: of the last 65,536 or so. It is safe for concurrent use. The zero value remembers
// nothing yet. It must not be copied.
type Sessions struct{ sets [8192]set }

// ways is the number of conversations that compete for the same entries.
const ways = 8

// set has the last turns of conversations with the same hash, modulo the number of sets.
type set struct {
	mu       sync.Mutex
	sessions [ways]uint64 // 0 for none; apart from turns, so that a search reads few cache lines
	turns    [ways]last
}

// last is the last turn of a conversation. Its zero value stands for a conversation without a turn.
type last struct {
	place  uint32
	prompt uint32 // tokens, 0 for no turn
	ended  int64  // Unix ms
	stays  [2]stay
}

// stay is the last turn of a conversation at one upstream. The later one of a conversation comes first. Turns that open a conversation that
// has begun are no stays: clients ask for a title, or for what to ask next, under the id of the conversation, by a prompt of its own.
type stay struct {
	place   uint32
	process uint32
	prompt  uint32 // tokens, 0 for no stay
}

// at returns the stay at a place, zero if none is remembered.
func (l *last) at(place uint32) stay {
	for _, s := range l.stays {
		if s.place == place {
			return s
		}
	}
	return stay{}
}

// then returns the stays once the conversation has had the turn t, too.
func (l *last) then(t *Turn) [2]stay {
	this := stay{place: t.Place, process: t.Process, prompt: uint32(t.Prompt)}
	switch {
	case t.Opens && l.stays[0].prompt > 0:
		return l.stays
	case l.stays[0].place == t.Place:
		return [2]stay{this, l.stays[1]}
	}
	return [2]stay{this, l.stays[0]}
}

// Before is what is remembered of a conversation at its next turn.
type Before struct {
	// Expected is how many tokens of the prompt were to be expected in the cache of the server, if Stayed: the last prompt of the
	// conversation. Stayed is true if the last turn was served there and the conversation is still warm.
	Expected int64
	Stayed   bool
	// Prompt is the last prompt of the conversation in tokens, 0 if it is not remembered. Here is the last one at the same server, 0 if
	// none is remembered, and Process the process that had it. Prompts that open a conversation do not count, but its first.
	Prompt, Here int64
	Process      uint32
	// Overlaps is true if the turn began before the last one had ended, so that it does not go on after it.
	Overlaps bool
}

// maxPrompt is the greatest plausible number of tokens of a prompt.
const maxPrompt = 16 << 20

// Note notes a turn, and shows it to the caches of its model. It returns what was remembered of the conversation.
//
// If more conversations are warm than are remembered, those that return count as new, and the warm tokens as more than they are.
func (s *Sessions) Note(c *Caches, t Turn) (b Before) {
	if t.Session == 0 || t.Prompt <= 0 || t.Prompt > maxPrompt {
		return Before{}
	}
	before := s.swap(&t)
	here := before.at(t.Place)
	b = Before{Prompt: int64(before.stays[0].prompt), Here: int64(here.prompt), Process: here.process}
	b.Overlaps = before.prompt > 0 && t.Began.UnixMilli() < before.ended-early.Milliseconds()
	b.Expected, b.Stayed = c.note(&before, &t)
	return b
}

// swap replaces the last turn of a conversation by t, and returns the one before, zero if none is remembered. A new conversation takes the
// entry that was not used for longest.
func (s *Sessions) swap(t *Turn) (before last) {
	set := &s.sets[t.Session%uint64(len(s.sets))]
	set.mu.Lock()
	defer set.mu.Unlock()
	at := slices.Index(set.sessions[:], t.Session)
	if at >= 0 {
		before = set.turns[at]
	} else {
		at = set.oldest()
	}
	set.sessions[at] = t.Session
	set.turns[at] = last{place: t.Place, prompt: uint32(t.Prompt), ended: t.Ended.UnixMilli(), stays: before.then(t)}
	return before
}

// oldest returns the index of the entry that was not used for longest.
func (s *set) oldest() (at int) {
	for i := range s.turns {
		if s.turns[i].ended < s.turns[at].ended {
			at = i
		}
	}
	return at
}
