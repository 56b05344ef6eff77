// Package talk has the clients of chaos: conversations over every API of vLLM, whose ids are in headers, in fields, in how they begin or in
// the response before, and clients that leave, reset, half-close, do not read, or pipeline.
//
// A client knows the right answer to each of its questions, because the answer of a simulated server follows from the whole conversation.
// So an answer that is cut, of another conversation, or of another turn is never taken for a right one. All other files are tested in
// talk_test.go.
package talk

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"tether/e2e/chaos/ledger"
)

var errClosed = errors.New("the server closes the connection")

// Crowd is a number of clients, each with one conversation at a time.
type Crowd struct {
	// Addr is where the clients connect.
	Addr string
	// Seed makes each client's dice.
	Seed uint64
	// Pause is the mean time between two turns of a conversation.
	Pause time.Duration
	// Book gets every turn.
	Book *ledger.Book
	// Plain is for proxies that only hash X-Session-Id: all conversations have it, and nothing of tether's is expected in answers.
	Plain bool
	// Leaving is the part of the turns of Plain conversations whose client leaves.
	Leaving float64

	begun atomic.Int64 // conversations
	all   sync.WaitGroup
}

// Start starts the clients. They talk until ctx ends; Wait waits for them.
func (c *Crowd) Start(ctx context.Context, clients int) {
	for slot := range clients {
		v := newConversation(c, slot)
		c.all.Go(func() { v.run(ctx) })
	}
}

// Wait returns when all clients have ended their last turns.
func (c *Crowd) Wait() { c.all.Wait() }
