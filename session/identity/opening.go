package identity

import (
	"bytes"
	"encoding/binary"

	"github.com/google/uuid"
	"github.com/zeebo/xxh3"

	"tether/jsonscan"
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

// opening digests how a conversation opens: what every later turn of it repeats, and what the server's prefix cache
// begins with. It is used for one conversation at a time, while its body is gone over.
type opening struct {
	system  xxh3.Uint128 // of Anthropic's system, or Responses' instructions
	turns   xxh3.Uint128 // of messages or input, up to the user's first
	hasUser bool         // the user's first turn was there

	h, one xxh3.Hasher // one is for a string by itself
	room   [512]byte
	marked [1]byte
}

// Marks between the parts, of bytes that no UTF-8 text has.
const (
	systemMark = 0xf8
	userMark   = 0xf9
	partMark   = 0xfb
)

// forget makes o ready for another conversation.
func (o *opening) forget() { o.system, o.turns, o.hasUser = xxh3.Uint128{}, xxh3.Uint128{}, false }

// member takes in the top-level member of a body whose value comes next: of equal names the last counts.
func (o *opening) member(shape Shape, name []byte, j *jsonscan.Scanner) {
	switch {
	case shape == Chat && string(name) == "messages", shape == Responses && string(name) == "input":
		o.conversation(j)
	case shape == Chat && string(name) == "system", shape == Responses && string(name) == "instructions":
		o.system = o.content(j)
	}
}

// conversation takes in the turns up to the user's first, or the text that stands for it alone.
func (o *opening) conversation(j *jsonscan.Scanner) {
	o.turns, o.hasUser = xxh3.Uint128{}, false
	if body, ok := j.RawString(); ok {
		o.h.Reset()
		o.text(&o.h, body)
		o.add(userMark, o.h.Sum128())
		return
	}
	j.Array(func() bool {
		o.turn(j)
		return !o.hasUser
	})
}

// turn takes in a turn, if it belongs to the opening.
func (o *opening) turn(j *jsonscan.Scanner) {
	var mark byte
	var content xxh3.Uint128
	j.Object(func(name []byte) {
		switch string(name) {
		case "role":
			role, _ := j.DecodedString()
			mark = markOf(role)
		case "content":
			content = o.content(j)
		}
	})
	if mark != 0 {
		o.add(mark, content)
	}
}

// markOf is the mark of a role, 0 of one whose turns do not belong to the opening.
func markOf(role []byte) byte {
	switch string(role) {
	case "user":
		return userMark
	case "system", "developer":
		return systemMark
	}
	return 0
}

func (o *opening) add(mark byte, content xxh3.Uint128) {
	before, this := o.turns.Bytes(), content.Bytes()
	b := append(append(append(o.room[:0], before[:]...), mark), this[:]...)
	o.turns, o.hasUser = xxh3.Hash128(b), mark == userMark
}

// content digests a message's content: a string, or a list of parts, where text parts count like the string.
func (o *opening) content(j *jsonscan.Scanner) xxh3.Uint128 {
	o.h.Reset()
	if body, ok := j.RawString(); ok {
		o.text(&o.h, body)
	} else {
		j.Array(func() bool {
			o.part(j)
			return true
		})
	}
	if d := o.h.Sum128(); d != noText {
		return d
	}
	return xxh3.Uint128{} // an empty one is none
}

// noText is the digest of no text at all.
var noText = xxh3.Hash128(nil)

// part hashes a part: its text, or of one that is no text, an image say, the strings in it, in any order, so that
// neither the order of its members nor white space counts. Cache hints move from turn to turn and do not count either.
func (o *opening) part(j *jsonscan.Scanner) {
	text, isText := j.RawString()
	var others uint64
	j.Object(func(name []byte) {
		if string(name) == "cache_control" {
			return
		}
		if string(name) == "text" {
			if text, isText = j.RawString(); isText {
				return
			}
		}
		j.Strings(func(body []byte) {
			o.one.Reset()
			o.text(&o.one, body)
			others += o.one.Sum64()
		})
	})
	if isText {
		o.text(&o.h, text)
		return
	}
	o.mark(partMark)
	o.write(binary.LittleEndian.AppendUint64(o.room[:0], others))
}

// billing begins a text block that Claude Code puts at the head of the system prompt, another one for each request.
// vLLM leaves it out of the prompt.
const billing = "x-anthropic-billing-header"

// text hashes what the body of a JSON string spells, without a billing line at its head.
func (o *opening) text(h *xxh3.Hasher, body []byte) {
	if bytes.HasPrefix(body, []byte(billing)) {
		_, body, _ = bytes.Cut(body, []byte(`\n`))
	}
	o.spelled(h, body)
}

// spelled hashes what the body spells, so that it does not matter how it was escaped: as it is, but for the escapes that
// others write in another way.
func (o *opening) spelled(h *xxh3.Hasher, body []byte) {
	const longest = 4 // bytes of what is written for an escape
	text := o.room[:0]
	for at := 0; ; {
		n := 0
		if at == len(body) || body[at] != '\\' {
			n = bytes.IndexByte(body[at:], '\\')
		}
		if n < 0 || at+n+1 >= len(body) {
			break
		}
		at += n
		if c := body[at+1]; c != 'u' && c != '/' {
			at += 2
			continue
		}
		if len(text)+at+longest > cap(text) {
			_, _ = h.Write(text) // a hash does not fail
			_, _ = h.Write(body[:at])
			text = text[:0]
		} else {
			text = append(text, body[:at]...)
		}
		text, n = jsonscan.NormalizeEscapes(text, body[at:])
		body, at = body[at+n:], 0
	}
	_, _ = h.Write(text)
	_, _ = h.Write(body)
}

// id derives the session id: of the conversation's opening, the model and the caller's scope. ok is false where the
// conversation shows no user's message.
func (o *opening) id(k *keyer, model, scope []byte) (id uuid.UUID, ok bool) {
	o.h.Reset()
	o.write(k.secret[:])
	o.mark(openingTag)
	o.sized(model)
	o.sized(scope)
	for _, part := range [...]xxh3.Uint128{o.system, o.turns} {
		b := part.Bytes()
		o.write(b[:])
	}
	return derivedFrom(o.h.Sum128()), o.hasUser
}

// sized hashes b so that it cannot run into what follows.
func (o *opening) sized(b []byte) {
	o.write(binary.AppendUvarint(o.room[:0], uint64(len(b))))
	o.write(b)
}

func (o *opening) mark(b byte) {
	o.marked[0] = b
	o.write(o.marked[:])
}

func (o *opening) write(b []byte) { _, _ = o.h.Write(b) } // a hash does not fail
