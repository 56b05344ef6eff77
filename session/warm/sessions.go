package warm

import (
	"sync"
	"time"
)

// Turn is a turn of a conversation whose answer is complete.
type Turn struct {
	Session uint64 // hash of the conversation and its model
	Place   uint32 // the upstream that served the turn
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
	mu    sync.Mutex
	turns [ways]last
}

// last is the last turn of a conversation.
type last struct {
	session uint64 // 0 for none
	place   uint32
	prompt  uint32 // tokens
	ended   int64  // Unix ms
}

// maxPrompt is the greatest plausible number of tokens of a prompt.
const maxPrompt = 16 << 20

// Note notes a turn, and shows it to the caches of its model. It returns how many tokens of the prompt were to be expected in the cache of
// the server: the last prompt of the conversation, if its last turn was served there and the conversation is still warm. stayed is true in
// that case.
//
// If more conversations are warm than are remembered, those that return count as new, and the warm tokens as more than they are.
func (s *Sessions) Note(c *Caches, t Turn) (expected int64, stayed bool) {
	if t.Session == 0 || t.Prompt <= 0 || t.Prompt > maxPrompt {
		return 0, false
	}
	before, known := s.swap(last{session: t.Session, place: t.Place, prompt: uint32(t.Prompt), ended: t.Ended.UnixMilli()})
	if !known {
		before = last{}
	}
	return c.note(before, t)
}

// swap replaces the last turn of a conversation, and returns the one before. A new conversation takes the entry that was not used for
// longest.
func (s *Sessions) swap(next last) (before last, known bool) {
	set := &s.sets[next.session%uint64(len(s.sets))]
	set.mu.Lock()
	defer set.mu.Unlock()
	at := 0
	for i := range set.turns {
		l := &set.turns[i]
		if l.session == next.session {
			before, *l = *l, next
			return before, true
		}
		if l.ended < set.turns[at].ended {
			at = i
		}
	}
	set.turns[at] = next
	return last{}, false
}
