package talk

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"tether/e2e/chaos/ledger"
)

// conversation is one client that talks: turn after turn, and then a new conversation.
type conversation struct {
	crowd *Crowd
	rng   *rand.Rand
	slot  int // which of the crowd's clients this is

	style
	number   int // of the conversation, of all conversations of the crowd
	session  string
	history  history
	previous string // the id of the last response, if the conversation is chained
	turns    int    // left
	asked    int
	conn     *conn
}

func newConversation(c *Crowd, slot int) *conversation {
	v := &conversation{crowd: c, slot: slot, rng: rand.New(rand.NewPCG(c.Seed, uint64(slot)+1))}
	v.begin()
	return v
}

// begin begins a new conversation.
func (v *conversation) begin() {
	v.number = int(v.crowd.begun.Add(1))
	all := styles
	if v.crowd.Plain {
		all = headerStyles
	}
	v.style = all[v.number%len(all)]
	v.session = fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", v.rng.Uint32(), v.rng.Uint32N(1<<16), v.rng.Uint32N(1<<12), v.rng.Uint32N(1<<12), v.rng.Uint64N(1<<48))
	v.history = history{system: fmt.Sprintf("Conversation %d. Answer in short words.", v.number)}
	v.previous, v.asked = "", 0
	v.turns = 3 + v.rng.IntN(10)
}

// run talks until ctx ends.
func (v *conversation) run(ctx context.Context) {
	defer func() {
		if v.conn != nil {
			v.conn.Close()
		}
	}()
	if !sleep(ctx, time.Duration(v.rng.Int64N(int64(2*v.crowd.Pause)))) {
		return
	}
	for {
		if !v.turn(ctx) {
			return
		}
		if v.turns--; v.turns <= 0 {
			v.begin()
		}
		if !sleep(ctx, time.Duration(v.rng.ExpFloat64()*float64(v.crowd.Pause))) {
			return
		}
	}
}

// turn asks one question. It reports false if the crowd is to stop, or cannot connect.
func (v *conversation) turn(ctx context.Context) bool {
	q, manner := v.question(), v.manner()
	if manner != plain && manner != pipeline {
		q.stream, q.tokens = q.stream || manner == deaf, 60
	}
	if manner == deaf {
		q.choices, q.tokens = 100, 100
	}
	if v.conn != nil && (manner == deaf || v.rng.IntN(4) == 0 || v.conn.over()) {
		v.conn.Close()
		v.conn = nil
	}
	if v.conn == nil {
		k, err := v.crowd.dial(ctx, manner == deaf)
		if err != nil {
			if ctx.Err() == nil {
				v.crowd.Book.Broken("a client cannot connect: " + err.Error())
			}
			return false
		}
		v.conn = k
	}
	if manner == pipeline {
		v.pipelined(q)
		return true
	}
	t, a, k := v.crowd.ask(ctx, v.conn, q, manner, time.Duration(v.rng.Int64N(int64(700*time.Millisecond))))
	v.conn = k
	v.note(t)
	v.goOn(q, t, a)
	return true
}

// question is the next question of the conversation. A question that got no right answer is asked again, under another id of the request.
func (v *conversation) question() question {
	v.asked++
	id := fmt.Sprintf("c%d-%d", v.number, v.asked)
	text := fmt.Sprintf("question %d of conversation %d: which words?", 1+len(v.history.said)/2, v.number)
	return question{
		style: v.style, id: id, session: v.session, history: v.history.with("user", text), previous: v.previous,
		stream: v.rng.IntN(2) == 0, tokens: 4 + v.rng.IntN(40), choices: 1,
	}
}

// manner chooses how the client behaves in the next turn.
func (v *conversation) manner() string {
	if v.crowd.Plain {
		if v.rng.Float64() < v.crowd.Leaving {
			return leave
		}
		return plain
	}
	switch n := v.rng.IntN(1000); {
	case n < 30:
		return leave
	case n < 40:
		return resets
	case n < 50:
		return halfClose
	case n < 52 && v.api == chat:
		return deaf
	case n < 65 && (v.header != "" || v.field != "") && !v.chained:
		return pipeline
	}
	return plain
}

func (v *conversation) note(t ledger.Turn) {
	t.Conversation = v.number
	v.crowd.Book.Turn(t)
}

// goOn takes a right answer into the history. A chain whose response is lost begins again with the whole conversation, as clients do.
func (v *conversation) goOn(q question, t ledger.Turn, a answer) {
	switch {
	case t.Result == ledger.Whole && t.Wrong == "":
		v.history = q.history.with("assistant", a.text)
		if v.chained {
			v.previous = a.response
		}
	case t.Result != ledger.Left:
		v.previous = ""
	}
}

// pipelined sends two questions at once: that of the conversation, and a side question under the same session.
func (v *conversation) pipelined(q question) {
	side := q
	side.id, side.stream = q.id+"s", false
	side.history = history{system: q.history.system}.with("user", "A title for "+q.id+"?")
	k := v.conn
	first, second := q.turn(pipeline), side.turn(pipeline)
	first.Reused, second.Reused, second.Behind = k.used, true, true
	k.used = true
	_ = k.SetDeadline(time.Now().Add(patience))
	_, err := k.Write(append(q.bytes(), side.bytes()...))
	for _, one := range []struct {
		question
		turn *ledger.Turn
	}{{q, &first}, {side, &second}} {
		var a answer
		if err == nil {
			a, err = one.read(k.r)
		} else {
			a.result = ledger.NoAnswer
		}
		one.turn.End, one.turn.Result = time.Now(), a.result
		if overdue(err) {
			one.turn.Result = ledger.Overdue
		}
		v.crowd.describe(one.turn, one.question, a)
		v.note(*one.turn)
		if one.turn == &first {
			v.goOn(q, first, a)
		}
		if a.last && err == nil {
			err = errClosed
		}
	}
	if err != nil {
		k.Close()
		v.conn = nil
	}
}
