package session

import (
	"bytes"

	"github.com/google/uuid"
	"github.com/zeebo/xxh3"
)

// Shape is the form of a request body, as far as the opening of a conversation is concerned.
type Shape uint8

const (
	// Opaque bodies have no conversation in them that tether could read.
	Opaque Shape = iota
	// Chat has messages, with the system text among them (OpenAI) or beside them in system (Anthropic).
	Chat
	// Responses has instructions and input.
	Responses
)

// opening hashes how a conversation opens: what every later turn of it repeats, and what the server's prefix cache
// begins with. It is used for one conversation at a time.
type opening struct {
	h      xxh3.Hasher
	escape [8]byte // room for what one escape spells
	marked [1]byte
}

// Marks between the parts, of bytes that no UTF-8 text has.
const (
	systemMark = 0xf8
	userMark   = 0xf9
	scopeMark  = 0xfa
	partMark   = 0xfb
)

// conversation is where the parts of an opening stand in a body.
type conversation struct {
	system []byte // Anthropic's system, or Responses' instructions
	turns  []byte // messages, or input
}

// member takes in a top-level member of a body.
func (c *conversation) member(shape Shape, key, value []byte) {
	switch {
	case shape == Chat && string(key) == "messages", shape == Responses && string(key) == "input":
		c.turns = value
	case shape == Chat && string(key) == "system", shape == Responses && string(key) == "instructions":
		c.system = value
	}
}

// id derives the session id: of model, system text, first user message and the caller's scope. ok is false
// where the conversation shows no user's message.
func (o *opening) id(k *keyer, model []byte, c conversation, scope []byte) (id uuid.UUID, ok bool) {
	o.h.Reset()
	o.write(k.secret[:])
	o.mark(openingTag)
	o.write(model)
	o.mark(scopeMark)
	o.write(scope)
	if c.system != nil {
		o.mark(systemMark)
		o.content(c.system)
	}
	if body, isText := stringBody(c.turns); isText {
		o.mark(userMark)
		o.text(body)
		return version8(o.h.Sum128()), true
	}
	elements(c.turns, func(turn []byte) bool {
		ok = o.turn(turn)
		return !ok
	})
	return version8(o.h.Sum128()), ok
}

// turn hashes a turn that belongs to the opening, and reports whether it was the user's first.
func (o *opening) turn(turn []byte) (user bool) {
	var role, content []byte
	members(turn, func(key, value []byte) {
		switch string(key) {
		case "role":
			role, _ = stringBody(value)
		case "content":
			content = value
		}
	})
	switch string(role) {
	case "user":
		o.mark(userMark)
		o.content(content)
		return true
	case "system", "developer":
		o.mark(systemMark)
		o.content(content)
	}
	return false
}

// content hashes a message's content: a string, or a list of parts, where text parts count like the string.
func (o *opening) content(value []byte) {
	if body, ok := stringBody(value); ok {
		o.text(body)
		return
	}
	elements(value, func(part []byte) bool {
		if text := textOf(part); text != nil {
			o.text(text)
			return true
		}
		o.mark(partMark)
		o.other(part)
		return true
	})
}

// textOf is the body of a part's text, or nil if it is another kind of part.
func textOf(part []byte) (text []byte) {
	members(part, func(key, value []byte) {
		if string(key) == "text" {
			text, _ = stringBody(value)
		}
	})
	return text
}

// other hashes a part that is no text, an image say, by the strings in it, in any order, so that neither the order
// of its keys nor white space counts. Cache hints move from turn to turn and do not count either.
func (o *opening) other(part []byte) {
	var sum uint64
	members(part, func(key, value []byte) {
		if string(key) == "cache_control" {
			return
		}
		for i := 0; i < len(value); i++ {
			if value[i] != '"' {
				continue
			}
			n := stringEnd(value[i:])
			if n < 0 {
				return
			}
			sum += xxh3.Hash(value[i : i+n])
			i += n - 1
		}
	})
	for i := range 8 {
		o.mark(byte(sum >> (8 * i)))
	}
}

// text hashes what the body of a JSON string spells, so that it does not matter how it was escaped.
func (o *opening) text(body []byte) {
	for {
		i := bytes.IndexByte(body, '\\')
		if i < 0 || i+1 == len(body) {
			o.write(body)
			return
		}
		o.write(body[:i])
		spelled, n := unescapeOne(o.escape[:0], body[i:])
		o.write(spelled)
		body = body[i+n:]
	}
}

func (o *opening) mark(b byte) {
	o.marked[0] = b
	o.write(o.marked[:])
}

func (o *opening) write(b []byte) { _, _ = o.h.Write(b) } // a hash does not fail
