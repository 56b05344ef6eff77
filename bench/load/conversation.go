package main

import "time"

// turn is one request of a conversation.
type turn struct {
	prompt int           // tokens of the whole prompt
	kept   int           // leading tokens that equal those of the turn before
	answer int           // tokens, at least one
	think  time.Duration // from the end of the answer before, zero for the first turn
	at     time.Duration // when a recorded turn was sent
}

// conversation is the turns of a session. They have between them everything that a server can find in its cache: no
// conversation shares a prefix with another.
type conversation []turn

// request is a turn that was sent.
type request struct {
	*turn
	talk   *talk
	n      int           // number of the request in the simulation
	sent   time.Duration // when the client sent the request first
	blocks []block
	to     *server
	charge int    // tokens of the prompt that the policy expects to be computed, as far as it reads backlogs
	route  *route // of the real router, nil with other policies
	done   func() // called when the answer is written
	begun  bool   // the client has the first token

	// The rest is the engine's.
	admitted   bool // has its memory
	found      int  // tokens that were cached
	uncomputed int  // tokens of the prompt
	unwritten  int  // tokens of the answer
}

// talk is a conversation in progress.
type talk struct {
	turns  conversation
	n      int // of the next turn
	key    key
	blocks []block // of the last prompt

	// The rest is the memory of the policies.
	last   *server // of the last turn, nil at first
	prompt int     // tokens of the last prompt
}

// extend returns the blocks of the next prompt. fresh names a new block.
func (t *talk) extend(next *turn, fresh func() block) []block {
	prompt := make([]block, blocksOf(next.prompt))
	kept := copy(prompt, t.blocks[:min(len(t.blocks), blocksOf(next.kept))])
	for i := kept; i < len(prompt); i++ {
		prompt[i] = fresh()
	}
	return prompt
}
